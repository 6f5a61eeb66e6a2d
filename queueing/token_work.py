"""The `token-work` generation of service-time parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from queueing.arrays import BoolArray, FloatArray, RowSelector, columns, finite_not_negative
from queueing.service_model import Latencies

DEFAULT_TOKEN_BUDGET = 8192.0
"""Tokens that an engine computes at most in one iteration."""


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
            finite_not_negative(self.alpha_ms, self.beta_ms, self.gamma_ms, self.token_budget)
            & finite_not_negative(input_tokens, output_tokens)
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

        ITL = (S − prefill(X))/K, where both S and X rise with the rate. Prefill gains c·w for a
        request more in service, S about (c + K)·w, less for small N. Falls were found, by random
        search, up to K = 2.5·c (at N = 2), none above; four is asked for, and
        `tests/queueing/test_monotone.py` repeats the search.
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
