"""What the analysis of the fleet says that the replicas of a server do at the load they get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from optimizer.replica_questions import answer_many
from stoker.domain.fleet import Fleet
from stoker.domain.profile import ModelProfile
from stoker.domain.replica import AnswerStatus, ReplicaCase, ReplicaQuestion
from stoker.domain.replica_answer import ReplicaAnswer
from stoker.domain.replica_system import ALONE, RoutedReplicas
from stoker.domain.server import Server
from stoker.domain.settings import DEFAULT_ANALYSIS, Analysis, QueueRule
from stoker.domain.workload import Load

_LARGEST_BATCH = 4096
_BATCHES_WAITING = 10


@dataclass(frozen=True, slots=True)
class RunningReplicas:
    """Replicas of a server, and the load that all of them get.

    Attributes:
        profile: How fast they are taken to be.
        load: What they get, with a rate above 0.
        replicas: How many, from 1.
        max_batch: Batch limit of an engine of theirs.
        server: Their server.
        fleet: Its fleet, for the analysis and the rule of queues.
    """

    profile: ModelProfile
    load: Load
    replicas: int
    max_batch: int
    server: Server
    fleet: Fleet


@dataclass(frozen=True, slots=True)
class Latencies:
    """What is predicted of replicas.

    Attributes:
        ttft_ms: Mean TTFT.
        itl_ms: Mean time between tokens, over tokens where the analysis tells it.
        wait_ms: Mean time of the TTFT in the queue.
    """

    ttft_ms: float
    itl_ms: float
    wait_ms: float


Predict = Callable[[Sequence[RunningReplicas]], Sequence[Latencies | None]]
"""Returns what each of many does, in order; None where the analysis cannot tell."""


def predict(asked: Sequence[RunningReplicas]) -> tuple[Latencies | None, ...]:
    """Return what the analysis of each fleet says of its replicas."""
    found: dict[int, Latencies | None] = {}
    for analysis in Analysis:
        rows = [row for row, each in enumerate(asked) if _analysis(each) is analysis]
        cases = [_case(asked[row], analysis) for row in rows]
        answers = answer_many(ReplicaQuestion.SOLVE, cases, analysis)
        found |= {row: _latencies(answer) for row, answer in zip(rows, answers, strict=True)}
    return tuple(found[row] for row in range(len(asked)))


def batch_of(server: Server, profile: ModelProfile, load: Load, told: int | None) -> int:
    """Return the batch limit of an engine of a server: told, else as the planner derives it."""
    own = told or server.max_batch
    if own is not None:
        return own
    limit = profile.batch_limit(load.output_tokens)
    if profile.kv_tokens is not None:
        limit = profile.max_batch  # memory bounds the batch by itself
    return max(1, min(limit, _LARGEST_BATCH))


def _analysis(each: RunningReplicas) -> Analysis:
    return each.fleet.settings.analysis or DEFAULT_ANALYSIS


def _case(each: RunningReplicas, analysis: Analysis) -> ReplicaCase:
    profile, load = each.profile, each.load
    engines = each.replicas * profile.engines
    alone = engines == 1 or analysis is Analysis.REFERENCE
    return ReplicaCase(
        profile.parameters,
        load.input_tokens,
        load.output_tokens,
        each.max_batch,
        _queue(each),
        arrival_rate_rps=load.arrival_rate_rps / (engines if alone else 1),
        token_budget=profile.token_budget,
        arrival_cv=load.arrival_cv,
        input_cv=load.input_tokens_cv,
        output_cv=load.output_tokens_cv,
        kv_tokens=profile.kv_tokens,
        prefix_hit_rate=load.prefix_hit_rate,
        percentiles=(),
        system=ALONE if alone else RoutedReplicas(engines, each.server.router),
    )


def _queue(each: RunningReplicas) -> int:
    own = each.server.max_queue
    if each.fleet.rules.queue_rule is QueueRule.TEN_BATCHES and own is not None:
        return own
    return _BATCHES_WAITING * each.max_batch


def _latencies(answer: ReplicaAnswer) -> Latencies | None:
    if answer.status is not AnswerStatus.OK:
        return None
    itl_ms = answer.itl_ms
    if answer.engine is not None:
        # Engines count the time before each token, not its mean over each request.
        itl_ms = answer.engine.token_itl.mean_ms
    parts = (answer.ttft_ms, itl_ms, answer.wait_ms)
    if any(part is None for part in parts):
        return None
    ttft_ms, itl_ms, wait_ms = (part or 0.0 for part in parts)
    return Latencies(ttft_ms, itl_ms, wait_ms)
