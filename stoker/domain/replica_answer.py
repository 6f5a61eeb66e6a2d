"""The answer to a question about one replica, or about several."""

from __future__ import annotations

from dataclasses import dataclass

from stoker.domain.latency import LatencyStatistics
from stoker.domain.replica import AnswerStatus, ReplicaQuestion
from stoker.domain.settings import Analysis


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """What the analysis of the engine adds to an answer; None is unknown.

    Attributes:
        ttft: Time to first token, over requests.
        itl: Mean time between the tokens of a request, over requests.
        token_itl: Time before a token after the first, over tokens.
        e2e: Arrival to last token, over requests.
        wait: Arrival to the iteration that begins the prompt, over requests.
        mean_waiting: Mean number of requests that wait.
        output_tokens_per_s: Tokens made per second.
        kv_use: Mean share of the KV capacity in use.
        preemptions_per_request: Preemptions per completed request.
        extrapolated: Whether times beyond what was measured are used.
    """

    ttft: LatencyStatistics
    itl: LatencyStatistics
    token_itl: LatencyStatistics
    e2e: LatencyStatistics
    wait: LatencyStatistics
    mean_waiting: float | None
    output_tokens_per_s: float | None
    kv_use: float | None
    preemptions_per_request: float | None
    extrapolated: bool


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """One of two pools; None is unknown.

    Attributes:
        replicas: Its replicas.
        load: Requests offered to it over the most that it completes: 1 and more is too much.
        mean_in_service: Mean number of requests in service.
        mean_waiting: Mean number of requests that wait.
        utilization: Mean share of the batch limit in use.
        kv_use: Mean share of the KV capacity in use; None without a limit, too.
    """

    replicas: int
    load: float | None
    mean_in_service: float | None
    mean_waiting: float | None
    utilization: float | None
    kv_use: float | None


@dataclass(frozen=True, slots=True)
class SplitFigures:
    """What one split of cards between two pools carries.

    Attributes:
        prefill_replicas: Replicas of the prefill pool.
        decode_replicas: Replicas of the decode pool.
        cards: Cards in use.
        rate_rps: Largest arrival rate within the targets; 0 where they cannot be kept.
        saturation_rps: Largest rate that both pools could carry without targets.
    """

    prefill_replicas: int
    decode_replicas: int
    cards: int
    rate_rps: float
    saturation_rps: float


@dataclass(frozen=True, slots=True)
class TwoPoolsFigures:
    """What an answer about two pools tells of each.

    Attributes:
        prefill: The pool that computes prompts.
        decode: The pool that computes all further tokens.
        bottleneck: The pool with the higher load, ``prefill`` or ``decode``.
    """

    prefill: PoolFigures
    decode: PoolFigures
    bottleneck: str


@dataclass(frozen=True, slots=True)
class ReplicaAnswer:
    """What a replica does, or why the question has no such answer.

    A figure that the answer does not know is None. Where the targets cannot be kept
    (`AnswerStatus.INFEASIBLE`) the replica carries nothing within them: rates and throughput
    are 0 and there is no operating point to give latencies of.

    Attributes:
        question: What was asked.
        status: Whether it could be answered.
        message: Why not, in words; empty for an answer that needs none.
        arrival_rate_rps: Requests offered per second at the operating point.
        throughput_rps: Requests completed per second.
        response_ms: Mean time from arrival to last output token.
        wait_ms: Mean time in the queue.
        mean_in_service: Mean number of requests in service.
        ttft_ms: Mean time to first token.
        itl_ms: Mean time between output tokens.
        utilization: Mean share of the batch limit in use, 0 to 1.
        blocking: Share of the offered requests that find the queue full, 0 to 1.
        max_rate_rps: Largest arrival rate that is analysed: 0.999 of the saturated departure rate
            in the analysis of the reference, the largest throughput in that of the engine.
        ttft_rate_rps: Largest arrival rate within the TTFT target alone.
        itl_rate_rps: Largest arrival rate within the ITL target alone.
        tps_rate_rps: Largest arrival rate with the margin that a TPS target asks for; None
            without one.
        batch: Smallest batch limit with near-peak throughput (concurrency only).
        itl_batch: Largest batch limit whose closed-form ITL keeps the target, at least 1
            (concurrency only).
        prefill_batch: Largest batch limit whose closed-form prefill keeps the TTFT target, at
            least 1 (concurrency only).
        engine: What the analysis of the engine adds; None in an answer of the reference.
        pools: What is told of each of two pools; None where there are none.
        splits: Every split of the cards where the case leaves it open; the pools are the best.
        analysis: Performance model behind the answer.
    """

    question: ReplicaQuestion
    status: AnswerStatus
    message: str = ""
    arrival_rate_rps: float | None = None
    throughput_rps: float | None = None
    response_ms: float | None = None
    wait_ms: float | None = None
    mean_in_service: float | None = None
    ttft_ms: float | None = None
    itl_ms: float | None = None
    utilization: float | None = None
    blocking: float | None = None
    max_rate_rps: float | None = None
    ttft_rate_rps: float | None = None
    itl_rate_rps: float | None = None
    tps_rate_rps: float | None = None
    batch: int | None = None
    itl_batch: int | None = None
    prefill_batch: int | None = None
    engine: EngineFigures | None = None
    pools: TwoPoolsFigures | None = None
    splits: tuple[SplitFigures, ...] = ()
    analysis: Analysis = Analysis.REFERENCE
