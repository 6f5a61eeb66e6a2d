"""The input of the analysis of the engine: one row a case."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from queueing.arrays import BoolArray, FloatArray, RowSelector, columns
from queueing.engine.times import IterationTimes

DEFAULT_TOKEN_BUDGET = 8192.0
LARGEST_BATCH = 4096
"""Largest batch limit that is analysed."""
LARGEST_CV = 10.0
"""Largest coefficient of variation that is analysed."""


@dataclass(frozen=True, slots=True, eq=False)
class EngineCases:
    """Replicas to analyse, as the engine is: arrays (cases,).

    Attributes:
        times: the service-time model, of the same number of cases.
        input_tokens: mean input tokens of a request, L ≥ 0.
        output_tokens: mean output tokens of a request, K ≥ 1.
        max_batch: most requests in service, N, a whole number from 1.
        max_queue: most requests waiting, Q, a whole number from 0; infinity for no limit.
        input_cv: coefficient of variation of the input tokens (lognormal); 0 is a fixed length.
        output_cv: the same of the output tokens.
        arrival_cv: coefficient of variation of the times between arrivals; 1 is Poisson.
        token_budget: most tokens that one iteration computes, M ≥ 1.
        kv_tokens: KV capacity in tokens; infinity for no limit.
        prefix_hit_rate: share of each prompt that is in KV already: read and held, not computed.
    """

    times: IterationTimes
    input_tokens: FloatArray
    output_tokens: FloatArray
    max_batch: FloatArray
    max_queue: FloatArray
    input_cv: FloatArray
    output_cv: FloatArray
    arrival_cv: FloatArray
    token_budget: FloatArray
    kv_tokens: FloatArray
    prefix_hit_rate: FloatArray

    @classmethod
    def of(
        cls,
        times: IterationTimes,
        input_tokens: npt.ArrayLike,
        output_tokens: npt.ArrayLike,
        max_batch: npt.ArrayLike,
        max_queue: npt.ArrayLike = np.inf,
        *,
        input_cv: npt.ArrayLike = 0.0,
        output_cv: npt.ArrayLike = 0.0,
        arrival_cv: npt.ArrayLike = 1.0,
        token_budget: npt.ArrayLike = DEFAULT_TOKEN_BUDGET,
        kv_tokens: npt.ArrayLike = np.inf,
        prefix_hit_rate: npt.ArrayLike = 0.0,
    ) -> Self:
        """Build from scalars, lists or arrays, of one value or one for each case.

        Raises:
            ValueError: the lengths differ.
        """
        *arrays, _ = columns(
            input_tokens,
            output_tokens,
            max_batch,
            max_queue,
            input_cv,
            output_cv,
            arrival_cv,
            token_budget,
            kv_tokens,
            prefix_hit_rate,
            np.zeros(len(times)),
        )
        if len(arrays[0]) != len(times):
            raise ValueError(
                f"{len(arrays[0])} lengths and limits for {len(times)} cases: give one value "
                "for each case, or one for all"
            )
        return cls(times, *arrays)

    def __len__(self) -> int:
        return len(self.times)

    def take(self, rows: RowSelector) -> Self:
        """Return the selected cases, in that order."""
        arrays = (getattr(self, field.name)[rows] for field in fields(self)[1:])
        return type(self)(self.times.take(rows), *arrays)

    def with_batch(self, max_batch: npt.ArrayLike) -> Self:
        """Return the cases with other batch limits."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays["max_batch"] = columns(max_batch, np.zeros(len(self)))[0]
        return type(self)(**arrays)

    def usable(self) -> BoolArray:
        """Tell which cases make sense."""
        with np.errstate(all="ignore"):
            usable: BoolArray = (
                self.times.usable()
                & _within(self.input_tokens, 0.0, 1e9)
                & _within(self.output_tokens, 1.0, 1e9)
                & _within(self.max_batch, 1.0, LARGEST_BATCH)
                & (np.floor(self.max_batch) == self.max_batch)
                & _within(self.max_queue, 0.0, np.inf)
                & _within(self.input_cv, 0.0, LARGEST_CV)
                & _within(self.output_cv, 0.0, LARGEST_CV)
                & _within(self.arrival_cv, 0.0, LARGEST_CV)
                & _within(self.token_budget, 1.0, np.inf)
                & _within(self.kv_tokens, 1.0, np.inf)
                & _within(self.prefix_hit_rate, 0.0, 1.0)
            )
        return usable


def _within(values: FloatArray, low: float, high: float) -> BoolArray:
    within: BoolArray = (values >= low) & (values <= high)
    return within
