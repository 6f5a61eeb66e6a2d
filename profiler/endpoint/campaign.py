"""A campaign of measurements: point after point, until predictions are known well enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np

from profiler.endpoint.design import (
    Knowledge,
    learn,
    most_telling,
    open_loops,
    predicted,
    uncertainty,
)
from profiler.endpoint.guidellm_runs import RunFailedError
from profiler.endpoint.operating_points import Grid, OperatingPoint
from profiler.endpoint.server import Deployment, Server
from profiler.fit.forecast import Forecast, forecast
from profiler.fit.points import Points
from stoker.domain.errors import StokerError
from stoker.domain.measurement import LoadKind, Measurement

_POINTS_A_RUN = 2
_LIFETIMES = 8.0
"""Times that a request lasts, in the length of a run: what is in flight at its end is lost."""
_OPEN_REQUESTS = 40
"""Requests of an open loop, at least."""
_LONGER = 3.0
"""How much longer a request may last than the probe of a lone client suggests."""
_MOST_FAILURES = 3
_ALIKE = 0.25
"""Difference of the logarithms of two rates that tell the same."""
_SPARE_ROWS = 2
"""Rows beyond those that the parameters need, without which no confidence is believed."""


class Verdict(StrEnum):
    """Why a campaign ended."""

    KNOWN = "known"
    """Predictions are known as well as asked."""
    BUDGET = "budget"
    """The time, or the points, are used up."""
    EXHAUSTED = "exhausted"
    """Every point of the grid was measured."""


class Runs(Protocol):
    """What measures points."""

    def measure(
        self, points: Sequence[OperatingPoint], seconds: float, turn: int
    ) -> list[Measurement]:
        """Return a row for each point."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a campaign is.

    Attributes:
        rows: Rows so far.
        spent_s: Time spent.
        uncertainty: Relative uncertainty (95%) of predictions of TTFT or ITL, whichever is known
            less, as root mean square over the grid; infinite where a parameter is not told, None
            where too few rows are there.
        untold: Parameters that the rows do not tell.
        doing: The points that are measured now; empty at the end.
        failed: Why the run before failed; empty where it did not.
    """

    rows: int
    spent_s: float
    uncertainty: float | None
    untold: tuple[str, ...]
    doing: tuple[OperatingPoint, ...] = ()
    failed: str = ""


@dataclass(slots=True)
class Campaign:
    """Measures points of a server, chosen one run after the other.

    Attributes:
        server: The server.
        deployment: What is known of it.
        grid: What points are chosen from.
        model: Service-time model whose parameters are sought.
        runs: What measures.
        clock: Monotonic seconds.
        confidence: Relative uncertainty (95%) of predictions over the grid to reach.
        budget_s: Time to spend; a run that has begun is finished.
        most_points: Points to measure at most, those that were there before included.
        point_s: Least length of the load of a point.
        rows: Rows so far; those of an earlier campaign to begin with.
        knowledge: What they tell; None where they are too few.
    """

    server: Server
    deployment: Deployment
    grid: Grid
    model: str
    runs: Runs
    clock: Callable[[], float]
    confidence: float = 0.05
    budget_s: float = 600.0
    most_points: int = 30
    point_s: float = 15.0
    rows: list[Measurement] = field(default_factory=list)
    knowledge: Knowledge | None = None

    def run(
        self,
        on_row: Callable[[Measurement], None],
        on_progress: Callable[[Progress], None],
    ) -> Verdict:
        """Measure until predictions are known well enough, or time or points are used up.

        Args:
            on_row: Called with each new row, as soon as it is there.
            on_progress: Called before each run, and at the end.

        Raises:
            StokerError: Several runs failed one after the other.
        """
        began_s, failures, failed = self.clock(), 0, ""
        skipped: set[OperatingPoint] = set()
        while True:
            self.knowledge = learn(self.rows, self.model)
            doubt = self.doubt
            spent_s = self.clock() - began_s
            untold = self.knowledge.untold if self.knowledge is not None else ()
            points = self._next(skipped)[: max(self.most_points - len(self.rows), 0)]
            verdict = self._verdict(doubt, spent_s, points)
            doing = () if verdict is not None else tuple(points)
            on_progress(Progress(len(self.rows), spent_s, doubt, untold, doing, failed))
            if verdict is not None:
                return verdict
            try:
                found = self.runs.measure(points, self._seconds(points), len(self.rows) + failures)
                failures, failed = 0, ""
            except RunFailedError as error:
                failures, failed = failures + 1, str(error)
                skipped |= set(points)
                if failures == _MOST_FAILURES:
                    raise StokerError(f"{failures} runs failed, the last one: {error}") from error
                continue
            for row in found:
                self.rows.append(row)
                on_row(row)

    def _verdict(
        self, doubt: float | None, spent_s: float, points: Sequence[OperatingPoint]
    ) -> Verdict | None:
        opened = any(row.load_kind is LoadKind.RATE for row in self.rows)
        seen = not self._first_left() and (opened or not self.grid.open_share)
        if seen and doubt is not None and doubt <= self.confidence:
            return Verdict.KNOWN
        if spent_s >= self.budget_s or len(self.rows) >= self.most_points:
            return Verdict.BUDGET
        return None if points else Verdict.EXHAUSTED

    @property
    def doubt(self) -> float | None:
        """Return the uncertainty of predictions over the grid; None where it cannot be told."""
        knowledge = self.knowledge
        if knowledge is None:
            return None
        needed = sum(bool(p.remedy) for p in knowledge.fitted.problem.family.parameters)
        if knowledge.rows < needed + _SPARE_ROWS:
            return None
        if knowledge.untold:
            return math.inf
        closed = self.grid.closed(self.server.max_model_tokens)
        spread = uncertainty(knowledge, closed, self.deployment)
        return float(np.max(np.sqrt(np.nanmean(spread**2, axis=0))))

    def expected(self) -> Forecast | None:
        """Return what the fit says of the rows; None where there is none."""
        if self.knowledge is None or not self.rows:
            return None
        points = Points.of(self.rows)
        return forecast(points, self.knowledge.fitted.candidate(len(points)))

    def _measured(self) -> set[str]:
        return {row.name for row in self.rows}

    def _first_left(self) -> list[OperatingPoint]:
        """Return the points to begin with that were not measured yet."""
        done = self._measured()
        first = self.grid.first(self.server.max_model_tokens)
        return [point for point in first if point.name not in done]

    def _next(self, skipped: Iterable[OperatingPoint]) -> list[OperatingPoint]:
        """Return the points of the next run: one shape, one kind of load."""
        left = [point for point in self._first_left() if point not in skipped]
        if left:
            return [point for point in left if point.shape == left[0].shape]
        if self.knowledge is None:
            return self._unmeasured(skipped)[:1]
        closed = self._unmeasured(skipped)
        opened = [point for point in self._open_loops(self.knowledge) if point not in skipped]
        if opened and not any(row.load_kind is LoadKind.RATE for row in self.rows):
            # One open loop at least: what a fleet meets is no closed loop.
            return most_telling(self.knowledge, opened, self.deployment, 1)
        return most_telling(self.knowledge, closed + opened, self.deployment, _POINTS_A_RUN)

    def _open_loops(self, knowledge: Knowledge) -> list[OperatingPoint]:
        """Return open loops unlike those that were measured."""
        closed = self.grid.closed(self.server.max_model_tokens)
        rates = [row for row in self.rows if row.load_kind is LoadKind.RATE]
        found = open_loops(knowledge, closed, self.grid.open_share, self.deployment)
        return [point for point in found if not any(_alike(point, row) for row in rates)]

    def _unmeasured(self, skipped: Iterable[OperatingPoint]) -> list[OperatingPoint]:
        done = self._measured()
        closed = self.grid.closed(self.server.max_model_tokens)
        return [point for point in closed if point.name not in done and point not in skipped]

    def _seconds(self, points: Sequence[OperatingPoint]) -> float:
        """Return how long the load of points is to last: some lifetimes of a request."""
        if self.knowledge is None:
            life_s = _LONGER * self.server.token_s * max(point.out_tokens for point in points)
        else:
            expected = predicted(self.knowledge, points, self.deployment).e2e_ms
            finite = expected[np.isfinite(expected)]
            life_s = float(finite.max()) / 1000.0 if len(finite) else 0.0
        rates = [point.load for point in points if point.kind is LoadKind.RATE]
        enough_s = max((_OPEN_REQUESTS / rate for rate in rates), default=0.0)
        return math.ceil(max(self.point_s, _LIFETIMES * life_s, enough_s))


def _alike(point: OperatingPoint, row: Measurement) -> bool:
    """Return whether a row was measured at about the load of an open loop, in its shape."""
    shape = point.name.partition("-in-")[2]
    same = row.name.partition("-in-")[2] == shape
    return same and abs(math.log(point.load / row.load)) < _ALIKE
