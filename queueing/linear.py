"""The `linear` generation of service-time parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from queueing.arrays import BoolArray, FloatArray, RowSelector, columns, finite_not_negative
from queueing.service_model import Latencies


@dataclass(frozen=True, slots=True, eq=False)
class LinearService:
    """The `linear` generation: prefill γ + δ·L·n, then K − 1 iterations of α + β·n.

    Attributes are arrays (cases,), milliseconds (δ per input token and request in service).
    There is no prefill at all where L = 0.
    """

    alpha_ms: FloatArray
    beta_ms: FloatArray
    gamma_ms: FloatArray
    delta_ms: FloatArray

    @classmethod
    def of(
        cls,
        alpha_ms: npt.ArrayLike,
        beta_ms: npt.ArrayLike,
        gamma_ms: npt.ArrayLike,
        delta_ms: npt.ArrayLike,
    ) -> Self:
        """Build from scalars or arrays of one common length."""
        return cls(*columns(alpha_ms, beta_ms, gamma_ms, delta_ms))

    def __len__(self) -> int:
        return len(self.alpha_ms)

    def take(self, rows: RowSelector) -> Self:
        """Return the model of the selected cases."""
        return type(self)(
            self.alpha_ms[rows], self.beta_ms[rows], self.gamma_ms[rows], self.delta_ms[rows]
        )

    def usable(self, input_tokens: FloatArray, output_tokens: FloatArray) -> BoolArray:
        """Parameters and lengths finite and not negative, K ≥ 1."""
        return (
            finite_not_negative(self.alpha_ms, self.beta_ms, self.gamma_ms, self.delta_ms)
            & finite_not_negative(input_tokens, output_tokens)
            & (output_tokens >= 1.0)
        )

    def service_time_ms(
        self, n: FloatArray, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> FloatArray:
        """τ(n) = prefill(n) + (K − 1)·decode(n), a straight line in n."""
        fixed, slope = self._line(input_tokens, output_tokens)
        return fixed + slope * n

    def prefill_ms(
        self, n: FloatArray, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> FloatArray:
        """γ + δ·L·n; 0 without input tokens."""
        prefill = self.gamma_ms + self.delta_ms * input_tokens * n
        return np.where(input_tokens > 0.0, prefill, 0.0)

    def itl_ms(
        self, n: FloatArray, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> FloatArray:
        """α + β·n."""
        return self.alpha_ms + self.beta_ms * n

    def prefill_chunks(
        self, n: FloatArray, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> FloatArray:
        """One: this generation knows no chunks."""
        return np.ones(np.broadcast_shapes(n.shape, input_tokens.shape))

    def itl_rises_with_load(
        self, max_batch: FloatArray, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> BoolArray:
        """Always: the chain shifts up with the rate, hence S, n* and α + β·n* do too."""
        return np.ones(len(self), dtype=np.bool_)

    def latencies(
        self,
        mean_in_service: FloatArray,
        service_ms: FloatArray,
        wait_ms: FloatArray,
        max_batch: FloatArray,
        input_tokens: FloatArray,
        output_tokens: FloatArray,
    ) -> Latencies:
        """Latencies at the effective concurrency n*, the solution of τ(n*) = S within [0, N]."""
        fixed, slope = self._line(input_tokens, output_tokens)
        # A flat τ(n) is solved by every n: take the number that a request in service sees.
        flat = slope <= 0.0
        solution = (service_ms - fixed) / np.where(flat, 1.0, slope)
        concurrency = np.where(flat, np.maximum(mean_in_service, 1.0), solution)
        concurrency = np.minimum(np.maximum(concurrency, 0.0), max_batch)
        prefill = self.prefill_ms(concurrency, input_tokens, output_tokens)
        itl = self.itl_ms(concurrency, input_tokens, output_tokens)
        return Latencies(prefill_ms=prefill, itl_ms=itl, ttft_ms=wait_ms + prefill)

    def _line(
        self, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return a and b of τ(n) = a + b·n."""
        iterations = output_tokens - 1.0
        prefill = np.where(input_tokens > 0.0, self.gamma_ms, 0.0)
        return (
            prefill + self.alpha_ms * iterations,
            self.delta_ms * input_tokens + self.beta_ms * iterations,
        )
