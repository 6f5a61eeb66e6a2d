"""A whole sweep: what is left to do, who does it, and the rows that come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from stoker import __version__
from studies.sweeping.cluster import run_cluster
from studies.sweeping.folder import SweepFolder, write_whole
from studies.sweeping.grid import Study
from studies.sweeping.planning import PointResult
from studies.sweeping.pool import run_here, run_pool
from studies.sweeping.rows import Column, Layout, Row
from studies.sweeping.tables import can_write_parquet, to_csv, to_parquet
from studies.sweeping.tasks import make_tasks

CSV = "results.csv"
PARQUET = "results.parquet"

_CLUSTER_JOBS = 16
"""Workers that a cluster is taken to have, for the size of tasks."""

Report = Callable[[int], None]
"""Told how many points are done."""


@dataclass(frozen=True, slots=True)
class SweepResults:
    """What came of a sweep.

    Attributes:
        columns: Columns of the rows.
        rows: A row for each point, in the order of the points.
        planned: Points planned by this run; the others were done before.
        written: Files of results.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    planned: int
    written: tuple[Path, ...] = ()


def run_sweep(
    study: Study,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    folder: Path | None = None,
    report: Report | None = None,
) -> SweepResults:
    """Plan every point of a study.

    Args:
        study: The fleet and the points.
        jobs: Processes; 1 plans in this one.
        scheduler: Address of a Dask scheduler whose workers plan instead; None for none.
        folder: Where to keep what is done, so that the same sweep goes on after it was cut off;
            None to keep nothing.
        report: Told how many points are done, those of earlier runs included.

    Raises:
        InvalidInputError: The folder belongs to another sweep, or the cluster cannot be used.
        MissingExtraError: Dask is not installed here.
        ClusterLostError: The cluster went away; what is done is kept.
    """
    layout = Layout.of(study)
    done: dict[int, PointResult] = {}
    if folder is None:
        for results in _results(study, layout, done, jobs, scheduler):
            done |= {result.index: result for result in results if result.index not in done}
            if report is not None:
                report(len(done))
        rows = tuple(done[point.index].row for point in study.points)
        return SweepResults(layout.columns, rows, len(done))
    with SweepFolder(folder, study, __version__) as kept:
        before = len(kept.done)
        if report is not None:
            report(before)
        for results in _results(study, layout, kept.done, jobs, scheduler):
            kept.add(results)
            if report is not None:
                report(len(kept.done))
        rows = tuple(kept.done[point.index].row for point in study.points)
        written = _write(folder, layout, rows)
        return SweepResults(layout.columns, rows, len(rows) - before, written)


def done_before(study: Study, folder: Path | None) -> int:
    """Return how many points of a study a folder holds already.

    Raises:
        InvalidInputError: The folder belongs to another sweep, is damaged or in use.
    """
    if folder is None:
        return 0
    with SweepFolder(folder, study, __version__) as kept:
        return len(kept.done)


def _results(
    study: Study,
    layout: Layout,
    done: dict[int, PointResult],
    jobs: int,
    scheduler: str | None,
) -> Iterator[list[PointResult]]:
    left = [point for point in study.points if point.index not in done]
    if not left:
        return
    tasks = make_tasks(study, left, _CLUSTER_JOBS if scheduler else jobs)
    if scheduler is not None:
        results = run_cluster(study, layout, tasks, scheduler)
    elif jobs > 1 and len(tasks) > 1:
        results = run_pool(study, layout, tasks, min(jobs, len(tasks)))
    else:
        results = run_here(study, layout, tasks)
    with closing(results):  # type: ignore[type-var]  # generators, all of them
        yield from results


def _write(folder: Path, layout: Layout, rows: tuple[Row, ...]) -> tuple[Path, ...]:
    """Write the results as CSV, and as Parquet where pyarrow is installed."""
    write_whole(folder / CSV, to_csv(layout.columns, rows).encode())
    if not can_write_parquet():
        return (folder / CSV,)
    write_whole(folder / PARQUET, to_parquet(layout.columns, rows))
    return folder / CSV, folder / PARQUET
