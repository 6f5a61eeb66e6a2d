"""What to time next: the case whose time is known least, by what was timed so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from profiler.harness.cases import Limits, candidates, first_cases, shuffled
from profiler.iterations.planes import Planes
from profiler.iterations.states import States
from stoker.domain.timing import CaseTiming, IterationCase, IterationKind
from stoker.domain.units import MS_PER_SECOND

WEIGHTS: Mapping[IterationKind, float] = {
    IterationKind.DECODE: 1.0,
    IterationKind.PREFILL: 1.0,
    IterationKind.MIXED: 0.5,
}
"""How much it matters to know a time. What mixing saves is a small part of an iteration."""

_ROUND = 4
"""Cases that are chosen at once, and taken in random order."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What to time next.

    Attributes:
        cases: The cases, in order; none where all is known well enough.
        doubt: Standard deviation of the logarithm of the time that is known least, by its weight;
            None before the surfaces can tell.
        expected_s: About how long each case takes; None where nobody knows.
    """

    cases: tuple[IterationCase, ...]
    doubt: float | None
    expected_s: tuple[float | None, ...]


class Chooser:
    """Chooses cases: first a spread of all kinds, then where surfaces through them know least.

    The doubt about a time is the standard deviation that Gaussian-process regression has there
    (`profiler.iterations.surface`). It is large where neighbours are far or disagree when each is
    predicted from the others, and small where a straight line would do.
    """

    def __init__(self, limits: Limits, seed: int, tolerance: float) -> None:
        """Lay out the cases.

        Args:
            limits: How far they go.
            seed: Of their order.
            tolerance: Doubt, weighted, at which a time is known well enough.
        """
        self.everything = candidates(limits)
        self.first = first_cases(limits, seed)
        self._seed, self._tolerance = seed, tolerance

    def choose(self, timings: Mapping[IterationCase, CaseTiming], seconds: float) -> Choice:
        """Return what to time next.

        Args:
            timings: All results so far.
            seconds: Time that these took in all.
        """
        first = [case for case in self.first if case not in timings]
        if first:
            return Choice(tuple(first), None, (None,) * len(first))
        left = [case for case in self.everything if case not in timings]
        if not left:
            return Choice((), 0.0, ())
        times, doubt = Planes.through(States.of(timings.values())).predict(States.at(left))
        weighted = doubt * np.array([WEIGHTS[case.kind] for case in left])
        order = np.argsort(-weighted, kind="stable")[:_ROUND]
        wanted = [left[index] for index in order if weighted[index] > self._tolerance]
        expected = dict(zip(left, times, strict=True))
        runs = _runs(timings, seconds)
        cases = shuffled(wanted, self._seed)
        return Choice(
            tuple(cases),
            float(weighted[order[0]]),
            tuple(float(expected[case]) / MS_PER_SECOND * runs for case in cases),
        )


def _runs(timings: Mapping[IterationCase, CaseTiming], seconds: float) -> float:
    """Return how many times its own time a case takes, with its preparation and warm-up."""
    medians: Sequence[float] = [item.median_ms for item in timings.values() if item.median_ms]
    total = sum(medians) / MS_PER_SECOND
    return seconds / total if total > 0 else 0.0
