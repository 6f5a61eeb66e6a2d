"""Iteration times of cases whose service-time models differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from queueing.arrays import BoolArray, FloatArray, IntArray, RowSelector
from queueing.engine.times import IterationTimes


@dataclass(frozen=True, slots=True, eq=False)
class MixedTimes:
    """Several models beside each other; each answers for its own cases.

    Attributes:
        parts: the models, at least one case of each.
        rows: cases of each part, in its order; together every case once.
        count: number of cases.
    """

    parts: tuple[IterationTimes, ...]
    rows: tuple[IntArray, ...]
    count: int

    @classmethod
    def of(cls, parts: Sequence[IterationTimes], rows: Sequence[IntArray]) -> Self:
        """Build from models and the cases that they answer for.

        Raises:
            ValueError: the cases are not 0, 1, ... each once, or of another number than a model's.
        """
        if [len(part) for part in parts] != [len(own) for own in rows]:
            raise ValueError("each model needs as many rows as it has cases")
        every = np.sort(np.concatenate([np.asarray(own, dtype=np.int64) for own in rows]))
        if not np.array_equal(every, np.arange(len(every))):
            raise ValueError("each case needs exactly one model")
        return cls(tuple(parts), tuple(rows), len(every))

    @property
    def proportional(self) -> bool:
        """Whether every part is."""
        return all(part.proportional for part in self.parts)

    def __len__(self) -> int:
        return self.count

    def take(self, rows: RowSelector) -> Self:
        """Return the model of the selected cases, in that order."""
        chosen = np.arange(self.count)[rows]
        part_of, case_of = np.empty((2, self.count), dtype=np.int64)
        for index, own in enumerate(self.rows):
            part_of[own], case_of[own] = index, np.arange(len(own))
        parts, places = [], []
        for index, part in enumerate(self.parts):
            (own,) = np.nonzero(part_of[chosen] == index)
            if len(own):
                parts.append(part.take(case_of[chosen[own]]))
                places.append(own)
        return type(self)(tuple(parts), tuple(places), len(chosen))

    def usable(self) -> BoolArray:
        """Tell for which cases the parameters make sense."""
        usable = np.zeros(self.count, dtype=np.bool_)
        for part, own in zip(self.parts, self.rows, strict=True):
            usable[own] = part.usable()
        return usable

    def iteration_ms(
        self,
        decoding: FloatArray,
        context: FloatArray,
        prompts: FloatArray,
        prompt_tokens: FloatArray,
        prompt_reads: FloatArray,
    ) -> FloatArray:
        """Return the time of an iteration (see `IterationTimes`)."""
        states = self._states(decoding, context, prompts, prompt_tokens, prompt_reads)
        time = np.empty(states[0].shape)
        for part, own in zip(self.parts, self.rows, strict=True):
            time[..., own] = part.iteration_ms(*(state[..., own] for state in states))
        return time

    def extrapolates(
        self, decoding: FloatArray, context: FloatArray, prompt_tokens: FloatArray
    ) -> BoolArray:
        """Tell where a state lies outside of what the model of its case was measured at."""
        states = self._states(decoding, context, prompt_tokens)
        outside = np.empty(states[0].shape, dtype=np.bool_)
        for part, own in zip(self.parts, self.rows, strict=True):
            outside[..., own] = part.extrapolates(*(state[..., own] for state in states))
        return outside

    def first_token_delay_ms(self, decoding: FloatArray, output_tokens: FloatArray) -> FloatArray:
        """Return how much later than its iteration ends a first token is with its reader."""
        states = self._states(decoding, output_tokens)
        delay = np.empty(states[0].shape)
        for part, own in zip(self.parts, self.rows, strict=True):
            delay[..., own] = part.first_token_delay_ms(*(state[..., own] for state in states))
        return delay

    def _states(self, *states: FloatArray) -> list[FloatArray]:
        """Return the states in their common shape (..., cases)."""
        return list(np.broadcast_arrays(*states, np.zeros(self.count)))[:-1]
