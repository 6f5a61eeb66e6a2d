"""Frontiers of cost, as rows: against what is served, or how tight the targets are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from stoker.domain.fleet import Fleet
from stoker.domain.plan import PlanStatus
from studies.sweeping.attainment import Frontier, Measure, Report, attainment_frontier
from studies.sweeping.by_budget import priority_frontier
from studies.sweeping.dominance import dominated
from studies.sweeping.grid import Point, Study, grid_study
from studies.sweeping.history import without_history
from studies.sweeping.rows import FAILED, Cell, Column, Layout, Row
from studies.sweeping.sweep import run_sweep

PLACE = "place"
"""Column that tells where a point lies."""

PRIORITIES = "served_by_priority"
"""What the cost is weighed against where that is the number served of each priority, in turn."""


class Place(StrEnum):
    """Where a point lies."""

    FRONTIER = "frontier"
    DOMINATED = "dominated"
    """Another point is no worse in anything, and better in something."""
    INCOMPLETE = "incomplete"
    """It serves fewer servers of some priority than another point does, or nobody at all."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ParetoResults:
    """A frontier.

    Attributes:
        columns: Columns of the rows.
        rows: A row a point, by rising cost or by looser targets.
        against: Column of what the cost is weighed against; or `PRIORITIES`.
        claim: What is proven of it, in a sentence.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    against: str
    claim: str


def pareto_attainment(
    fleet: Fleet,
    measure: Measure,
    most_points: int = 50,
    *,
    time_limit_s: float | None = 60.0,
    report: Report | None = None,
) -> ParetoResults:
    """Return the frontier of cost against what is served within all targets.

    Args:
        fleet: The fleet.
        measure: Whether servers count, or their requests.
        most_points: Largest number of points.
        time_limit_s: Limit of each solve.
        report: Told how many points there are.

    Raises:
        InvalidInputError: The fleet uses what this frontier does not know.
        SolverUnavailableError: The MILP solver asked for cannot be used.
    """
    frontier = attainment_frontier(
        fleet, measure, most_points, time_limit_s=time_limit_s, report=report
    )
    study = Study(fleet, (), ())
    layout = Layout.of(study)
    rows = [
        layout.plan_row(Point(index, ()), fleet, plan) for index, plan in enumerate(frontier.plans)
    ]
    against = f"attainment_{measure.value}"
    extra = (Column(PLACE, "text"), Column(against, "number"))
    shares = [_share(row, measure) for row in rows]
    costs = [_number(row["cost_per_hour"]) for row in rows]
    marks = dominated([(-share, cost) for share, cost in zip(shares, costs, strict=True)])
    marked = tuple(
        _with(row, {PLACE: (Place.DOMINATED if mark else Place.FRONTIER).value, against: share})
        for row, mark, share in zip(rows, marks, shares, strict=True)
    )
    return ParetoResults(
        _columns(layout, extra), marked, against, _attainment_claim(frontier, measure)
    )


def pareto_priorities(
    fleet: Fleet,
    most_points: int = 50,
    *,
    time_limit_s: float | None = 60.0,
    report: Report | None = None,
) -> ParetoResults:
    """Return the frontier of cost against the servers served, those of higher priority first.

    Args:
        fleet: The fleet.
        most_points: Largest number of points.
        time_limit_s: Limit of each plan.
        report: Told how many points there are.

    Raises:
        InvalidInputError: The fleet uses what plans within a budget do not know.
        SolverUnavailableError: The MILP solver asked for cannot be used.
    """
    frontier = priority_frontier(fleet, most_points, time_limit_s=time_limit_s, report=report)
    layout = Layout.of(Study(fleet, (), ()))
    rows = tuple(
        _with(layout.plan_row(Point(index, ()), fleet, plan), {PLACE: Place.FRONTIER.value})
        for index, plan in enumerate(frontier.plans)
    )
    columns = _columns(layout, (Column(PLACE, "text"),))
    return ParetoResults(columns, rows, PRIORITIES, _priorities_claim(frontier))


def pareto_latency(
    fleet: Fleet,
    scales: str,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    folder: Path | None = None,
    report: Report | None = None,
) -> ParetoResults:
    """Return the frontier of cost against how tight all latency targets are.

    Each scale is planned by the optimizer, priorities first; what runs now counts for nothing.

    Args:
        fleet: The fleet.
        scales: Factors on all latency targets, such as ``0.5:2:0.1``.
        jobs: Processes.
        scheduler: Address of a Dask cluster that plans in their place; None for none.
        folder: Where points are kept, so that a run that was cut off goes on; None for nowhere.
        report: Told how many scales are planned.

    Raises:
        InvalidInputError: The scales are nonsense, or the folder holds another sweep.
    """
    study = grid_study(without_history(fleet), [f"targets={scales}"])
    results = run_sweep(study, jobs=jobs, scheduler=scheduler, folder=folder, report=report)
    rows = sorted(results.rows, key=lambda row: _number(row["targets"]))
    marked = tuple(
        _with(row, {PLACE: place.value})
        for row, place in zip(rows, places(results.columns, rows), strict=True)
    )
    columns = _columns(Layout.of(study), (Column(PLACE, "text"),))
    claim = (
        "Each point is the plan of least cost at its scale, within its gap; between the scales "
        "nothing is claimed."
    )
    return ParetoResults(columns, marked, "targets", claim)


def places(columns: Sequence[Column], rows: Sequence[Row]) -> list[Place]:
    """Return where points lie in cost against the scale of targets.

    Only points that serve somebody, and as many servers of every priority as any other, are
    compared: serving fewer is cheaper, and no saving.
    """
    names = [item.name for item in columns if item.name.startswith("served_priority_")]
    planned = [row for row in rows if row["status"] != FAILED]
    most = {name: max((_number(row[name]) for row in planned), default=0.0) for name in names}
    found = [
        Place.FAILED
        if row["status"] == FAILED
        else Place.FRONTIER
        if row["served"] and all(_number(row[name]) >= most[name] for name in names)
        else Place.INCOMPLETE
        for row in rows
    ]
    complete = [index for index, place in enumerate(found) if place is Place.FRONTIER]
    marks = dominated(
        [(_number(rows[k]["targets"]), _rounded(rows[k]["cost_per_hour"])) for k in complete]
    )
    for index, mark in zip(complete, marks, strict=True):
        if mark:
            found[index] = Place.DOMINATED
    return found


def _attainment_claim(frontier: Frontier, measure: Measure) -> str:
    what = "servers" if measure is Measure.SERVERS else "requests"
    proven = all(plan.gap is not None and plan.gap <= 1e-6 for plan in frontier.plans)
    if frontier.whole and frontier.proven and proven:
        return (
            f"This is the whole frontier: no plan serves as many {what} for less, or more "
            "for as much. Priorities do not count here."
        )
    exact = "" if proven else ", but for the gaps shown"
    cut = "more may be served than here, or more for as much"
    return (
        f"No plan serves as many {what} for less than these{exact}; "
        f"{_left_open(frontier, proven, cut)}. Priorities do not count here."
    )


def _priorities_claim(frontier: Frontier) -> str:
    proven = all(plan.status is PlanStatus.OPTIMAL for plan in frontier.plans)
    if frontier.whole and frontier.proven and proven:
        return (
            "This is the whole frontier: any budget buys the dearest of these plans that "
            "it covers, and none serves the priorities better, the highest first."
        )
    exact = "" if proven else ", but for the plans that are not proven optimal"
    cut = "cheaper plans may be missing"
    return (
        f"Each is what its cost buys, the highest priority first{exact}; "
        f"{_left_open(frontier, proven, cut)}."
    )


def _left_open(frontier: Frontier, proven: bool, cut: str) -> str:
    """Return why a frontier is not the whole one.

    Args:
        frontier: The frontier.
        proven: Whether each of its plans is proven by itself.
        cut: What may be missing where a time limit has cut the search for others.
    """
    reasons = []
    if not frontier.whole:
        reasons.append("the frontier has more points between them (--points)")
    elif not proven:
        # The walk goes on from what a plan serves, which a better one may serve less of.
        reasons.append("before one that is not proven, points may be missing")
    if not frontier.proven:
        reasons.append(f"a search ran out of time: {cut} (--time-limit)")
    return "; ".join(reasons)


def _columns(layout: Layout, extra: tuple[Column, ...]) -> tuple[Column, ...]:
    columns = layout.columns
    at = [column.name for column in columns].index("status")
    return (*columns[:at], *extra, *columns[at:])


def _with(row: Row, cells: dict[str, Cell]) -> Row:
    """Return a row with further cells before the status."""
    made: dict[str, Cell] = {}
    for name, cell in row.items():
        if name == "status":
            made |= cells
        made[name] = cell
    return made


def _share(row: Row, measure: Measure) -> float:
    part, whole = (
        ("served", "servers") if measure is Measure.SERVERS else ("served_rps", "offered_rps")
    )
    total = _number(row[whole])
    return _number(row[part]) / total if total > 0 else 1.0


def _number(cell: Cell) -> float:
    return float(cell) if isinstance(cell, int | float) else 0.0


def _rounded(cell: Cell) -> float:
    """Return a cost without the rounding of its last digits, which saves nobody anything."""
    return float(f"{_number(cell):.10g}")
