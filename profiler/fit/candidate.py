"""A set of parameters to be tried on operating points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from queueing.arrays import FloatArray, RowSelector
from queueing.engine.times import IterationTimes


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """What is assumed of an engine and of the loads on it; arrays (cases,), one for each point.

    Attributes:
        times: time of an iteration.
        first_token_ms: delay of a first token outside the engine.
        first_token_sequence_ms: the same for each sequence decoding.
        first_token_output_ms: the same for each output token asked for.
        wave_share: in closed loops, the share of requests that all clients send at once.
        turnover_share: in closed loops, the share of the mean time between two completions that
            a request waits for a place, as where the batch limit is the number of clients.
        kv_tokens: tokens that fit into KV memory.
        miss_share: where prefixes are cached, the share of each prompt that is computed.
    """

    times: IterationTimes
    first_token_ms: FloatArray
    first_token_sequence_ms: FloatArray
    first_token_output_ms: FloatArray
    wave_share: FloatArray
    turnover_share: FloatArray
    kv_tokens: FloatArray
    miss_share: FloatArray

    def take(self, rows: RowSelector) -> Self:
        """Return the assumptions for the selected points."""
        return type(self)(
            self.times.take(rows),
            self.first_token_ms[rows],
            self.first_token_sequence_ms[rows],
            self.first_token_output_ms[rows],
            self.wave_share[rows],
            self.turnover_share[rows],
            self.kv_tokens[rows],
            self.miss_share[rows],
        )
