"""Questions about replicas, fleets and pools, answered by the analysis of the engine."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.engine_answers import (
    answer_at,
    computable,
    infeasible,
    invalid,
    nonsense,
    serves_nobody,
    unsupported,
)
from optimizer.engine_batches import smallest_near_peak_limit
from optimizer.engine_reach import out_of_reach, targets_of
from optimizer.engine_splits import with_sizes
from optimizer.engine_systems import (
    EngineSystems,
    SingleReplicas,
    SystemPoint,
    engine_cases,
    kind_of,
    systems_of,
)
from optimizer.table import IntArray
from queueing.engine import EngineTargets
from queueing.engine.closed import analyze_closed
from queueing.engine.sizing import SMALLEST_LOAD, TPS_MARGIN
from stoker.domain.replica import AnswerStatus, ReplicaCase, ReplicaQuestion
from stoker.domain.replica_answer import ReplicaAnswer
from stoker.domain.settings import Analysis


def answer_by_engine(
    question: ReplicaQuestion, cases: Sequence[ReplicaCase]
) -> tuple[ReplicaAnswer, ...]:
    """Answer the same question about each of many cases, as their engine is.

    Cases of one kind that report the same percentiles are computed together; an answer does not
    depend on the cases beside it. Of cards to split the best split is taken (see `with_sizes`).

    Args:
        question: What to ask.
        cases: The replicas.

    Returns:
        One answer a case, in order. A case that makes no sense gets the status
        `AnswerStatus.INVALID` and a message; nothing is raised.
    """
    reasons = [unsupported(question, case) for case in cases]
    answers = {
        row: invalid(question, reason) for row, reason in enumerate(reasons) if reason is not None
    }
    rows = [row for row in range(len(cases)) if row not in answers]
    sized = dict(zip(rows, with_sizes([cases[row] for row in rows]), strict=True))
    groups: dict[Hashable, list[int]] = {}
    for row in rows:
        groups.setdefault((cases[row].percentiles, kind_of(cases[row])), []).append(row)
    for group in groups.values():
        batch = _Batch.of([sized[row].case for row in group])
        for row, one in zip(group, batch.answers(question), strict=True):
            answers[row] = replace(one, splits=sized[row].splits)
    return tuple(
        replace(answers[row], analysis=Analysis.FULL, question=question)
        for row in range(len(cases))
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Cases of one kind with one list of percentiles, and their systems."""

    asked: Sequence[ReplicaCase]
    systems: EngineSystems
    percentiles: tuple[float, ...]

    @classmethod
    def of(cls, asked: Sequence[ReplicaCase]) -> _Batch:
        return cls(asked, systems_of(asked), asked[0].percentiles)

    def take(self, rows: IntArray) -> _Batch:
        """Return the selected cases."""
        asked = [self.asked[row] for row in rows]
        return _Batch(asked, self.systems.take(rows), self.percentiles)

    def answers(self, question: ReplicaQuestion) -> list[ReplicaAnswer]:
        """Answer the question about each case, and say why about those that make no sense."""
        found: list[ReplicaAnswer | None] = [None] * len(self.asked)
        usable = self.systems.usable() & np.array([computable(case) for case in self.asked])
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
        """Return what each system does at its rate, or under its clients."""
        question = ReplicaQuestion.SOLVE
        clients = np.array([case.concurrency or 0 for case in self.asked], dtype=np.float64)
        rate = np.array([case.arrival_rate_rps or 0.0 for case in self.asked])
        answers = [invalid(question, "there is no arrival rate above 0 to solve for")] * len(rate)
        closed = np.flatnonzero(clients > 0)
        if len(closed):
            part = self.take(closed)
            cases = engine_cases(part.asked)
            closed_point = analyze_closed(cases, clients[closed], self.percentiles)
            for row, one in zip(
                closed.tolist(), part.at(question, SystemPoint(closed_point)), strict=True
            ):
                answers[row] = one
        opened = np.flatnonzero((clients == 0) & (rate > 0))
        if len(opened):
            part = self.take(opened)
            point = part.systems.at(rate[opened], self.percentiles)
            for row, one in zip(opened.tolist(), part.at(question, point), strict=True):
                answers[row] = one
        return answers

    def target(self) -> list[ReplicaAnswer]:
        """Return the largest rate at which each system keeps its targets."""
        return self._sized(ReplicaQuestion.TARGET, targets_of(self.asked))

    def concurrency(self) -> list[ReplicaAnswer]:
        """Return the smallest batch limit of each replica that carries nearly as much as any."""
        question = ReplicaQuestion.CONCURRENCY
        targets, cases = targets_of(self.asked), engine_cases(self.asked)
        found = smallest_near_peak_limit(cases, targets)
        # Where no batch limit serves, the largest one tells what is out of reach.
        chosen = np.where(np.isfinite(found), found, cases.max_batch)
        systems = SingleReplicas(cases.with_batch(chosen))
        answers = replace(self, systems=systems)._sized(question, targets)
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

    def at(self, question: ReplicaQuestion, point: SystemPoint) -> list[ReplicaAnswer]:
        """Return the figures of the cases at their operating points."""
        return [answer_at(question, case, point, row) for row, case in enumerate(self.asked)]

    def _sized(self, question: ReplicaQuestion, targets: EngineTargets) -> list[ReplicaAnswer]:
        """Return the answers of a sizing: figures at the largest rate, or what is out of reach."""
        sizing = self.systems.size(targets)
        serving = sizing.max_rate_rps > 0.0
        kept = np.flatnonzero(sizing.feasible)
        missed = np.flatnonzero(serving & ~sizing.feasible)
        answers = {
            row: infeasible(question, serves_nobody(self.asked[row]), self.asked[row])
            for row in np.flatnonzero(~serving).tolist()
        }
        if len(kept):
            part = self.take(kept)
            point = part.systems.at(sizing.rate_rps[kept], self.percentiles)
            answers |= zip(kept.tolist(), part.at(question, point), strict=True)
        if len(missed):
            part = self.take(missed)
            lowest_rps = SMALLEST_LOAD * sizing.max_rate_rps[missed]
            reasons = out_of_reach(part.asked, part.systems, targets.take(missed), lowest_rps)
            for row, reason in zip(missed.tolist(), reasons, strict=True):
                answers[row] = infeasible(question, reason, self.asked[row])
        ttft, itl = (
            np.maximum(self.systems.size(targets.only(name)).rate_rps, sizing.rate_rps)
            for name in ("ttft", "itl")
        )
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


def _tps_share(case: ReplicaCase) -> float:
    """Return the share of the largest rate that a TPS target leaves, its margin taken off."""
    return 1.0 if case.tps is None else TPS_MARGIN
