"""Iterations of a replica whose requests come with their KV: joining costs a decode, no prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from queueing.arrays import BoolArray, FloatArray, RowSelector
from queueing.engine.times import IterationTimes, no_delay


@dataclass(frozen=True, slots=True, eq=False)
class JoiningTimes:
    """The times of another model where every prompt is a sequence that decodes its next token.

    Attributes:
        decoding_times: that model.
    """

    decoding_times: IterationTimes

    @property
    def proportional(self) -> bool:
        """No: what one more sequence adds may depend on how many there are."""
        return False

    def __len__(self) -> int:
        return len(self.decoding_times)

    def take(self, rows: RowSelector) -> Self:
        """Return the model of the selected cases, in that order."""
        return type(self)(self.decoding_times.take(rows))

    def usable(self) -> BoolArray:
        """Tell for which cases the parameters make sense."""
        return self.decoding_times.usable()

    def iteration_ms(
        self,
        decoding: FloatArray,
        context: FloatArray,
        prompts: FloatArray,
        prompt_tokens: FloatArray,
        prompt_reads: FloatArray,
    ) -> FloatArray:
        """Return the time of an iteration (see `IterationTimes`)."""
        number = decoding + prompts
        some = number > 0.0
        mean = (decoding * context + prompt_reads) / np.where(some, number, 1.0)
        none = np.zeros(len(self))
        return self.decoding_times.iteration_ms(
            number, np.where(some, mean, context), none, none, none
        )

    def extrapolates(
        self, decoding: FloatArray, context: FloatArray, prompt_tokens: FloatArray
    ) -> BoolArray:
        """Tell where a state lies outside of what the model was measured at."""
        return self.decoding_times.extrapolates(decoding, context, np.zeros(len(self)))

    def first_token_delay_ms(self, decoding: FloatArray, output_tokens: FloatArray) -> FloatArray:
        """Return none: the first token left from where the prompt was computed."""
        return no_delay(decoding, output_tokens, np.zeros(len(self)))
