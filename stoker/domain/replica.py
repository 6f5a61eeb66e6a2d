"""One replica as a question: what does it do at a rate, and what can it carry?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stoker.domain.profile import ServiceParameters

DEFAULT_TOKEN_BUDGET = 8192


class ReplicaQuestion(StrEnum):
    """What is asked of a replica."""

    SOLVE = "solve"
    """Latencies and throughput at an arrival rate."""
    TARGET = "target"
    """Largest arrival rate within the targets."""
    CONCURRENCY = "concurrency"
    """Smallest batch limit with near-peak throughput within the targets."""


@dataclass(frozen=True, slots=True)
class ReplicaCase:
    """One replica and its load.

    Attributes:
        parameters: Parameters of the service model.
        input_tokens: Mean input tokens of a request.
        output_tokens: Mean output tokens of a request.
        max_batch: Batch limit.
        max_queue: Queue limit.
        arrival_rate_rps: Arrival rate, requests per second; None where the question needs none.
        ttft_ms: Target of mean TTFT; None for none.
        itl_ms: Target of mean ITL; None for none.
        tps: Target of output tokens per second; None for none.
        token_budget: Tokens that one iteration computes at most (`token-work` only).
    """

    parameters: ServiceParameters
    input_tokens: float
    output_tokens: float
    max_batch: int
    max_queue: int
    arrival_rate_rps: float | None = None
    ttft_ms: float | None = None
    itl_ms: float | None = None
    tps: float | None = None
    token_budget: int = DEFAULT_TOKEN_BUDGET


class AnswerStatus(StrEnum):
    """Whether a question could be answered."""

    OK = "ok"
    INFEASIBLE = "infeasible"
    INVALID = "invalid"
