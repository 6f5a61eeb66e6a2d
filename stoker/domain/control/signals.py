"""Signals: figures that were measured, how old they are, and which question answered them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SignalState(StrEnum):
    """What a signal is worth."""

    KNOWN = "known"
    """Measured lately; the value may be zero, and zero is then a fact."""
    STALE = "stale"
    """Measured too long ago to act on; the last value is told."""
    UNKNOWN = "unknown"
    """Not measured: no series, no samples, or no answer. Never read as zero."""


class SignalName(StrEnum):
    """What is measured of a server, with its unit."""

    ARRIVAL_RATE = "arrival_rate_rps"
    """Requests offered per second."""
    COMPLETION_RATE = "completion_rate_rps"
    """Requests completed per second."""
    INPUT_TOKENS = "input_tokens"
    """Mean input tokens of a request."""
    OUTPUT_TOKENS = "output_tokens"
    """Mean output tokens of a request."""
    INPUT_TOKENS_CV = "input_tokens_cv"
    OUTPUT_TOKENS_CV = "output_tokens_cv"
    TTFT_MEAN = "ttft_mean_ms"
    TTFT_P50 = "ttft_p50_ms"
    TTFT_P95 = "ttft_p95_ms"
    TTFT_P99 = "ttft_p99_ms"
    ITL_MEAN = "itl_mean_ms"
    ITL_P50 = "itl_p50_ms"
    ITL_P95 = "itl_p95_ms"
    ITL_P99 = "itl_p99_ms"
    RUNNING = "running"
    """Requests in service, over all replicas."""
    WAITING = "waiting"
    """Requests waiting, over all replicas."""
    KV_USE = "kv_use"
    """Share of the KV memory in use, mean over replicas."""
    KV_TOKENS = "kv_tokens"
    """Tokens that the KV memory of a replica holds."""
    PREFIX_HIT_RATE = "prefix_hit_rate"
    """Share of the input tokens found in the prefix cache."""
    ERROR_RATE = "error_rate"
    """Share of the requests that failed."""
    REPORTING = "reporting_replicas"
    """Replicas whose series arrived lately."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One figure as it was found.

    Attributes:
        state: What it is worth.
        value: The figure; None where unknown.
        age_s: Age of its newest sample in seconds; None where unknown.
        source: The query that answered; where none did, empty.
        reason: Why it, or its age, is not known, in words; empty where both are.
    """

    state: SignalState
    value: float | None = None
    age_s: float | None = None
    source: str = ""
    reason: str = ""

    @classmethod
    def known(cls, value: float, age_s: float | None, source: str) -> Signal:
        """Return a signal to act on."""
        return cls(SignalState.KNOWN, value, age_s, source)

    @classmethod
    def without_age(cls, value: float, source: str, reason: str) -> Signal:
        """Return a signal to act on of which nobody can tell how old it is, and why."""
        return cls(SignalState.KNOWN, value, None, source, reason)

    @classmethod
    def stale(cls, value: float, age_s: float | None, source: str, reason: str) -> Signal:
        """Return a signal that is too old to act on."""
        return cls(SignalState.STALE, value, age_s, source, reason)

    @classmethod
    def unknown(cls, reason: str) -> Signal:
        """Return a signal that nobody measured."""
        return cls(SignalState.UNKNOWN, reason=reason)

    @property
    def usable(self) -> float | None:
        """The value where it is known; None where it is stale or unknown."""
        return self.value if self.state is SignalState.KNOWN else None
