"""Questions about single replicas, answered by the analysis of the engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.engine_answers import answer_at, computable, infeasible, invalid, nonsense
from optimizer.engine_batches import smallest_near_peak_limit
from optimizer.table import FloatArray, IntArray
from queueing.engine import (
    EngineCases,
    EngineSizing,
    EngineTargets,
    LatencyTarget,
    analyze_engine,
    size_engine,
)
from queueing.engine.build import iteration_times
from queueing.engine.closed import analyze_closed
from queueing.engine.misses import target_excess
from queueing.engine.sizing import SMALLEST_LOAD, TPS_MARGIN
from stoker.domain.latency import percentile_name
from stoker.domain.replica import AnswerStatus, ReplicaCase, ReplicaQuestion
from stoker.domain.replica_answer import ReplicaAnswer
from stoker.domain.settings import Analysis


def answer_by_engine(
    question: ReplicaQuestion, cases: Sequence[ReplicaCase]
) -> tuple[ReplicaAnswer, ...]:
    """Answer the same question about each of many replicas, as their engine is.

    Cases that report the same percentiles are computed together; an answer does not depend on the
    cases beside it.

    Args:
        question: What to ask.
        cases: The replicas.

    Returns:
        One answer a case, in order. A case that makes no sense gets the status
        `AnswerStatus.INVALID` and a message; nothing is raised.
    """
    groups: dict[tuple[float, ...], list[int]] = {}
    for row, case in enumerate(cases):
        groups.setdefault(case.percentiles, []).append(row)
    answers: dict[int, ReplicaAnswer] = {}
    for rows in groups.values():
        batch = _Batch.of([cases[row] for row in rows])
        answers.update(zip(rows, batch.answers(question), strict=True))
    return tuple(
        replace(answers[row], analysis=Analysis.FULL, question=question)
        for row in range(len(cases))
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Cases with one list of percentiles, and as arrays (cases,)."""

    asked: Sequence[ReplicaCase]
    cases: EngineCases
    percentiles: tuple[float, ...]

    @classmethod
    def of(cls, asked: Sequence[ReplicaCase]) -> _Batch:
        cases = EngineCases.of(
            iteration_times([case.parameters for case in asked]),
            [case.input_tokens for case in asked],
            [case.output_tokens for case in asked],
            [case.max_batch for case in asked],
            [case.max_queue for case in asked],
            input_cv=[case.input_cv for case in asked],
            output_cv=[case.output_cv for case in asked],
            arrival_cv=[case.arrival_cv for case in asked],
            token_budget=[case.token_budget for case in asked],
            kv_tokens=[math.inf if case.kv_tokens is None else case.kv_tokens for case in asked],
            prefix_hit_rate=[case.prefix_hit_rate for case in asked],
        )
        return cls(asked, cases, asked[0].percentiles)

    def take(self, rows: IntArray) -> _Batch:
        """Return the selected cases."""
        return _Batch([self.asked[row] for row in rows], self.cases.take(rows), self.percentiles)

    def answers(self, question: ReplicaQuestion) -> list[ReplicaAnswer]:
        """Answer the question about each case, and say why about those that make no sense."""
        found: list[ReplicaAnswer | None] = [None] * len(self.asked)
        usable = self.cases.usable() & np.array([computable(case) for case in self.asked])
        for row in np.flatnonzero(~usable).tolist():
            found[row] = invalid(question, nonsense(self.asked[row]))
        rows = np.flatnonzero(usable)
        if len(rows):
            part = self.take(rows)
            answered = {
                ReplicaQuestion.SOLVE: part.solve,
                ReplicaQuestion.TARGET: part.target,
                ReplicaQuestion.CONCURRENCY: part.concurrency,
            }[question]()
            for row, one in zip(rows.tolist(), answered, strict=True):
                found[row] = one
        return [one for one in found if one is not None]

    def solve(self) -> list[ReplicaAnswer]:
        """Return what each replica does at its rate, or under its clients."""
        question = ReplicaQuestion.SOLVE
        clients = np.array([case.concurrency or 0 for case in self.asked], dtype=np.float64)
        rate = np.array([case.arrival_rate_rps or 0.0 for case in self.asked])
        answers = [invalid(question, "there is no arrival rate above 0 to solve for")] * len(rate)
        closed = np.flatnonzero(clients > 0)
        if len(closed):
            part = self.take(closed)
            point = analyze_closed(part.cases, clients[closed], self.percentiles)
            for index, row in enumerate(closed):
                answers[row] = answer_at(question, part.asked[index], point, index)
        opened = np.flatnonzero((clients == 0) & (rate > 0))
        if len(opened):
            part = self.take(opened)
            point = analyze_engine(part.cases, rate[opened], self.percentiles)
            for index, row in enumerate(opened):
                answers[row] = answer_at(question, part.asked[index], point, index)
        return answers

    def target(self) -> list[ReplicaAnswer]:
        """Return the largest rate at which each replica keeps its targets."""
        targets = self.targets()
        sizing = size_engine(self.cases, targets)
        return self._sized(ReplicaQuestion.TARGET, self.cases, targets, sizing)

    def concurrency(self) -> list[ReplicaAnswer]:
        """Return the smallest batch limit of each that carries nearly as much as any."""
        question = ReplicaQuestion.CONCURRENCY
        targets = self.targets()
        found = smallest_near_peak_limit(self.cases, targets)
        # Where no batch limit serves, the largest one tells what is out of reach.
        feasible = np.isfinite(found)
        chosen = np.where(feasible, found, self.cases.max_batch)
        cases = self.cases.with_batch(chosen)
        answers = self._sized(question, cases, targets, size_engine(cases, targets))
        return [
            replace(one, batch=int(chosen[row]))
            if one.status is AnswerStatus.OK
            else replace(
                one,
                message=f"no batch limit from 1 to {self.asked[row].max_batch} keeps the targets: "
                f"{one.message}",
            )
            for row, one in enumerate(answers)
        ]

    def targets(self) -> EngineTargets:
        """Return the targets of the cases."""
        percentile = _or_nan([case.target_percentile for case in self.asked])
        ttft = LatencyTarget(_or_nan([case.ttft_ms for case in self.asked]), percentile)
        itl = LatencyTarget(_or_nan([case.itl_ms for case in self.asked]), percentile)
        return EngineTargets.of(
            len(self.asked),
            ttft=(ttft,) if ttft.any() else (),
            itl=(itl,) if itl.any() else (),
            tps=_or_nan([case.tps for case in self.asked]),
        )

    def _sized(
        self,
        question: ReplicaQuestion,
        cases: EngineCases,
        targets: EngineTargets,
        sizing: EngineSizing,
    ) -> list[ReplicaAnswer]:
        """Return the answers of a sizing: figures at the largest rate, or what is out of reach."""
        kept, missed = np.flatnonzero(sizing.feasible), np.flatnonzero(~sizing.feasible)
        answers: dict[int, ReplicaAnswer] = {}
        if len(kept):
            point = analyze_engine(cases.take(kept), sizing.rate_rps[kept], self.percentiles)
            part = self.take(kept)
            for index, row in enumerate(kept.tolist()):
                answers[row] = answer_at(question, part.asked[index], point, index)
        if len(missed):
            lowest_rps = SMALLEST_LOAD * sizing.max_rate_rps[missed]
            reasons = self.take(missed).out_of_reach(
                cases.take(missed), targets.take(missed), lowest_rps
            )
            for row, reason in zip(missed.tolist(), reasons, strict=True):
                answers[row] = infeasible(question, reason, float(cases.max_batch[row]))
        ttft, itl = (size_engine(cases, targets.only(name)).rate_rps for name in ("ttft", "itl"))
        return [
            replace(
                answers[row],
                max_rate_rps=float(sizing.max_rate_rps[row]) / _tps_share(case),
                ttft_rate_rps=float(ttft[row]),
                itl_rate_rps=float(itl[row]),
                tps_rate_rps=None if case.tps is None else float(sizing.max_rate_rps[row]),
            )
            for row, case in enumerate(self.asked)
        ]

    def out_of_reach(
        self, cases: EngineCases, targets: EngineTargets, lowest_rps: FloatArray
    ) -> list[str]:
        """Say, of replicas that keep their targets at no rate, which, and what is the best."""
        asked = sorted({case.target_percentile or 50.0 for case in self.asked})
        point = analyze_engine(cases, lowest_rps, tuple(asked))
        missed = {
            "TTFT": target_excess(cases, targets.only("ttft"), lowest_rps) > 0.0,
            "ITL": target_excess(cases, targets.only("itl"), lowest_rps) > 0.0,
        }
        reasons = []
        for row, case in enumerate(self.asked):
            percentile = case.target_percentile
            told = []
            for name, target_ms, latency in (
                ("TTFT", case.ttft_ms, point.ttft),
                ("ITL", case.itl_ms, point.itl),
            ):
                if not missed[name][row] or target_ms is None:
                    continue
                label = name if percentile is None else f"{percentile_name(percentile)} {name}"
                best_ms = (
                    latency.mean_ms[row]
                    if percentile is None
                    else latency.at_ms[asked.index(percentile), row]
                )
                told.append(
                    f"the {label} target of {target_ms:g} ms is below the {best_ms:.6g} ms that "
                    f"{label} takes at best"
                )
            reasons.append(" and ".join(told) or "no rate keeps both targets at once")
        return reasons


def _tps_share(case: ReplicaCase) -> float:
    """Return the share of the largest rate that a TPS target leaves, its margin taken off."""
    return 1.0 if case.tps is None else TPS_MARGIN


def _or_nan(values: Sequence[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
