"""Iteration times where computing hides behind memory traffic: the `overlap` model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from queueing.arrays import FloatArray, columns
from queueing.engine.times import ParametricTimes
from stoker.domain.profile import OverlapParameters

ENGINE_TIMES = 7
"""How many of the parameters, the first ones, are engine time; the others delay first tokens."""

SHARPNESS = 8.0
"""Exponent of the smooth maximum: at equal times it is 9% above the larger one."""


def smooth_maximum(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return (a^s + b^s)^(1/s), s = `SHARPNESS`: the larger, rounded where both are alike."""
    larger = np.maximum(np.maximum(a, b), np.finfo(np.float64).tiny)
    ratio = np.minimum(a, b) / larger
    result: FloatArray = larger * (1.0 + ratio**SHARPNESS) ** (1.0 / SHARPNESS)
    return result


def attention_pairs(
    prompts: FloatArray, prompt_tokens: FloatArray, prompt_reads: FloatArray
) -> FloatArray:
    """Return the pairs of tokens that attend to each other in the prompts of an iteration.

    A chunk of x tokens that ends at context r attends to x * (r - x / 2) pairs. Several whole
    prompts are taken as equally long; a part of one prompt counts by its own end.
    """
    chunks = np.maximum(prompts, 1.0)
    pairs: FloatArray = prompt_tokens * (prompt_reads - 0.5 * prompt_tokens) / chunks
    return np.maximum(pairs, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class OverlapTimes(ParametricTimes):
    """The `overlap` model (see `OverlapParameters`); arrays (cases,).

    On an accelerator the weights are streamed from memory while tokens are multiplied with them,
    so the longer of the two counts (the roofline of Williams, Waterman and Patterson, 2009);
    reading KV and handling sequences add to it.
    """

    base_ms: FloatArray
    weights_ms: FloatArray
    token_ms: FloatArray
    sequence_ms: FloatArray
    kv_token_ms: FloatArray
    attention_ms: FloatArray
    prompts_ms: FloatArray
    first_token_ms: FloatArray
    first_token_sequence_ms: FloatArray
    first_token_output_ms: FloatArray

    @classmethod
    def of(cls, parameters: Sequence[OverlapParameters]) -> Self:
        """Build from one set of parameters a case."""
        names = [field.name for field in fields(cls)]
        return cls(*columns(*([getattr(p, name) for p in parameters] for name in names)))

    @property
    def proportional(self) -> bool:
        """What hides behind memory traffic depends on what else there is."""
        return False

    @property
    def engine_times(self) -> list[FloatArray]:
        """The parameters that take engine time; the others delay first tokens."""
        return self.parameters[:ENGINE_TIMES]

    def iteration_ms(
        self,
        decoding: FloatArray,
        context: FloatArray,
        prompts: FloatArray,
        prompt_tokens: FloatArray,
        prompt_reads: FloatArray,
    ) -> FloatArray:
        """Return the time of an iteration (see `IterationTimes`)."""
        computing = self.token_ms * (decoding + prompt_tokens)
        time: FloatArray = (
            self.base_ms
            + smooth_maximum(self.weights_ms, computing)
            + decoding * (self.sequence_ms + self.kv_token_ms * context)
            + self.attention_ms * attention_pairs(prompts, prompt_tokens, prompt_reads)
            + self.prompts_ms * np.minimum(prompts, 1.0)
        )
        return time

    def first_token_delay_ms(self, decoding: FloatArray, output_tokens: FloatArray) -> FloatArray:
        """Return how much later than its iteration ends a first token is with its reader."""
        delay: FloatArray = (
            self.first_token_ms
            + self.first_token_sequence_ms * decoding
            + self.first_token_output_ms * output_tokens
        )
        return delay
