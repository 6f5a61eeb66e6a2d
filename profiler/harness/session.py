"""A run: case after case until the budget is spent, each result on the disk at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from profiler.harness.adaptive import Chooser
from profiler.harness.journal import MOST_STARTS, Journal
from profiler.harness.measure import Bench, DeviceLostError, measure
from profiler.harness.stability import SamplingRules
from stoker.domain.timing import CaseStatus, CaseTiming, IterationCase


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        timed: Cases with a result.
        spent_s: Time that they took, in all processes that worked on it.
        budget_s: Time that it may take.
        doubt: How well the least known time is known (see `Choice.doubt`); None at first.
        last: The case that was timed last; None before the first one.
    """

    timed: int
    spent_s: float
    budget_s: float
    doubt: float | None
    last: CaseTiming | None


Report = Callable[[Progress], None]


def run_cases(
    bench: Bench,
    chooser: Chooser,
    journal: Journal,
    rules: SamplingRules,
    budget_s: float,
    clock: Callable[[], float],
    report: Report,
) -> float | None:
    """Time cases until the budget is spent or every time is known well enough.

    What the journal has already is not timed again, and the time it took counts. A case that ended
    the process whenever it began is recorded as failed. The first cases are always timed, whatever
    they take: without them no time in between is known at all.

    Returns:
        The doubt about the time that is known least; None where that was not reached.

    Raises:
        DeviceLostError: The device does not answer any more. The same run goes on in a new process.
    """
    doubt: float | None = None
    while True:
        choice = chooser.choose(journal.timings, journal.spent_s)
        doubt = choice.doubt
        wanted = [
            case
            for case, expected in zip(choice.cases, choice.expected_s, strict=True)
            if expected is None or journal.spent_s + expected <= budget_s
        ]
        if not wanted:
            return doubt
        for case in wanted:
            # Of those chosen together, the later ones are dropped when the earlier took too long.
            if doubt is not None and journal.spent_s >= budget_s:
                return doubt
            timing = _one(bench, case, journal, rules, clock)
            report(Progress(len(journal.timings), journal.spent_s, budget_s, doubt, timing))


def _one(
    bench: Bench,
    case: IterationCase,
    journal: Journal,
    rules: SamplingRules,
    clock: Callable[[], float],
) -> CaseTiming:
    if journal.starts.get(case, 0) >= MOST_STARTS:
        reason = f"the process ended {MOST_STARTS} times while this case ran"
        timing = CaseTiming(case, CaseStatus.FAILED, reason=reason)
        journal.finish(timing, None, 0.0)
        return timing
    journal.start(case)
    started = clock()
    try:
        timing, bent = measure(bench, case, rules, clock)
    except DeviceLostError as error:
        words = " ".join(str(error).split())
        lost = CaseTiming(case, CaseStatus.FAILED, reason=f"the device was lost: {words}"[:300])
        journal.finish(lost, None, clock() - started)
        raise
    journal.finish(timing, bent, clock() - started)
    return timing
