"""Service-time models: how long a request stays in service when n requests share the replica.

Two generations of parameters are in use (``docs/architecture.md`` names their origin): `linear`
and `token-work`. Both give τ(n), the time in service of a request with n in service, and turn the
mean figures of an operating point into time to first token (TTFT) and inter-token latency (ITL).

Symbols: L input tokens, K output tokens, N batch limit, α β γ δ the fitted parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from queueing.arrays import BoolArray, FloatArray, RowSelector, columns

DEFAULT_TOKEN_BUDGET = 8192.0
"""Tokens that an engine computes at most in one iteration."""


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
            _finite_not_negative(self.alpha_ms, self.beta_ms, self.gamma_ms, self.delta_ms)
            & _finite_not_negative(input_tokens, output_tokens)
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


@dataclass(frozen=True, slots=True, eq=False)
class TokenWorkService:
    """The `token-work` generation: an iteration takes α + β·tokens computed + γ·KV tokens read.

    Attributes are arrays (cases,): α ms per iteration, β ms per token computed, γ ms per KV token
    read, and the number of tokens that one iteration may compute. A prompt that does not fit in
    that budget beside the decodes of the batch is prefilled in several chunks.
    """

    alpha_ms: FloatArray
    beta_ms: FloatArray
    gamma_ms: FloatArray
    token_budget: FloatArray

    @classmethod
    def of(
        cls,
        alpha_ms: npt.ArrayLike,
        beta_ms: npt.ArrayLike,
        gamma_ms: npt.ArrayLike,
        token_budget: npt.ArrayLike = DEFAULT_TOKEN_BUDGET,
    ) -> Self:
        """Build from scalars or arrays of one common length."""
        return cls(*columns(alpha_ms, beta_ms, gamma_ms, token_budget))

    def __len__(self) -> int:
        return len(self.alpha_ms)

    def take(self, rows: RowSelector) -> Self:
        """Return the model of the selected cases."""
        return type(self)(
            self.alpha_ms[rows], self.beta_ms[rows], self.gamma_ms[rows], self.token_budget[rows]
        )

    def usable(self, input_tokens: FloatArray, output_tokens: FloatArray) -> BoolArray:
        """Parameters and lengths finite and not negative, K ≥ 1, token budget ≥ 1."""
        return (
            _finite_not_negative(self.alpha_ms, self.beta_ms, self.gamma_ms, self.token_budget)
            & _finite_not_negative(input_tokens, output_tokens)
            & (output_tokens >= 1.0)
            & (self.token_budget >= 1.0)
        )

    def service_time_ms(
        self, n: FloatArray, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> FloatArray:
        """τ(n) = (c + K)·(α + n·w) with c(n) chunks and w the mean work per iteration."""
        chunks = self.prefill_chunks(n, input_tokens, output_tokens)
        if chunks.ndim == 2 and bool(np.all(chunks[0] == chunks[-1])):
            chunks = chunks[0]  # c never falls as n rises, so equal ends mean one count for all
        _, work = self._work(chunks, input_tokens, output_tokens)
        iterations = chunks + output_tokens
        return iterations * self.alpha_ms + (iterations * work) * n

    def prefill_ms(
        self, n: FloatArray, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> FloatArray:
        """c·max(α + (n − 1)·w, 0) + w_prefill, with the chunks c of a batch of n."""
        chunks = self.prefill_chunks(n, input_tokens, output_tokens)
        return self._prefill(n, chunks, input_tokens, output_tokens)

    def itl_ms(
        self, n: FloatArray, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> FloatArray:
        """max(α + (n − 1)·w, 0) + β + γ·(L + (K + 1)/2)."""
        chunks = self.prefill_chunks(n, input_tokens, output_tokens)
        _, work = self._work(chunks, input_tokens, output_tokens)
        own = self.beta_ms + self.gamma_ms * (input_tokens + (output_tokens + 1.0) / 2.0)
        return np.maximum(self.alpha_ms + (n - 1.0) * work, 0.0) + own

    def prefill_chunks(
        self, n: FloatArray, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> FloatArray:
        """Return c(n), the smallest m ≥ 1 with n ≤ ⌊(m + K)(M − L/m)/(L + K)⌋.

        The right side rises with m, so c is the root of a quadratic, rounded up; the comparison
        itself then settles the cases where rounding put the root on the wrong side.
        """
        if np.all(n <= self._batch_at(1.0, input_tokens, output_tokens)):
            return np.ones(np.broadcast_shapes(n.shape, input_tokens.shape))
        budget = self.token_budget
        negative_half = (input_tokens + n * (input_tokens + output_tokens)) - output_tokens * budget
        product = 4.0 * budget * input_tokens * output_tokens
        root = np.sqrt(negative_half * negative_half + product)
        # Of the two forms of the positive root, the one that adds and does not cancel.
        with np.errstate(divide="ignore", invalid="ignore"):
            solution = np.where(
                negative_half >= 0.0,
                (negative_half + root) / (2.0 * budget),
                2.0 * input_tokens * output_tokens / (root - negative_half),
            )
        count = np.maximum(np.ceil(solution), 1.0)
        fewer = np.maximum(count - 1.0, 1.0)
        count = np.where(n <= self._batch_at(fewer, input_tokens, output_tokens), fewer, count)
        return np.where(n <= self._batch_at(count, input_tokens, output_tokens), count, count + 1.0)

    def itl_rises_with_load(
        self, max_batch: FloatArray, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> BoolArray:
        """One chunk count over the whole batch, and outputs long beside it.

        ITL = (S − prefill(X))/K. Both S and X rise with the rate, and S gains at least about
        (N − 1)/N of what X gains times the work; see `tests/queueing/test_monotone.py`.
        """
        first = self.prefill_chunks(np.ones(len(self)), input_tokens, output_tokens)
        last = self.prefill_chunks(max_batch, input_tokens, output_tokens)
        rises: BoolArray = (first == last) & (max_batch >= 2.0) & (output_tokens >= 4.0 * first)
        return rises

    def latencies(
        self,
        mean_in_service: FloatArray,
        service_ms: FloatArray,
        wait_ms: FloatArray,
        max_batch: FloatArray,
        input_tokens: FloatArray,
        output_tokens: FloatArray,
    ) -> Latencies:
        """ITL = (S − prefill(X))/K and TTFT = W + prefill(X) + ITL at X in service.

        Chunks are those of X rounded half up into [1, N].
        """
        batch = np.minimum(np.maximum(np.floor(mean_in_service + 0.5), 1.0), max_batch)
        chunks = self.prefill_chunks(batch, input_tokens, output_tokens)
        prefill = self._prefill(mean_in_service, chunks, input_tokens, output_tokens)
        itl = (service_ms - prefill) / output_tokens
        return Latencies(prefill_ms=prefill, itl_ms=itl, ttft_ms=wait_ms + prefill + itl)

    def _prefill(
        self,
        n: FloatArray,
        chunks: FloatArray,
        input_tokens: FloatArray,
        output_tokens: FloatArray,
    ) -> FloatArray:
        prefill_work, work = self._work(chunks, input_tokens, output_tokens)
        return chunks * np.maximum(self.alpha_ms + (n - 1.0) * work, 0.0) + prefill_work

    def _work(
        self, chunks: FloatArray, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return a request's prefill work and its mean work per iteration, w: ms."""
        prefill = (self.beta_ms + self.gamma_ms * (chunks + 1.0) / 2.0) * input_tokens
        decode = output_tokens * (
            self.beta_ms + self.gamma_ms * (input_tokens + (output_tokens + 1.0) / 2.0)
        )
        return prefill, (prefill + decode) / (chunks + output_tokens)

    def _batch_at(
        self, chunks: FloatArray | float, input_tokens: FloatArray, output_tokens: FloatArray
    ) -> FloatArray:
        """Return the largest batch whose prompts fit in this number of chunks."""
        room = self.token_budget - input_tokens / chunks
        return np.floor((chunks + output_tokens) * room / (input_tokens + output_tokens))


def _finite_not_negative(*arrays: FloatArray) -> BoolArray:
    good = np.ones(len(arrays[0]), dtype=np.bool_)
    for array in arrays:
        good &= np.isfinite(array) & (array >= 0.0)
    return good
