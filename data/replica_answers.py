"""Answers of the replica-analysis JSON, to the cases of `data.replica_lines`.

They keep the field names of the original programs, and hold no NaN or infinity.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

from stoker.domain.errors import Problem
from stoker.domain.latency import MEAN, LatencyStatistics, percentile_name
from stoker.domain.replica import AnswerStatus, ReplicaQuestion
from stoker.domain.replica_answer import EngineFigures, PoolFigures, ReplicaAnswer, SplitFigures
from stoker.domain.settings import Analysis

Figures = Mapping[str, float | None]
"""Mean and percentiles of a latency, by name."""

Row = Mapping[str, float | int | None]
"""Figures of a part: a pool, or a split of cards."""

Value = float | int | str | bool | None | Mapping[str, float | Figures | None] | Sequence[Row]

AnswerDocument = dict[str, Value]
"""An answer as a JSON object."""


def answer_document(answer: ReplicaAnswer, *, line: int | None = None) -> AnswerDocument:
    """Return an answer as a JSON object, in the field names of the format.

    An invalid case has no figures: only ``status`` and ``message``. A figure that is not known
    is null. As in the original programs, ``RPSTargetTTFT`` and ``RPSTargetITL`` are 0 where the
    question was not about targets.

    Args:
        answer: The answer.
        line: Line number of the case, from 1, told where it is invalid; None where there are
            no lines.
    """
    if answer.status is AnswerStatus.INVALID:
        return invalid_document(answer.message, line)
    document: AnswerDocument = {}
    if answer.question is ReplicaQuestion.CONCURRENCY:
        document["concurrency"] = answer.batch
    document |= {
        "offeredRPS": _known(answer.arrival_rate_rps),
        "throughput": _known(answer.throughput_rps),
        "avgRespTime": _known(answer.response_ms),
        "avgWaitTime": _known(answer.wait_ms),
        "avgNumInServ": _known(answer.mean_in_service),
        "avgTTFT": _known(answer.ttft_ms),
        "avgITL": _known(answer.itl_ms),
        "maxRPS": _known(answer.max_rate_rps),
    }
    if answer.question is ReplicaQuestion.SOLVE:
        document |= {"RPSTargetTTFT": 0.0, "RPSTargetITL": 0.0}
    else:
        document |= {
            "RPSTargetTTFT": _known(answer.ttft_rate_rps),
            "RPSTargetITL": _known(answer.itl_rate_rps),
        }
        if answer.tps_rate_rps is not None:
            document["RPSTargetTPS"] = _known(answer.tps_rate_rps)
    if answer.question is ReplicaQuestion.CONCURRENCY:
        document |= {
            "M_ITL": answer.itl_batch,
            "M_TPF": answer.prefill_batch,
            "feasible": answer.status is AnswerStatus.OK,
        }
    document |= {
        "utilization": _known(answer.utilization),
        "blocking": _known(answer.blocking),
        "status": answer.status.value,
        "message": answer.message,
    }
    if answer.analysis is not Analysis.REFERENCE:
        document["analysis"] = answer.analysis.value
    if answer.engine is not None:
        document |= _engine(answer.engine)
    if answer.pools is not None:
        document |= {
            "prefill": _pool(answer.pools.prefill),
            "decode": _pool(answer.pools.decode),
            "bottleneck": answer.pools.bottleneck,
        }
    if answer.splits:
        document["splits"] = [_split(split) for split in answer.splits]
    return document


def problem_document(problems: Sequence[Problem], *, line: int | None = None) -> AnswerDocument:
    """Return the answer to a case that could not be read.

    Args:
        problems: What is wrong with it.
        line: Its line number, from 1; None where there are no lines.
    """
    return invalid_document("; ".join(str(problem) for problem in problems), line)


def format_line(document: AnswerDocument) -> str:
    """Return an answer as one line of strict JSON, without its end."""
    return json.dumps(document, allow_nan=False)


def invalid_document(message: str, line: int | None = None) -> AnswerDocument:
    """Return the answer to a case that makes no sense, with the number of its line."""
    text = message if line is None else f"line {line}: {message}"
    return {"status": AnswerStatus.INVALID.value, "message": text}


def _engine(figures: EngineFigures) -> AnswerDocument:
    document: AnswerDocument = {
        "ttft_ms": latency_document(figures.ttft),
        "itl_ms": latency_document(figures.itl),
        "token_itl_ms": latency_document(figures.token_itl),
        "e2e_ms": latency_document(figures.e2e),
        "wait_ms": latency_document(figures.wait),
        "outputTokensPerSecond": _known(figures.output_tokens_per_s),
        "avgNumWaiting": _known(figures.mean_waiting),
        "preemptionsPerRequest": _known(figures.preemptions_per_request),
        "extrapolated": figures.extrapolated,
    }
    if figures.kv_use is not None:  # there is a KV capacity to use
        document["kvUse"] = _known(figures.kv_use)
    return document


def _pool(figures: PoolFigures) -> Row:
    document: dict[str, float | int | None] = {
        "replicas": figures.replicas,
        "load": _known(figures.load),
        "utilization": _known(figures.utilization),
        "avgNumInServ": _known(figures.mean_in_service),
        "avgNumWaiting": _known(figures.mean_waiting),
    }
    if figures.kv_use is not None:
        document["kvUse"] = _known(figures.kv_use)
    return document


def _split(figures: SplitFigures) -> Row:
    return {
        "prefillReplicas": figures.prefill_replicas,
        "decodeReplicas": figures.decode_replicas,
        "cards": figures.cards,
        "RPS": _known(figures.rate_rps),
        "maxRPS": _known(figures.saturation_rps),
    }


def latency_document(figures: LatencyStatistics) -> Figures:
    """Return a latency as ``{"mean": ..., "p50": ...}``; what is unknown is null."""
    document = {MEAN: _known(figures.mean_ms)}
    for percentile, value_ms in figures.percentiles_ms.items():
        document[percentile_name(percentile)] = _known(value_ms)
    return document


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
