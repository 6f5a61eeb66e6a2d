"""How many prompt tokens come into one iteration: compound binomial distributions on a grid.

Each of n slots brings a new prompt with probability q, independently: in a closed loop without
thinking the slots are renewal processes in units of iterations. The distribution of the sum has
the transform (1 - q + q φ)^n, where φ is that of one prompt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from queueing.arrays import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class PromptGrid:
    """A grid of prompt tokens; arrays (cases,) unless said otherwise.

    Attributes:
        cells: number of cells.
        step: tokens of a cell.
        transform: transform of the tokens of one prompt, shape (frequencies, cases).
    """

    cells: int
    step: FloatArray
    transform: npt.NDArray[np.complex128]

    @classmethod
    def of(cls, mean: FloatArray, cv: FloatArray, reach: FloatArray, cells: int) -> PromptGrid:
        """Build a grid that reaches to a number of tokens.

        The mean of a prompt is a whole number of cells where it is not less than one, so that
        fixed lengths fall on the grid.
        """
        parts = np.clip(np.floor(cells * mean / reach), 1.0, 64.0)
        step = np.where(cells * mean >= reach, mean / parts, reach / cells)
        at = np.arange(cells, dtype=np.float64)[:, None]
        fixed = np.clip(1.0 - np.abs(at - mean / step), 0.0, 1.0)
        deviation = np.sqrt(np.log1p(np.maximum(cv, 1e-9) ** 2))
        location = np.log(mean / step) - 0.5 * deviation**2
        edges = np.log(at[1:] - 0.5)
        upto = ndtr((edges - location) / deviation)
        top = np.ones_like(upto[:1])
        random = np.diff(np.concatenate([np.zeros_like(top), upto, top]), axis=0)
        masses = np.where(cv > 0.0, random, fixed)
        lifted = (masses * at).sum(axis=0)
        # What rounding and the end of the grid did to the mean is undone by the step.
        step = step * np.where(lifted > 0.0, mean / step / np.maximum(lifted, 1e-12), 1.0)
        return cls(cells, step, np.fft.rfft(masses, 2 * cells, axis=0))

    @property
    def tokens(self) -> FloatArray:
        """Tokens of the cells, shape (2 · cells, cases)."""
        tokens: FloatArray = np.arange(2 * self.cells)[:, None] * self.step
        return tokens

    def sums(self, slots: FloatArray, share: FloatArray) -> FloatArray:
        """Return the distribution of the tokens of all new prompts, shape (2 · cells, cases).

        Args:
            slots: slots n that may bring one, 0 or more.
            share: probability q that one does.
        """
        inner = 1.0 + share * (self.transform - 1.0)
        return self._back(inner**slots)

    def counts(self, slots: FloatArray, share: FloatArray) -> FloatArray:
        """Return the expected number of prompts times the probability of each cell."""
        inner = 1.0 + share * (self.transform - 1.0)
        # At q = 1 all transforms of a single slot are 0^0 = 1.
        rest = np.maximum(slots - 1.0, 0.0)
        return self._back(slots * share * self.transform * inner**rest)

    def _back(self, transform: npt.NDArray[np.complex128]) -> FloatArray:
        masses = np.fft.irfft(transform, 2 * self.cells, axis=0)
        positive: FloatArray = np.where(masses > 1e-15, masses, 0.0)
        return positive
