"""The metrics of vLLM and of SGLang: their buckets, and what of both is emulated.

Names and buckets are those of vLLM 0.9 to 0.12 (`vllm/v1/metrics/loggers.py`) and SGLang 0.5
(`sglang/srt/metrics/collector.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_REQUEST_S = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0),
    *(240.0, 480.0, 960.0, 1920.0, 7680.0),
)
_SGLANG_TTFT_S = (
    *(0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0),
    *(200.0, 400.0),
)
_SGLANG_TOKENS = (
    *(100, 300, 500, 700, 1000, 1500, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10_000),
    *(12_000, 15_000, 20_000, 22_000, 25_000, 30_000, 35_000, 40_000, 66_000, 99_000, 132_000),
    *(300_000, 600_000, 900_000, 1_100_000),
)


class Dialect(StrEnum):
    """Whose metrics are exported."""

    VLLM = "vllm"
    SGLANG = "sglang"


@dataclass(frozen=True, slots=True)
class Buckets:
    """Upper bounds of the buckets of an engine's histograms.

    Attributes:
        ttft_s: Time to first token.
        itl_s: Time between tokens.
        request_s: Times of whole requests and their parts.
        tokens: Tokens of a request.
        iteration_tokens: Tokens computed by an iteration.
    """

    ttft_s: tuple[float, ...]
    itl_s: tuple[float, ...]
    request_s: tuple[float, ...]
    tokens: tuple[float, ...]
    iteration_tokens: tuple[float, ...]


def buckets_of(dialect: Dialect, max_model_tokens: int) -> Buckets:
    """Return the buckets of an engine that takes requests of up to so many tokens."""
    iteration = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
    if dialect is Dialect.SGLANG:
        return Buckets(
            ttft_s=_SGLANG_TTFT_S,
            itl_s=(
                *(0.002, 0.004, 0.006, 0.008, 0.010, 0.015, 0.020, 0.025, 0.030, 0.035, 0.040),
                *(0.060, 0.080, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0, 6.0, 8.0),
            ),
            request_s=(*_SGLANG_TTFT_S, 600.0, 1200.0, 1800.0, 2400.0),
            tokens=_SGLANG_TOKENS,
            iteration_tokens=iteration,
        )
    return Buckets(
        ttft_s=(
            *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0),
            *(7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
        ),
        itl_s=(
            *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0),
            *(7.5, 10.0, 20.0, 40.0, 80.0),
        ),
        request_s=_REQUEST_S,
        tokens=_one_two_five(max_model_tokens),
        iteration_tokens=iteration,
    )


def _one_two_five(most: int) -> tuple[float, ...]:
    """Return 1, 2, 5, 10, 20, 50, ... up to a number."""
    steps = (factor * 10**power for power in range(len(str(most))) for factor in (1, 2, 5))
    return tuple(step for step in steps if step <= most)
