"""Iteration times in the form of a table, before they are written down as one.

A table has decode times over batch and context, and prefill times over tokens and reads; an
iteration that does both takes their sum less what they share. The base of both are the times of
the `overlap` model, multiplied by corrections that are interpolated between few knots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from profiler.fit.corrections import PROMPT_TOKENS, interpolated, interpolated_twice
from queueing.arrays import BoolArray, FloatArray, RowSelector
from queueing.engine.overlap import OverlapTimes
from queueing.engine.times import no_delay, nowhere


@dataclass(frozen=True, slots=True, eq=False)
class TableFormTimes:
    """Times of iterations, as a table would have them; see `IterationTimes`.

    Attributes:
        base: the parametric model behind both parts.
        shared_ms: what an iteration of both pays once, (cases,).
        decode: logarithms of the corrections of decodes, (cases, batches, contexts); or None.
        prefill: those of prefills, (cases, prompt tokens); None where `decode` is.
    """

    base: OverlapTimes
    shared_ms: FloatArray
    decode: FloatArray | None = None
    prefill: FloatArray | None = None

    @property
    def proportional(self) -> bool:
        """Tables bend."""
        return False

    def __len__(self) -> int:
        return len(self.shared_ms)

    def take(self, rows: RowSelector) -> Self:
        """Return the model of the selected cases, in that order."""
        return type(self)(
            self.base.take(rows),
            self.shared_ms[rows],
            None if self.decode is None else self.decode[rows],
            None if self.prefill is None else self.prefill[rows],
        )

    def usable(self) -> BoolArray:
        """Tell for which cases the parameters make sense."""
        return self.base.usable()

    def decode_ms(self, batch: FloatArray, context: FloatArray) -> FloatArray:
        """Return the time of an iteration that decodes alone, at a batch of 1 or more."""
        none = np.zeros(len(self))
        time = self.base.iteration_ms(batch, context, none, none, none)
        if self.decode is not None:
            time = time * np.exp(interpolated_twice(self.decode, batch, context))
        return time

    def prefill_ms(self, tokens: FloatArray, reads: FloatArray) -> FloatArray:
        """Return the time of an iteration that prefills alone: as if of one prompt."""
        none = np.zeros(len(self))
        time = self.base.iteration_ms(none, none, none + 1.0, tokens, reads)
        if self.prefill is not None:
            time = time * np.exp(interpolated(self.prefill, PROMPT_TOKENS, tokens))
        return time

    def iteration_ms(
        self,
        decoding: FloatArray,
        context: FloatArray,
        prompts: FloatArray,
        prompt_tokens: FloatArray,
        prompt_reads: FloatArray,
    ) -> FloatArray:
        """Return the time of an iteration (see `IterationTimes`)."""
        some = np.minimum(decoding, 1.0)
        time = some * self.decode_ms(np.maximum(decoding, 1.0), context)
        if not np.any(prompt_tokens):
            return time
        beside = self.prefill_ms(prompt_tokens, prompt_reads) - some * self.shared_ms
        return time + np.where(prompt_tokens > 0.0, beside, 0.0)

    def extrapolates(
        self, decoding: FloatArray, context: FloatArray, prompt_tokens: FloatArray
    ) -> BoolArray:
        """Return no for every state: that is for the table to tell."""
        return nowhere(decoding, context, prompt_tokens, self.shared_ms)

    def first_token_delay_ms(self, decoding: FloatArray, output_tokens: FloatArray) -> FloatArray:
        """Return none: what is fitted holds the delays beside the times."""
        return no_delay(decoding, output_tokens, self.shared_ms)
