"""Questions about replicas, answered for many cases in one array computation each.

What a replica does at a rate, what it can carry within targets, and which batch limit suffices:
the three questions of `ReplicaQuestion`, by the analysis that each case asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from optimizer.engine_questions import answer_by_engine
from optimizer.reference_questions import answer_by_reference
from stoker.domain.curve import IterationTable
from stoker.domain.profile import OverlapParameters
from stoker.domain.replica import AnswerStatus, ReplicaCase, ReplicaQuestion
from stoker.domain.replica_answer import ReplicaAnswer
from stoker.domain.settings import Analysis

__all__ = ["ReplicaAnswer", "answer", "answer_many"]

_IN_BOTH = frozenset({"maxNumTokens"})
"""Fields that ask for the analysis of the engine, yet mean something to the reference too.

A case with no other of them gets the reference's answer, with the engine's figures beside it.
"""


def answer(
    question: ReplicaQuestion, case: ReplicaCase, analysis: Analysis | None = None
) -> ReplicaAnswer:
    """Answer a question about one replica; see `answer_many`."""
    return answer_many(question, [case], analysis)[0]


def answer_many(
    question: ReplicaQuestion, cases: Sequence[ReplicaCase], analysis: Analysis | None = None
) -> tuple[ReplicaAnswer, ...]:
    """Answer the same question about each of many replicas.

    An answer does not depend on the cases beside it.

    Args:
        question: What to ask.
        cases: The replicas.
        analysis: Performance model; None for the reference's, and that of the engine for a case
            that is put in terms which the reference does not know.

    Returns:
        One answer a case, in order. A case that makes no sense gets the status
        `AnswerStatus.INVALID` and a message; nothing is raised.
    """
    by_engine, by_reference = [], []
    answers: dict[int, ReplicaAnswer] = {}
    for row, case in enumerate(cases):
        strange = _beyond_reference(case)
        if analysis is Analysis.FULL or (analysis is None and strange):
            by_engine.append(row)
        elif strange:
            answers[row] = _refused(question, strange)
        else:
            by_reference.append(row)
    for rows, answer_rows in (
        (by_engine, answer_by_engine),
        (by_reference, answer_by_reference),
    ):
        answered = answer_rows(question, [cases[row] for row in rows])
        answers.update(zip(rows, answered, strict=True))
    if analysis is None:
        _add_engine(cases, answers)
    return tuple(answers[row] for row in range(len(cases)))


def _beyond_reference(case: ReplicaCase) -> list[str]:
    """Return the names of the fields of a case that mean nothing to the reference."""
    kinds = {IterationTable: "curve", OverlapParameters: "overlap"}
    own = [name for kind, name in kinds.items() if isinstance(case.parameters, kind)]
    return [name for name in dict.fromkeys((*own, *case.engine_terms)) if name not in _IN_BOTH]


def _add_engine(cases: Sequence[ReplicaCase], answers: dict[int, ReplicaAnswer]) -> None:
    """Set the engine's figures beside the reference's, at the same operating point.

    Only where a case asks for them in terms that the reference shares.
    """
    rows = [
        row
        for row, answer in answers.items()
        if cases[row].engine_terms and answer.status is AnswerStatus.OK and answer.engine is None
    ]
    points = [
        replace(
            cases[row],
            arrival_rate_rps=answers[row].arrival_rate_rps,
            max_batch=answers[row].batch or cases[row].max_batch,
        )
        for row in rows
    ]
    for row, found in zip(rows, answer_by_engine(ReplicaQuestion.SOLVE, points), strict=True):
        answers[row] = replace(answers[row], engine=found.engine)


def _refused(question: ReplicaQuestion, names: Sequence[str]) -> ReplicaAnswer:
    """Return the answer to a case in terms that the reference, asked for by name, lacks."""
    fields = " and ".join(names)
    verb = "is" if len(names) == 1 else "are"
    reason = (
        f"{fields} {verb} unknown to the analysis {Analysis.REFERENCE.value}, which works on means "
        f"of one replica (allowed: the analysis {Analysis.FULL.value})"
    )
    return ReplicaAnswer(question, AnswerStatus.INVALID, reason)
