"""The plan of a point, from predictions that were made already or from scratch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from optimizer.planner import plan_fleet, plan_prepared
from optimizer.preparation import Clock, prepare
from optimizer.table import CandidateTable
from stoker.domain.errors import PlanCheckError, StokerError
from stoker.domain.fleet import Fleet
from stoker.domain.settings import Analysis
from studies.sweeping.changes import changes_predictions
from studies.sweeping.grid import Point, Study
from studies.sweeping.reuse import is_plain, neutral_table, repriced
from studies.sweeping.rows import Layout, Row
from studies.sweeping.values import Value


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

    def table(self, study: Study, point: Point, fleet: Fleet, analysis: Analysis) -> CandidateTable:
        """Return the table of a point at its own prices, made anew only where it must be.

        Args:
            study: The study; one object remembers one study alone.
            point: The point.
            fleet: Its fleet.
            analysis: The analysis that its settings name.

        Raises:
            InvalidInputError: As `build_candidates`.
        """
        key, last = prediction_key(study, point), self._last
        if last is None or last[0] != key:
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
    for point in points:
        start = clock()
        try:
            fleet = study.at(point)
            # What varies may bring in what shared predictions do not know, and take it away.
            if is_plain(fleet):
                predict = partial(known.table, study, point)
                prepared = prepare(fleet, predict=predict, clock=clock)
                plan = plan_prepared(prepared, clock=clock)
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
