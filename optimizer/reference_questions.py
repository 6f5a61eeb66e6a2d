"""Questions about single replicas, answered by the analysis of the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.table import FloatArray
from queueing.cases import ReplicaCases
from queueing.chain import MAX_BATCH_LIMIT
from queueing.concurrency import smallest_near_peak_batch
from queueing.replica import OperatingPoint, analyze
from queueing.service import LinearService, ServiceTimeModel, TokenWorkService
from queueing.sizing import TPS_MARGIN, Sizing, size
from queueing.targets import LatencyTargets
from stoker.domain.profile import LinearParameters, TokenWorkParameters
from stoker.domain.replica import AnswerStatus, ReplicaCase, ReplicaQuestion
from stoker.domain.replica_answer import ReplicaAnswer

__all__ = ["answer_by_reference"]


def answer_by_reference(
    question: ReplicaQuestion, cases: Sequence[ReplicaCase]
) -> tuple[ReplicaAnswer, ...]:
    """Answer the same question about each of many replicas, on means.

    The cases of each service-time generation are computed together; an answer does not depend
    on the cases beside it. What is no part of the reference (variability, KV memory, clients of a
    closed loop, percentiles) is passed over.

    Args:
        question: What to ask.
        cases: The replicas.

    Returns:
        One answer a case, in order. A case that makes no sense gets the status
        `AnswerStatus.INVALID` and a message; nothing is raised.
    """
    answers: dict[int, ReplicaAnswer] = {}
    for generation in (LinearParameters, TokenWorkParameters):
        rows = [row for row, case in enumerate(cases) if isinstance(case.parameters, generation)]
        if rows:
            batch = _Batch.of([cases[row] for row in rows])
            answers.update(zip(rows, _ANSWER[question](batch), strict=True))
    return tuple(answers[row] for row in range(len(cases)))


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Cases of one generation, as they were asked and as arrays (cases,)."""

    asked: Sequence[ReplicaCase]
    cases: ReplicaCases
    targets: LatencyTargets
    rate_rps: FloatArray

    @classmethod
    def of(cls, asked: Sequence[ReplicaCase]) -> _Batch:
        cases = ReplicaCases(
            service=_service(asked),
            input_tokens=np.array([case.input_tokens for case in asked], dtype=np.float64),
            output_tokens=np.array([case.output_tokens for case in asked], dtype=np.float64),
            max_batch=np.array([case.max_batch for case in asked], dtype=np.float64),
            max_queue=np.array([case.max_queue for case in asked], dtype=np.float64),
        )
        targets = LatencyTargets.of(
            len(asked),
            ttft_ms=_optional([case.ttft_ms for case in asked]),
            itl_ms=_optional([case.itl_ms for case in asked]),
            tps=_optional([case.tps for case in asked]),
        )
        return cls(asked, cases, targets, _optional([case.arrival_rate_rps for case in asked]))

    def has_target(self, row: int) -> bool:
        """Tell whether a target is set that could be out of reach.

        Without one every rate will do, and a case that has none makes no sense in itself.
        """
        return self.asked[row].ttft_ms is not None or self.asked[row].itl_ms is not None

    def nonsense(self, row: int, question: ReplicaQuestion) -> ReplicaAnswer:
        """Return the answer to a case that makes no sense."""
        case = self.asked[row]
        if question is ReplicaQuestion.SOLVE and not self.rate_rps[row] > 0.0:
            reason = "there is no arrival rate above 0 to solve for"
        elif self._takes_no_time(row):
            reason = (
                f"a request takes no time at all: {case.parameters} leave nothing to do for "
                f"{case.input_tokens:g} input and {case.output_tokens:g} output tokens"
            )
        else:
            reason = (
                f"{case} cannot be computed: parameters and lengths must be finite, at least 0 and "
                f"not astronomical, output_tokens at least 1, max_batch from 1 to {MAX_BATCH_LIMIT}"
            )
        return ReplicaAnswer(question, AnswerStatus.INVALID, reason)

    def _takes_no_time(self, row: int) -> bool:
        with np.errstate(all="ignore"):
            one = self.cases.take(slice(row, row + 1))
            return bool(one.service_time_ms(np.ones(1))[0] == 0.0)


def _service(asked: Sequence[ReplicaCase]) -> ServiceTimeModel:
    parameters = [case.parameters for case in asked]
    linear = [given for given in parameters if isinstance(given, LinearParameters)]
    if linear:
        return LinearService.of(
            [given.alpha_ms for given in linear],
            [given.beta_ms for given in linear],
            [given.gamma_ms for given in linear],
            [given.delta_ms for given in linear],
        )
    work = [given for given in parameters if isinstance(given, TokenWorkParameters)]
    return TokenWorkService.of(
        [given.alpha_ms for given in work],
        [given.beta_ms for given in work],
        [given.gamma_ms for given in work],
        [float(case.token_budget) for case in asked],
    )


def _optional(values: Sequence[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _solve(batch: _Batch) -> list[ReplicaAnswer]:
    question = ReplicaQuestion.SOLVE
    point = analyze(batch.cases, batch.rate_rps)
    return [
        _at_point(question, point, row) if point.valid[row] else batch.nonsense(row, question)
        for row in range(len(point))
    ]


def _target(batch: _Batch) -> list[ReplicaAnswer]:
    question = ReplicaQuestion.TARGET
    sizing = size(batch.cases, batch.targets, per_target=True)
    answers = []
    for row in range(len(batch.asked)):
        if not sizing.valid[row] or not (sizing.feasible[row] or batch.has_target(row)):
            answers.append(batch.nonsense(row, question))
        elif sizing.feasible[row]:
            found = _at_point(question, sizing.point, row)
            answers.append(_with_rates_alone(found, batch, sizing, row))
        else:
            refused = ReplicaAnswer(
                question,
                AnswerStatus.INFEASIBLE,
                f"{_why_infeasible(batch, sizing, row)}, with a batch limit of "
                f"{batch.asked[row].max_batch}",
                arrival_rate_rps=0.0,
                throughput_rps=0.0,
                max_rate_rps=float(sizing.max_rate_rps[row]),
            )
            answers.append(_with_rates_alone(refused, batch, sizing, row))
    return answers


def _concurrency(batch: _Batch) -> list[ReplicaAnswer]:
    question = ReplicaQuestion.CONCURRENCY
    found = smallest_near_peak_batch(batch.cases, batch.targets)
    # Where no batch limit serves, the largest one tells what is out of reach.
    chosen = np.where(found.feasible, found.max_batch, batch.cases.max_batch)
    sizing = size(replace(batch.cases, max_batch=chosen), batch.targets, per_target=True)
    answers = []
    for row in range(len(batch.asked)):
        if not found.valid[row] or not (found.feasible[row] or batch.has_target(row)):
            answers.append(batch.nonsense(row, question))
            continue
        if found.feasible[row]:
            point = _at_point(question, found.point, row)
            answered = _with_rates_alone(point, batch, sizing, row)
            answered = replace(answered, batch=int(chosen[row]))
        else:
            largest = batch.asked[row].max_batch
            answered = ReplicaAnswer(
                question,
                AnswerStatus.INFEASIBLE,
                f"no batch limit from 1 to {largest} keeps the targets: with {largest}, "
                f"{_why_infeasible(batch, sizing, row)}",
                arrival_rate_rps=0.0,
                throughput_rps=0.0,
            )
        answers.append(
            replace(
                answered,
                itl_batch=int(found.itl_bracket[row]),
                prefill_batch=int(found.ttft_bracket[row]),
            )
        )
    return answers


_ANSWER: dict[ReplicaQuestion, Callable[[_Batch], list[ReplicaAnswer]]] = {
    ReplicaQuestion.SOLVE: _solve,
    ReplicaQuestion.TARGET: _target,
    ReplicaQuestion.CONCURRENCY: _concurrency,
}


def _with_rates_alone(
    found: ReplicaAnswer, batch: _Batch, sizing: Sizing, row: int
) -> ReplicaAnswer:
    """Add the largest rate within each target alone: 0 where no rate keeps it."""
    assert sizing.ttft_limit_rps is not None  # asked for with per_target
    assert sizing.itl_limit_rps is not None
    tps = batch.asked[row].tps
    return replace(
        found,
        ttft_rate_rps=float(np.nan_to_num(sizing.ttft_limit_rps[row])),
        itl_rate_rps=float(np.nan_to_num(sizing.itl_limit_rps[row])),
        tps_rate_rps=None if tps is None else TPS_MARGIN * float(sizing.max_rate_rps[row]),
    )


def _why_infeasible(batch: _Batch, sizing: Sizing, row: int) -> str:
    """Say which target is out of reach, and what is the best that can be had."""
    case = batch.asked[row]
    reasons = [
        f"the {name} target of {target:g} ms is below the {best:.6g} ms that {name} takes at best"
        for name, target, best, unreachable in (
            ("TTFT", case.ttft_ms, sizing.best_ttft_ms[row], sizing.ttft_unreachable[row]),
            ("ITL", case.itl_ms, sizing.best_itl_ms[row], sizing.itl_unreachable[row]),
        )
        if unreachable
    ]
    if reasons:
        return " and ".join(reasons)
    return (
        f"no rate keeps both targets, TTFT {case.ttft_ms or 0.0:g} ms and ITL "
        f"{case.itl_ms or 0.0:g} ms, though each can be kept at another"
    )


def _at_point(question: ReplicaQuestion, point: OperatingPoint, row: int) -> ReplicaAnswer:
    """Return the figures of one row; those that only sizing knows are left out."""
    offered = float(point.arrival_rate_rps[row])
    return ReplicaAnswer(
        question=question,
        status=AnswerStatus.OK,
        arrival_rate_rps=offered,
        # The two are computed apart, and rounding must not complete more than was offered.
        throughput_rps=min(float(point.throughput_rps[row]), offered),
        response_ms=float(point.response_ms[row]),
        wait_ms=float(point.wait_ms[row]),
        mean_in_service=float(point.mean_in_service[row]),
        ttft_ms=float(point.ttft_ms[row]),
        itl_ms=float(point.itl_ms[row]),
        utilization=float(point.utilization[row]),
        blocking=float(point.blocking[row]),
        max_rate_rps=float(point.max_rate_rps[row]),
    )
