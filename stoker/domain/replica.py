"""One replica as a question: what does it do at a rate, and what can it carry?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stoker.domain.latency import DEFAULT_PERCENTILES
from stoker.domain.profile import DEFAULT_TOKEN_BUDGET, ServiceParameters
from stoker.domain.replica_system import ALONE, RoutedReplicas, TwoPools

__all__ = [
    "DEFAULT_TOKEN_BUDGET",
    "AnswerStatus",
    "ReplicaCase",
    "ReplicaQuestion",
]


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
    """One replica and its load, or several.

    Attributes:
        parameters: Parameters of the service model.
        input_tokens: Mean input tokens of a request.
        output_tokens: Mean output tokens of a request.
        max_batch: Batch limit.
        max_queue: Queue limit.
        arrival_rate_rps: Arrival rate, requests per second; None where the question needs none.
        ttft_ms: Target of TTFT; None for none.
        itl_ms: Target of ITL; None for none.
        tps: Target of output tokens per second; None for none.
        token_budget: Tokens that one iteration computes at most. The reference knows it in
            `token-work` only.
        arrival_cv: Coefficient of variation of the times between arrivals; 1 is Poisson.
        input_cv: Coefficient of variation of the input tokens; 0 is a fixed length.
        output_cv: Coefficient of variation of the output tokens.
        kv_tokens: KV capacity in tokens; None for no limit.
        prefix_hit_rate: Share of each prompt whose KV is there already.
        concurrency: Clients of a closed loop, in place of arrivals at a rate; None for arrivals.
        percentiles: Percentiles to report.
        target_percentile: Percentile that the targets hold at; None for the mean.
        engine_terms: Names of the fields given that ask for the analysis of the engine.
        system: How many replicas there are, and how a request finds one; rates are those of all.
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
    arrival_cv: float = 1.0
    input_cv: float = 0.0
    output_cv: float = 0.0
    kv_tokens: int | None = None
    prefix_hit_rate: float = 0.0
    concurrency: int | None = None
    percentiles: tuple[float, ...] = DEFAULT_PERCENTILES
    target_percentile: float | None = None
    engine_terms: tuple[str, ...] = ()
    system: RoutedReplicas | TwoPools = ALONE


class AnswerStatus(StrEnum):
    """Whether a question could be answered."""

    OK = "ok"
    INFEASIBLE = "infeasible"
    INVALID = "invalid"
