"""What service-time models offer: τ(n), and the latencies at the means of an operating point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

from queueing.arrays import BoolArray, FloatArray, RowSelector


@dataclass(frozen=True, slots=True)
class Latencies:
    """Latencies at an operating point: arrays (cases,), milliseconds."""

    prefill_ms: FloatArray
    itl_ms: FloatArray
    ttft_ms: FloatArray


class ServiceTimeModel(Protocol):
    """What the queue needs to know of a replica.

    ``n`` is a number of requests in service: an array (cases,), or (states, 1) to have every
    case at every state, which gives (states, cases). Lengths are arrays (cases,).
    """

    def __len__(self) -> int:
        """Return the number of cases."""
        ...

    def take(self, rows: RowSelector) -> Self:
        """Return the model of the selected cases, in that order."""
        ...

    def usable(self, input_tokens: FloatArray, output_tokens: FloatArray) -> BoolArray:
        """Tell for which cases parameters and lengths make sense."""
        ...

    def service_time_ms(
        self, n: FloatArray, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> FloatArray:
        """Return τ(n), the time in service of a request with n in service."""
        ...

    def prefill_ms(
        self, n: FloatArray, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> FloatArray:
        """Return the prefill time of a request with n in service."""
        ...

    def itl_ms(
        self, n: FloatArray, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> FloatArray:
        """Return the inter-token latency with n in service, by the closed form."""
        ...

    def prefill_chunks(
        self, n: FloatArray, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> FloatArray:
        """Return the number of iterations over which a prompt is prefilled at batch n."""
        ...

    def itl_rises_with_load(
        self, max_batch: FloatArray, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> BoolArray:
        """Tell for which cases ITL is known never to fall as the arrival rate rises."""
        ...

    def latencies(
        self,
        mean_in_service: FloatArray,
        service_ms: FloatArray,
        wait_ms: FloatArray,
        max_batch: FloatArray,
        input_tokens: FloatArray,
        output_tokens: FloatArray,
    ) -> Latencies:
        """Return the latencies at the operating point that has these means."""
        ...
