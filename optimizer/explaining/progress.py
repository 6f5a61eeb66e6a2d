"""How far an explanation is, and whether there is time for more."""

from __future__ import annotations

from collections.abc import Callable

from optimizer.preparation import Clock

Report = Callable[[int, int], None]
"""Is told how many steps are done, of how many."""


class Progress:
    """Counts steps and what is left open, and knows when the time is over."""

    def __init__(
        self, steps: int, time_limit_s: float | None, clock: Clock, report: Report | None
    ) -> None:
        """Start.

        Args:
            steps: How many there are.
            time_limit_s: Time after which nothing further is planned again; None for no limit.
            clock: Seconds.
            report: Is told how many steps are done, of how many.
        """
        self._steps = steps
        self._clock = clock
        self._deadline = None if time_limit_s is None else clock() + time_limit_s
        self._limit_s = time_limit_s
        self._report = report
        self._done = 0
        self.skipped = 0

    @property
    def late(self) -> bool:
        """Whether the time is over."""
        return self._deadline is not None and self._clock() > self._deadline

    def past(self, share: float) -> bool:
        """Whether a share of the whole time is over."""
        if self._deadline is None or self._limit_s is None:
            return False
        return self._clock() > self._deadline - (1.0 - share) * self._limit_s

    def skip(self, questions: int = 1) -> None:
        """Count questions that are left open."""
        self.skipped += questions

    def step(self, steps: int = 1) -> None:
        """Count steps that are done."""
        self._done += steps
        if self._report is not None:
            self._report(min(self._done, self._steps), self._steps)
