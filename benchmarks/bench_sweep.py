"""Sweeps: what sharing predictions saves, and what processes do.

`python -m benchmarks.bench_sweep` plans one grid three times in the same run: point by point with
`plan_fleet`, with predictions shared between points that differ in prices, cards and settings
alone, and so by a pool of processes. It prints the time of each and its ratio to the first, by
fleet and by analysis: processor time for sharing, which other work on the machine does not touch,
and time by the clock for the pool. It fails where the rows are not the same.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace

# One thread: set before numpy loads its linear algebra.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from rich.console import Console
from rich.table import Table

from data.fleets import read_fleet
from optimizer.planner import plan_fleet
from stoker.domain.settings import Analysis, SolverKind
from studies.sweeping.grid import Study, grid_study
from studies.sweeping.pool import usable_cores
from studies.sweeping.rows import Cell, Layout, Row
from studies.sweeping.sweep import run_sweep

GRID = ("load=0.5,2", "price.A100=0.2,0.4,0.6", "cards=x0.25,x0.5,x1")
CASES = (
    ("small", Analysis.FULL, SolverKind.GREEDY),
    ("large", Analysis.REFERENCE, SolverKind.GREEDY),
    ("large", Analysis.FULL, SolverKind.GREEDY),
    ("large", Analysis.FULL, SolverKind.MILP),
)


def study_of(name: str, analysis: Analysis, solver: SolverKind) -> Study:
    """Return the grid of a built-in fleet."""
    fleet = read_fleet(name)
    settings = replace(fleet.settings, analysis=analysis, solver=solver)
    return grid_study(replace(fleet, settings=settings), GRID)


def one_by_one(study: Study) -> list[Row]:
    """Plan every point by itself."""
    layout = Layout.of(study)
    rows = []
    for point in study.points:
        fleet = study.at(point)
        rows.append(layout.plan_row(point, fleet, plan_fleet(fleet)))
    return rows


def untimed(row: Row) -> dict[str, Cell]:
    """Return a row without its timings."""
    return {name: cell for name, cell in row.items() if not name.endswith("_ms")}


def main() -> None:
    """Print the table."""
    cores = usable_cores()
    table = Table(title=f"{len(study_of(*CASES[0]).points)} points: {', '.join(GRID)}")
    for heading in (
        "fleet",
        "analysis",
        "solver",
        "alone [CPU s]",
        "shared [CPU s]",
        "ratio",
        "alone [s]",
    ):
        table.add_column(heading, justify="right")
    table.add_column(f"{cores} proc. [s]", justify="right")
    table.add_column("ratio", justify="right")
    for case in CASES:
        study = study_of(*case)
        start, began = time.perf_counter(), time.process_time()
        alone = one_by_one(study)
        middle, ended = time.perf_counter(), time.process_time()
        shared = run_sweep(study).rows
        then, shared_s = time.perf_counter(), time.process_time() - ended
        pooled = run_sweep(study, jobs=cores).rows
        end, alone_s = time.perf_counter(), ended - began
        for rows in (shared, pooled):
            if list(map(untimed, rows)) != list(map(untimed, alone)):
                raise SystemExit(f"{case}: a shared row differs from the plan of its point")
        first = middle - start
        table.add_row(
            *(str(part) for part in case),
            f"{alone_s:.2f}",
            f"{shared_s:.2f}",
            f"{alone_s / shared_s:.2f}",
            f"{first:.2f}",
            f"{end - then:.2f}",
            f"{first / (end - then):.2f}",
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
