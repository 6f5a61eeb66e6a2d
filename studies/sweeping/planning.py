"""The plan of a point, from predictions that were made already or from scratch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from optimizer.assemble import assemble_plan
from optimizer.check import check_plan
from optimizer.kept import kept_allocations, kept_cards, kept_notes
from optimizer.planner import effective_settings, place, plan_fleet
from optimizer.predictors import unheeded_notes
from optimizer.table import CandidateTable
from optimizer.usage import card_counts
from stoker.domain.errors import PlanCheckError, StokerError
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.settings import DEFAULT_ANALYSIS, SolverKind
from studies.sweeping.changes import changes_predictions
from studies.sweeping.grid import Point, Study
from studies.sweeping.reuse import is_plain, neutral_table, repriced
from studies.sweeping.rows import Layout, Row
from studies.sweeping.values import Value

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class PointResult:
    """What came of a point.

    Attributes:
        index: The point.
        row: Its row of results.
    """

    index: int
    row: Row


class Predictions:
    """The candidate table made last, for the points that share it."""

    def __init__(self) -> None:
        """Begin with none."""
        self._last: tuple[tuple[Value, ...], CandidateTable] | None = None

    def table(self, study: Study, point: Point, fleet: Fleet) -> CandidateTable:
        """Return the table of a point at its own prices, made anew only where it must be.

        Args:
            study: The study; one object remembers one study alone.
            point: The point.
            fleet: Its fleet.

        Raises:
            InvalidInputError: As `build_candidates`.
        """
        key, last = prediction_key(study, point), self._last
        if last is None or last[0] != key:
            analysis = fleet.settings.analysis or DEFAULT_ANALYSIS
            last = self._last = (key, neutral_table(fleet, analysis))
        return repriced(last[1], fleet)


def plan_points(
    study: Study,
    points: Iterable[Point],
    layout: Layout,
    predictions: Predictions | None = None,
    clock: Clock = time.perf_counter,
) -> Iterator[PointResult]:
    """Plan points one after the other, and yield the result of each.

    Neighbours that differ in prices, counts and settings alone share their predictions. A point
    that fails gives a result that says why.

    Args:
        study: The fleet and what varies; its own points are not looked at.
        points: The points, best sorted by what changes predictions (`in_groups`).
        layout: Columns of the results.
        predictions: Those of earlier points of the same study; None for none.
        clock: Seconds, for timings and time limits.
    """
    known = predictions or Predictions()
    shareable = is_plain(study.fleet)
    for point in points:
        start = clock()
        try:
            fleet = study.at(point)
            if shareable and _can_share(fleet):
                plan = plan_with_table(fleet, known.table(study, point, fleet), clock, start)
            else:
                plan = plan_fleet(fleet, clock=clock)
            row = layout.plan_row(point, fleet, plan)
        except (StokerError, PlanCheckError) as error:
            row = layout.failed_row(point, str(error), (clock() - start) * 1e3)
        except Exception as error:  # noqa: BLE001  (a bug at one point must not lose the others)
            message = f"{type(error).__name__}: {error}"
            row = layout.failed_row(point, message, (clock() - start) * 1e3)
        yield PointResult(point.index, row)


def prediction_key(study: Study, point: Point) -> tuple[Value, ...]:
    """Return the values of a point that change predictions: points with equal ones share them."""
    return tuple(
        value
        for parameter, value in zip(study.parameters, point.values, strict=True)
        if changes_predictions(parameter.change)
    )


def in_groups(study: Study, points: Iterable[Point]) -> list[list[Point]]:
    """Return points by what changes predictions: those of a list share them.

    Points keep their order within a list, and lists the order of their first points.
    """
    groups: dict[tuple[Value, ...], list[Point]] = {}
    for point in points:
        groups.setdefault(prediction_key(study, point), []).append(point)
    return list(groups.values())


def _can_share(fleet: Fleet) -> bool:
    """Return whether a fleet is planned from a table alone; pools, limits and mixes need more."""
    settings = fleet.settings
    mixing = settings.heterogeneous and not settings.unlimited
    return fleet.is_plain and not (mixing and settings.solver is not SolverKind.GREEDY)


def plan_with_table(
    fleet: Fleet, table: CandidateTable, clock: Clock, start: float | None = None
) -> Plan:
    """Return the plan of a fleet by its own settings, from its candidate table.

    The plan is that of `plan_fleet`, whose steps these are, but for the first.

    Args:
        fleet: The fleet; it mixes no accelerators.
        table: Its candidates, at its own prices.
        clock: Seconds, for timings and time limits.
        start: When the predictions began; None where they were there already.

    Raises:
        SolverUnavailableError: The MILP solver asked for cannot be used.
        PlanCheckError: The plan broke its own rules, which is a bug.
    """
    predicted = clock()
    settings = effective_settings(fleet.settings)
    analysis = table.analysis
    kept = kept_allocations(fleet)
    outcome = place(fleet, table, settings, kept_cards(kept), clock)
    placed = clock()
    counts = None if settings.unlimited else card_counts(fleet)
    plan = assemble_plan(
        fleet,
        table,
        outcome,
        analysis=analysis,
        unlimited=settings.unlimited,
        kept=kept,
        notes=(*unheeded_notes(fleet, analysis), *kept_notes(fleet, kept, counts)),
    )
    check_plan(fleet, plan, unlimited=settings.unlimited, own_predictions=True)
    end = clock()
    begun = predicted if start is None else start
    timings = {
        "candidates": (predicted - begun) * 1e3,
        "place": (placed - predicted) * 1e3,
        **outcome.timings_ms,
        "assemble": (end - placed) * 1e3,
        "total": (end - begun) * 1e3,
    }
    return replace(plan, timings_ms=timings)
