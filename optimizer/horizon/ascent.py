"""Better prices step by step: along what is taken beyond what there is, smoothed over steps.

A step along a slope is as long as a rise by a share of the bound would take (Polyak's step). The
share shrinks where the bound does not rise, the search goes back to the best prices, and it grows
where the bound rises step after step. Slopes are averaged over steps, which damps their swings (the
volume algorithm of Barahona and Anbil).
"""

from __future__ import annotations

from collections.abc import Callable

from optimizer.horizon.multipliers import Evaluation, Multipliers, PriceSpace

_FRESH = 0.25
"""Weight of the latest slope in the mean of slopes."""

_SHRINK = 0.65
"""What the share shrinks by where the bound does not rise."""

_STREAK, _GROW = 3, 1.5
"""What the share grows by where the bound rises so many times in a row."""

Evaluate = Callable[[Multipliers], Evaluation]
"""What the servers take at prices, and the bound that it proves."""


class Ascent:
    """A search for the prices with the largest bound."""

    def __init__(
        self,
        space: PriceSpace,
        evaluate: Evaluate,
        start: Multipliers,
        *,
        share: float,
        patience: int,
        progress: float = 2e-5,
    ) -> None:
        """Look at the first prices.

        Args:
            space: Prices that are allowed.
            evaluate: Asks the servers.
            start: The first prices.
            share: Share of the bound that a step aims at.
            patience: Steps without progress after which the share shrinks.
            progress: Relative rise that counts.
        """
        self._space, self._evaluate = space, evaluate
        self._patience, self._progress = patience, progress
        self.share = share
        self.best = self._at = start
        self._found = evaluate(start)
        self.bound = self._found.bound
        self._slope: Multipliers | None = None
        self._stale = self._streak = 0

    def step(self) -> None:
        """Look at further prices."""
        fresh = self._space.slope(self._at, self._found)
        slope = fresh if self._slope is None else _mixed(self._slope, fresh)
        self._slope = slope
        steepness = self._space.steepness(self._at, slope)
        if steepness <= 0.0:
            self.share = 0.0
            return
        step = self.share * max(abs(self.bound), 1e-9) / steepness
        self._at = self._space.moved(self._at, slope, step)
        self._found = self._evaluate(self._at)
        rise = self._found.bound - self.bound
        self._stale = 0 if rise > self._progress * abs(self.bound) else self._stale + 1
        self._streak = self._streak + 1 if rise > 0 else 0
        if rise > 0:
            self.best, self.bound = self._at, self._found.bound
        if self._streak >= _STREAK:
            self.share *= _GROW
            self._streak = 0
        if self._stale >= self._patience:
            self.share *= _SHRINK
            self._stale = 0
            if self._found.bound < self.bound:
                self._at = self.best
                self._found = self._evaluate(self.best)


def _mixed(mean: Multipliers, fresh: Multipliers) -> Multipliers:
    return Multipliers(
        (1 - _FRESH) * mean.firm + _FRESH * fresh.firm,
        (1 - _FRESH) * mean.limit + _FRESH * fresh.limit,
        (1 - _FRESH) * mean.spot + _FRESH * fresh.spot,
    )
