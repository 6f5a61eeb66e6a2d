"""Whole plans of the large fleet scaled from 27 to 5000 servers, on one thread.

`python -m benchmarks.bench_plan` prints, for each fleet size and queue limit, the time of the
candidate table (all pairs of servers and accelerators, Stoker's objects included), and of whole
plans by the greedy method and by the MILP, each with its ratio to the greedy plan of the same
run. The gap is the one that was proven. The last columns are a greedy plan by the analysis `full`,
and its candidate table; all others are by the analysis `reference`. A second table is of scarce
fleets, with half the cards, by the MILP, the largest by both analyses: wall-clock time of the whole
plan, that of the analysis and that of the processor, and the most memory that the process has had.
A third one is of 100 servers with served vectors proven exactly, group by group, cards ample and
scarce, by both analyses and for ten seeds of the loads: the whole of it, and its parts; and what is
proven within three seconds.
"""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass, replace

# One thread: set before numpy loads its linear algebra.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.fleets import scaled_large
from optimizer.candidates import build_candidates
from optimizer.planner import plan_fleet
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.scaling import scale_capacity
from stoker.domain.settings import Analysis, OptimizerSettings, SolverKind

SERVERS = (27, 100, 1000, 5000)
QUEUE_LIMITS = (0, 200)
MILP_GAP = 1e-3
SCARCE = ((1000, Analysis.REFERENCE), (5000, Analysis.REFERENCE), (5000, Analysis.FULL))
"""Scarce fleets: servers and analysis."""
EXACT_SERVERS = 100
SEEDS = range(1, 11)
PROMISED_S = 3.0
"""Time within which served vectors are to be proven, the analysis included."""
_AFTERWARDS_S = 0.25
"""Time for what comes after the search."""
_LEAST_S = 0.3
SCARCE_SHARE = 0.5
"""Share of the cards that scarce fleets have; a part of the lowest class goes without."""


@dataclass(frozen=True, slots=True)
class PlanTime:
    """Times of one fleet, in seconds."""

    pairs: int
    candidates_s: float
    greedy_s: float
    milp_s: float
    full_candidates_s: float
    full_s: float
    plan: Plan


def timed_plan(fleet: Fleet, settings: OptimizerSettings) -> tuple[float, Plan]:
    """Return the seconds that a whole plan takes, and the plan."""
    start = time.perf_counter()
    plan = plan_fleet(fleet, settings)
    return time.perf_counter() - start, plan


def timed_candidates(fleet: Fleet, analysis: Analysis) -> tuple[int, float]:
    """Return the number of candidate pairs, and the seconds that their table takes."""
    start = time.perf_counter()
    table = build_candidates(fleet, analysis)
    return table.server.size, time.perf_counter() - start


def measure(servers: int, queue_limit: int) -> PlanTime:
    """Time candidates, greedy plans and a MILP plan of the scaled fleet."""
    fleet = scaled_large(servers, queue_limit)
    pairs, candidates_s = timed_candidates(fleet, Analysis.REFERENCE)
    reference = OptimizerSettings(analysis=Analysis.REFERENCE)
    greedy_s, _ = timed_plan(fleet, replace(reference, solver=SolverKind.GREEDY))
    milp = replace(reference, solver=SolverKind.MILP, relative_gap=MILP_GAP)
    milp_s, plan = timed_plan(fleet, milp)
    _, full_candidates_s = timed_candidates(fleet, Analysis.FULL)
    full = OptimizerSettings(solver=SolverKind.GREEDY, analysis=Analysis.FULL)
    full_s, _ = timed_plan(fleet, full)
    return PlanTime(pairs, candidates_s, greedy_s, milp_s, full_candidates_s, full_s, plan)


def print_scarce() -> None:
    """Print one row for each scarce fleet."""
    table = Table(title=f"Half the cards, one thread; MILP to a gap of {MILP_GAP:.1%}")
    headers = ["servers", "analysis", "whole s", "analysis s", "processor s", "GB"]
    headers += ["status", "gap proven"]
    for header in [*headers, "served by priority", "at most"]:
        table.add_column(header, justify="right", no_wrap=True)
    for servers, analysis in SCARCE:
        fleet = scale_capacity(scaled_large(servers, 0), SCARCE_SHARE)
        chosen = OptimizerSettings(analysis=analysis, relative_gap=MILP_GAP)
        start = time.process_time()
        wall_s, plan = timed_plan(fleet, chosen)
        used_s = time.process_time() - start
        memory_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        table.add_row(
            f"{servers}",
            analysis.value,
            f"{wall_s:.2f}",
            f"{plan.timings_ms['candidates'] / 1e3:.2f}",
            f"{used_s:.2f}",
            f"{memory_gb:.2f}",
            plan.status.value,
            "unknown" if plan.gap is None else f"{plan.gap:.1e}",
            ", ".join(f"{group.served}/{group.servers}" for group in plan.services),
            ", ".join(f"{group.bound}" for group in plan.services),
        )
    Console(width=160).print(table)


def print_exact() -> None:
    """Print one row for each analysis and number of cards, served vectors proven."""
    title = f"{EXACT_SERVERS} servers, served vectors exact, value to {MILP_GAP:.1%}, loads of"
    table = Table(title=f"{title} {len(SEEDS)} seeds: median (worst)")
    headers = ["analysis", "cards", "total s", "processor s", "analysis s", "solve s", "optimal"]
    for header in [*headers, "gap proven", "served at least", "vectors proven"]:
        table.add_column(header, justify="right", no_wrap=True)
    for analysis in Analysis:
        for share, within_s in ((1.0, None), (SCARCE_SHARE, None), (SCARCE_SHARE, PROMISED_S)):
            rows = [_exact(analysis, share, seed, within_s) for seed in SEEDS]
            plans = [plan for _, _, plan in rows]
            cards = "ample" if share == 1.0 else f"{share:.0%}"
            table.add_row(
                analysis.value,
                cards if within_s is None else f"{cards}, to {within_s:g} s",
                _spread([wall_s for wall_s, _, _ in rows]),
                _spread([used_s for _, used_s, _ in rows]),
                _spread([plan.timings_ms["candidates"] / 1e3 for plan in plans]),
                _spread([plan.timings_ms["solve"] / 1e3 for plan in plans]),
                f"{sum(plan.status is PlanStatus.OPTIMAL for plan in plans)}/{len(plans)}",
                f"{max(np.inf if plan.gap is None else plan.gap for plan in plans):.1e}",
                f"{min(sum(group.served for group in plan.services) for plan in plans)}",
                f"{sum(_proven(plan) for plan in plans)}/{len(plans)}",
            )
    Console(width=160).print(table)


def _exact(
    analysis: Analysis, share: float, seed: int, within_s: float | None
) -> tuple[float, float, Plan]:
    """Return wall-clock seconds, seconds of the processor, and the plan of one fleet.

    Where it is to be there within some seconds, the solver has what the analysis leaves of them.
    """
    fleet = scale_capacity(scaled_large(EXACT_SERVERS, 0, seed=seed), share)
    chosen = OptimizerSettings(analysis=analysis, relative_gap=MILP_GAP)
    if within_s is not None:
        left_s = within_s - timed_candidates(fleet, analysis)[1] - _AFTERWARDS_S
        chosen = replace(chosen, time_limit_s=max(_LEAST_S, left_s))
    start = time.process_time()
    wall_s, plan = timed_plan(fleet, chosen)
    return wall_s, time.process_time() - start, plan


def _spread(values: list[float]) -> str:
    return f"{np.median(values):.2f} ({max(values):.2f})"


def _proven(plan: Plan) -> bool:
    return all(group.bound == group.served for group in plan.services)


def main() -> None:
    """Print one row for each fleet size and queue limit, then scarce fleets, then exact ones."""
    table = Table(title=f"Whole plans, one thread; MILP to a gap of {MILP_GAP:.1%}")
    headers = ["servers", "queue", "pairs", "candidates s", "µs/pair", "greedy s", "MILP s"]
    headers += ["MILP/greedy", "status", "gap proven", "served", "full: candidates s", "greedy s"]
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True)
    measure(27, 0)  # Imports and first calls are not what is measured.
    for servers in SERVERS:
        for queue_limit in QUEUE_LIMITS:
            row = measure(servers, queue_limit)
            served = sum(group.served for group in row.plan.services)
            gap = "unknown" if row.plan.gap is None else f"{row.plan.gap:.1e}"
            table.add_row(
                f"{servers}",
                f"{queue_limit}",
                f"{row.pairs}",
                f"{row.candidates_s:.3f}",
                f"{row.candidates_s / row.pairs * 1e6:.1f}",
                f"{row.greedy_s:.2f}",
                f"{row.milp_s:.2f}",
                f"{row.milp_s / row.greedy_s:.1f}",
                row.plan.status.value,
                gap,
                f"{served}/{servers}",
                f"{row.full_candidates_s:.2f}",
                f"{row.full_s:.2f}",
            )
    Console(width=160).print(table)
    print_scarce()
    print_exact()


if __name__ == "__main__":
    main()
