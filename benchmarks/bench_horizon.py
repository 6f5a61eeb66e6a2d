"""A week of hourly demand planned at once: time, proven gap, and cost against simpler ways.

`python -m benchmarks.bench_horizon` plans 168 hours of the large fleet, scaled to 50 servers
(`--servers 10 100` for others), with reserved, on-demand and spot cards, with accelerators kept
and with moves between them. It prints the seconds (wall clock; one solver thread), the gap that
was proven, and what planning each hour alone and running the peak all the time would cost more.
Loads rise and fall over the day, less on the weekend, with noise. `--cards` says how many cards
there are: with 6 times the large fleet's there are more than the plan needs; with 5 and 4 the
busiest hours would take 12% and 27% more, by their price, than there are, so that servers are
crowded out to other accelerators.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import time
from dataclasses import replace

# One thread: set before numpy loads its linear algebra.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.fleets import scaled_large
from optimizer.horizon.plan import plan_horizon
from stoker.domain.fleet import Fleet
from stoker.domain.horizon import (
    CardTerms,
    HorizonPlan,
    HorizonTerms,
    HourlyDemand,
    ReservedTerms,
    SpotTerms,
)
from stoker.domain.settings import Analysis
from stoker.domain.workload import Load

HOURS = 168
GAP = 0.01
SERVERS = (50,)
CARDS = (6.0, 5.0, 4.0)
"""Cards over those of the large fleet, scaled by servers; the week is twice as busy at its mean."""

TERMS = HorizonTerms(
    default=CardTerms(
        reserved=ReservedTerms(price_factor=0.6),
        spot=SpotTerms(price_factor=0.35, interruptions_per_hour=0.05, most_share=0.5),
    ),
    start_up_hours=1,
    min_up_hours=2,
    confidence=0.99,
)


def week(fleet: Fleet, seed: int, busier: float) -> HourlyDemand:
    """Return a week of hourly loads of a fleet's servers.

    Args:
        fleet: Servers with the load of a middling hour.
        seed: Of shapes and noise.
        busier: Factor on all loads.
    """
    rng = np.random.default_rng(seed)
    hours = np.arange(HOURS)
    weekend = np.where(hours // 24 >= 5, 0.7, 1.0)
    loads = []
    for server in fleet.servers:
        load = server.load or Load(0.0, 0.0, 0.0)
        swing, shift = rng.uniform(0.3, 0.8), rng.uniform(-3.0, 3.0)
        shape = 1.0 + swing * np.sin(2.0 * math.pi * (hours - 8.0 + shift) / 24.0)
        rates = load.arrival_rate_rps * busier * shape * weekend * rng.lognormal(0.0, 0.08, HOURS)
        loads.append(tuple(replace(load, arrival_rate_rps=float(rate)) for rate in rates))
    return HourlyDemand(tuple(server.name for server in fleet.servers), tuple(loads))


def planned(
    servers: int, cards: float, seed: int, terms: HorizonTerms, time_limit_s: float
) -> tuple[float, HorizonPlan]:
    """Return the seconds that a week takes, and its plan."""
    fleet = scaled_large(servers, 100, seed=seed)
    counts = tuple(replace(item, count=round(cards * item.count)) for item in fleet.capacity)
    fleet = replace(fleet, capacity=counts)
    demand = week(fleet, seed, busier=2.0)
    start = time.perf_counter()
    plan = plan_horizon(
        fleet, demand, terms, analysis=Analysis.FULL, gap=GAP, time_limit_s=time_limit_s
    )
    return time.perf_counter() - start, plan


def main() -> None:
    """Print a row for each fleet size and way of keeping accelerators."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", type=int, nargs="*", default=SERVERS)
    parser.add_argument("--cards", type=float, nargs="*", default=CARDS)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1])
    parser.add_argument("--time-limit", type=float, default=55.0)
    options = parser.parse_args()
    table = Table(title=f"A week of {HOURS} hours, to a gap of {GAP:.0%}")
    headers = [
        "servers",
        "cards",
        "moves",
        "seed",
        "seconds",
        "sizing s",
        "method",
        "status",
        "gap proven",
        "left out",
    ]
    headers += [
        "cost",
        "reserved",
        "on demand",
        "spot",
        "hour by hour",
        "static",
        "static reserved",
    ]
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True)
    cases = itertools.product(options.servers, options.cards, (False, True), options.seeds)
    for servers, cards, moves, seed in cases:
        terms = replace(TERMS, switch_cost=5.0) if moves else TERMS
        seconds, plan = planned(servers, cards, seed, terms, options.time_limit)
        table.add_row(
            f"{servers}",
            f"× {cards:g}",
            "yes" if moves else "no",
            f"{seed}",
            f"{seconds:.1f}",
            f"{plan.timings_ms['candidates'] / 1e3:.1f}",
            plan.method,
            plan.status.value,
            "unknown" if plan.gap is None else f"{plan.gap:.2%}",
            f"{len(plan.unscheduled)}",
            f"{plan.cost:,.0f}",
            f"{plan.reserved_cost:,.0f}",
            f"{plan.on_demand_cost:,.0f}",
            f"{plan.spot_cost:,.0f}",
            *(
                "does not fit" if other is None else f"{other / plan.cost - 1.0:+.0%}"
                for other in (plan.hour_by_hour_cost, plan.static_cost, plan.static_reserved_cost)
            ),
        )
    Console(width=190).print(table)


if __name__ == "__main__":
    main()
