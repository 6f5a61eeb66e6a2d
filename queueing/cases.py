"""The input of every analysis: one row a case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from queueing.arrays import BoolArray, FloatArray, IntArray, RowSelector, columns
from queueing.chain import MAX_BATCH_LIMIT
from queueing.service import ServiceTimeModel

_LARGEST_TIME_MS = 1e250


@dataclass(frozen=True, slots=True, eq=False)
class ReplicaCases:
    """Replicas to analyse, all of one service-time generation.

    Attributes (arrays (cases,); scalars and lists are converted and repeated as needed):
        service: the service-time model of the same number of cases.
        input_tokens: mean input tokens of a request, L ≥ 0.
        output_tokens: mean output tokens of a request, K ≥ 1.
        max_batch: most requests in service, N, a whole number from 1 to `MAX_BATCH_LIMIT`.
        max_queue: most requests waiting, Q, a whole number from 0.

    Raises:
        ValueError: the lengths differ.
    """

    service: ServiceTimeModel
    input_tokens: FloatArray
    output_tokens: FloatArray
    max_batch: FloatArray
    max_queue: FloatArray

    def __post_init__(self) -> None:
        names = ("input_tokens", "output_tokens", "max_batch", "max_queue")
        *arrays, _ = columns(*(getattr(self, name) for name in names), np.zeros(len(self.service)))
        if len(arrays[0]) != len(self.service):
            raise ValueError(
                f"{len(arrays[0])} lengths and limits for {len(self.service)} cases: give one "
                "value for each case, or one for all"
            )
        for name, array in zip(names, arrays, strict=True):
            object.__setattr__(self, name, array)

    @classmethod
    def of(
        cls,
        service: ServiceTimeModel,
        input_tokens: npt.ArrayLike,
        output_tokens: npt.ArrayLike,
        max_batch: npt.ArrayLike,
        max_queue: npt.ArrayLike = 0.0,
    ) -> Self:
        """Build from scalars, lists or arrays."""
        return cls(service, *columns(input_tokens, output_tokens, max_batch, max_queue))

    def __len__(self) -> int:
        return len(self.service)

    def take(self, rows: RowSelector) -> Self:
        """Return the selected cases, in that order."""
        return type(self)(
            service=self.service.take(rows),
            input_tokens=self.input_tokens[rows],
            output_tokens=self.output_tokens[rows],
            max_batch=self.max_batch[rows],
            max_queue=self.max_queue[rows],
        )

    def usable(self) -> BoolArray:
        """Tell which cases make sense: those that can be analysed at some rate.

        Parameters, lengths and limits are in their ranges, and a request takes a time in service
        that is neither zero nor beyond what floating point can carry.
        """
        with np.errstate(all="ignore"):
            whole = _whole(self.max_batch) & _whole(self.max_queue)
            limits = (
                (self.max_batch >= 1.0)
                & (self.max_batch <= MAX_BATCH_LIMIT)
                & (self.max_queue >= 0.0)
            )
            parameters = self.service.usable(self.input_tokens, self.output_tokens)
            alone = self.service_time_ms(np.ones(len(self)))
            crowded = self.service_time_ms(self.max_batch)
            times = (alone > 1.0 / _LARGEST_TIME_MS) & (crowded < _LARGEST_TIME_MS)
        usable: BoolArray = whole & limits & parameters & times
        return usable

    def service_time_ms(self, n: FloatArray) -> FloatArray:
        """Return τ(n): n is (cases,), or (states, 1) for every case at every state."""
        return self.service.service_time_ms(n, self.input_tokens, self.output_tokens)

    def batch_limits(self) -> IntArray:
        """Return the batch limits as integers, of usable cases."""
        return self.max_batch.astype(np.int64)


def _whole(values: FloatArray) -> BoolArray:
    whole: BoolArray = np.isfinite(values) & (np.floor(values) == values)
    return whole
