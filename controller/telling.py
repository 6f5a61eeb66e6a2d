"""What each cycle tells beside its decisions: problems in its record, news in the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.cycle import CycleResult
from controller.degraded import (
    Degraded,
    cut_off,
    cut_off_words,
    degraded_now,
    emitted,
    news,
    powerless,
    unscheduled,
)
from controller.ports import Announcer, Lock
from controller.problems import ProblemKind, Trouble
from controller.record import JsonObject
from stoker.domain.control.changes import ChangeOutcome, ChangeResult, HoldReason
from stoker.domain.control.observation import Observation


class Teller:
    """Tells what befell, once and again when it is over.

    Args:
        announcer: Who tells the cluster.
        lock: Who says why this loop cannot be elected.
        interrupted: The record of a cycle that was cut off between plan and act; None for none.
    """

    def __init__(self, announcer: Announcer, lock: Lock, interrupted: JsonObject | None) -> None:
        self._announcer = announcer
        self._lock = lock
        self._interrupted = interrupted
        self._failures: list[Trouble] = []
        if interrupted is not None:
            self._failures = [Trouble(ProblemKind.CUT_OFF, cut_off_words(interrupted))]
        self._found: Mapping[str, Degraded] = {}
        self._told: Mapping[str, Degraded] = {}

    def failed(self, error: Exception) -> None:
        """Take in that a cycle failed: the next one's record tells it."""
        words = f"the cycle before failed ({type(error).__name__}: {error})"
        self._failures.append(Trouble(ProblemKind.CYCLE_FAILED, words))

    def troubles(self, observation: Observation) -> list[Trouble]:
        """Return what the record of a cycle has to tell beside what was observed and decided."""
        homeless = unscheduled(observation.cluster, observation.at)
        found = [
            *self._failures,
            *(
                Trouble(ProblemKind.UNSCHEDULED, f"{name}: {each}")
                for name, each in sorted(homeless.items())
            ),
        ]
        self._failures = []
        if self._lock.problem:
            found.append(Trouble(ProblemKind.LEASE, self._lock.problem))
        if self._announcer.problem:
            found.append(Trouble(ProblemKind.EVENTS_REFUSED, self._announcer.problem))
        return found

    def degraded(self, result: CycleResult, *, leader: bool) -> Mapping[str, Degraded]:
        """Return the servers that something keeps from being decided on as ever, whatever the mode.

        Those of a loop that cannot be elected are all of them.
        """
        at, cluster = result.observation.at, result.observation.cluster
        if not leader and self._lock.problem:
            self._found = powerless(result.decisions, self._lock.problem, self._found, at)
        else:
            homeless = unscheduled(cluster, at)
            self._found = degraded_now(result.decisions, cluster, homeless, self._found, at)
        return self._found

    def tell(self, result: CycleResult, results: Sequence[ChangeResult], *, leader: bool) -> None:
        """Tell the cluster what was done and what befell, as `degraded` found it.

        Only the one that leads tells. What befell while the cluster did not answer, or while this
        loop could not be elected, is told when that is over.
        """
        at, cluster, now = result.observation.at, result.observation.cluster, self._found
        if not leader:
            if self._lock.problem:
                self._told = now
            return
        if any(HoldReason.STATE_UNKNOWN.value in each.reasons for each in now.values()):
            self._told = {**self._told, **now}
            return
        notices = (*emitted(result.decisions, results), *news(self._told, now, cluster, at))
        if self._interrupted is not None:
            notices = (*cut_off(self._interrupted, cluster), *notices)
        self._interrupted, self._told = None, now
        written = [each for each in results if each.outcome is not ChangeOutcome.EMITTED]
        self._announcer.announce(result.decisions, written, notices)
