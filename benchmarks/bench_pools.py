"""Plans over pools: 5000 servers, 21 accelerators, three zones and a budget, on one thread.

`python -m benchmarks.bench_pools [SERVERS [CASE]]` prints, for capacity that is ample and scarce,
and with replicas in one zone or spread so that the loss of a zone is survived: time of candidates,
of the plan, the gap that was proven, who is served, and the peak of memory. Every server chooses
among three batch limits on each accelerator.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from dataclasses import dataclass, replace

# One thread: set before numpy loads its linear algebra.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from rich.console import Console
from rich.table import Table

from benchmarks.fleets import scaled_large
from optimizer.planner import plan_fleet
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Headroom, Limits, Survival
from stoker.domain.plan import Plan
from stoker.domain.pools import Pool
from stoker.domain.settings import Analysis, OptimizerSettings

SERVERS = 5000
QUEUE_LIMIT = 200
GAP = 5e-3
TIME_LIMIT_S = 120.0
ZONES = (("a", 1.0), ("b", 1.03), ("c", 1.08))
SCARCE = 0.4
BATCH_LIMITS = (32, 64, 128)


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of fleet to measure."""

    name: str
    cards: float
    budget: float
    survive: Survival | None = None


CASES = (
    Case("ample, budget that fits", 3.0, 1.0),
    Case("ample, 80% of the budget", 3.0, 0.8),
    Case("scarce, 80% of the budget", SCARCE, 0.8),
    Case("scarce, half of the budget", SCARCE, 0.5),
    Case("ample, zone lost, budget 150%", 3.0, 1.5, Survival.ZONE),
)


def zoned(fleet: Fleet, cards: float, budget_per_hour: float, survive: Survival | None) -> Fleet:
    """Return a fleet whose cards stand in three zones at three prices, within a budget.

    Args:
        fleet: A fleet with capacity by card type.
        cards: Factor on its cards.
        budget_per_hour: Its budget.
        survive: What its plan survives.
    """
    pools = tuple(
        Pool(
            name=f"{item.card_type}-{zone}",
            card_type=item.card_type,
            cards=round(item.count * cards / len(ZONES)),
            zone=zone,
            price_factor=factor,
        )
        for item in fleet.capacity
        for zone, factor in ZONES
    )
    limits = Limits(budget_per_hour=budget_per_hour, headroom=Headroom(survive=survive))
    return replace(fleet, capacity=(), pools=pools, limits=limits)


def with_batch_limits(fleet: Fleet) -> Fleet:
    """Return a fleet whose servers choose among several batch limits."""
    servers = (replace(s, max_batch=None, batch_limits=BATCH_LIMITS) for s in fleet.servers)
    return replace(fleet, servers=tuple(servers))


def timed(fleet: Fleet) -> tuple[float, float, Plan]:
    """Return the seconds that a plan takes, by the clock and of processor time, and the plan."""
    settings = OptimizerSettings(
        analysis=Analysis.REFERENCE, relative_gap=GAP, time_limit_s=TIME_LIMIT_S
    )
    start, busy = time.perf_counter(), time.process_time()
    plan = plan_fleet(fleet, settings)
    return time.perf_counter() - start, time.process_time() - busy, plan


def peak_gb() -> float:
    """Return the largest memory that this process had so far, in GB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e9 if sys.platform == "darwin" else 1e6)


def main() -> None:
    """Print one row for each kind of fleet; the peak of memory is that of the process so far."""
    servers = int(sys.argv[1]) if len(sys.argv) > 1 else SERVERS
    only = int(sys.argv[2]) if len(sys.argv) > 2 else None
    fleet = with_batch_limits(scaled_large(servers, QUEUE_LIMIT))
    settings = OptimizerSettings(unlimited=True, analysis=Analysis.REFERENCE)
    full_cost = plan_fleet(fleet, settings).cost_per_hour
    table = Table(title=f"{servers} servers, 21 accelerators, 3 zones, gap {GAP:.1%}, one thread")
    for header in (
        "fleet",
        "total s",
        "CPU s",
        "candidates s",
        "solve s",
        "status",
        "gap proven",
        "served",
    ):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("peak GB", justify="right")
    for case in CASES if only is None else CASES[only : only + 1]:
        seconds, busy, plan = timed(zoned(fleet, case.cards, case.budget * full_cost, case.survive))
        served = "; ".join(f"{item.served}/{item.servers}" for item in plan.services)
        table.add_row(
            case.name,
            f"{seconds:.1f}",
            f"{busy:.1f}",
            f"{plan.timings_ms['candidates'] / 1e3:.1f}",
            f"{plan.timings_ms['solve'] / 1e3:.1f}",
            plan.status.value,
            "unknown" if plan.gap is None else f"{plan.gap:.1e}",
            served,
            f"{peak_gb():.2f}",
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
