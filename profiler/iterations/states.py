"""Timed cases as arrays, in the words of the service-time models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from queueing.arrays import BoolArray, FloatArray
from stoker.domain.timing import CaseStatus, CaseTiming, IterationCase, IterationKind

LEAST_NOISE = 0.003
"""Relative error of a median, however alike its samples were: clocks drift."""


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """States of an engine in the iterations timed, and their times: arrays (timings,).

    Attributes:
        decoding: Sequences that decode.
        context: KV tokens that each of them reads.
        prompts: Prompts computed; a chunk behind a prefix counts by its share of the prompt so far.
        prompt_tokens: Tokens of them computed.
        prompt_reads: KV tokens that the prompt reads, its own among them.
        time_ms: Median times.
        noise: Their relative standard errors.
    """

    decoding: FloatArray
    context: FloatArray
    prompts: FloatArray
    prompt_tokens: FloatArray
    prompt_reads: FloatArray
    time_ms: FloatArray
    noise: FloatArray

    @classmethod
    def of(cls, timings: Iterable[CaseTiming]) -> Self:
        """Return the timings that ended well."""
        good = [timing for timing in timings if timing.status is CaseStatus.OK and timing.median_ms]
        cases = _columns([timing.case for timing in good])
        times = np.array([timing.median_ms for timing in good], dtype=np.float64)
        noise = np.array([_noise(timing) for timing in good], dtype=np.float64)
        return cls(*cases, times, noise)

    @classmethod
    def at(cls, cases: Iterable[IterationCase]) -> Self:
        """Return the states of cases whose times are not known."""
        columns = _columns(list(cases))
        unknown = np.full(len(columns[0]), np.nan)
        return cls(*columns, unknown, unknown)

    def __len__(self) -> int:
        return len(self.time_ms)

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Self:
        """Return some of them."""
        return type(self)(
            self.decoding[rows],
            self.context[rows],
            self.prompts[rows],
            self.prompt_tokens[rows],
            self.prompt_reads[rows],
            self.time_ms[rows],
            self.noise[rows],
        )

    def of_kind(self, kind: IterationKind) -> BoolArray:
        """Return which ones are of a kind."""
        decodes, prefills = self.decoding > 0, self.prompt_tokens > 0
        match kind:
            case IterationKind.DECODE:
                return decodes & ~prefills
            case IterationKind.PREFILL:
                return prefills & ~decodes
            case IterationKind.MIXED:
                return prefills & decodes

    @property
    def places(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        """The arguments of `iteration_ms`."""
        return self.decoding, self.context, self.prompts, self.prompt_tokens, self.prompt_reads


def _columns(
    cases: list[IterationCase],
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    fields = np.array(
        [
            (case.decode_batch, case.context_tokens, case.prefill_tokens, case.prefix_tokens)
            for case in cases
        ],
        dtype=np.float64,
    ).reshape(-1, 4)
    decoding, context, tokens, prefix = fields.T
    reads = np.where(tokens > 0, tokens + prefix, 0.0)
    prompts = np.divide(tokens, reads, out=np.zeros_like(tokens), where=reads > 0)
    return decoding, np.where(decoding > 0, context, 0.0), prompts, tokens, reads


def _noise(timing: CaseTiming) -> float:
    """Return the relative standard error of a median: 0.93 IQR over the root of the count.

    The median of normal samples has a standard error of 1.253 sigma / sqrt(n), and sigma is 0.741
    interquartile ranges.
    """
    count = len(timing.samples_ms) - len(timing.outliers)
    if not timing.median_ms or timing.spread_ms is None or count < 2:
        return LEAST_NOISE
    error = 0.93 * timing.spread_ms / timing.median_ms / np.sqrt(count)
    return float(np.hypot(error, LEAST_NOISE))
