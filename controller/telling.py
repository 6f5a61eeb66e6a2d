"""What each cycle tells beside its decisions: problems in its record, news in the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.cycle import CycleResult
from controller.degraded import (
    Degraded,
    cut_off,
    cut_off_words,
    degraded_now,
    news,
    powerless,
    unscheduled,
)
from controller.ports import Announcer, Lock
from controller.record import JsonObject
from stoker.domain.control.changes import ChangeResult, HoldReason
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
        self._failures = [] if interrupted is None else [cut_off_words(interrupted)]
        self._degraded: Mapping[str, Degraded] = {}

    def failed(self, error: Exception) -> None:
        """Take in that a cycle failed: the next one's record tells it."""
        self._failures.append(f"the cycle before failed ({type(error).__name__}: {error})")

    def problems(self, observation: Observation) -> list[str]:
        """Return what the record of a cycle has to tell beside what was observed and decided."""
        homeless = unscheduled(observation.cluster, observation.at)
        found = [*self._failures, *(f"{name}: {each}" for name, each in sorted(homeless.items()))]
        self._failures = []
        return found + [each for each in (self._lock.problem, self._announcer.problem) if each]

    def tell(self, result: CycleResult, results: Sequence[ChangeResult], *, leader: bool) -> None:
        """Tell the cluster what was done and what befell.

        Only the one that leads tells. What befell while the cluster did not answer, or while this
        loop could not be elected, is told when that is over.
        """
        at, cluster = result.observation.at, result.observation.cluster
        if not leader:
            why = self._lock.problem
            if why:
                self._degraded = powerless(result.decisions, why, self._degraded, at)
            return
        homeless = unscheduled(cluster, at)
        now = degraded_now(result.decisions, cluster, homeless, self._degraded, at)
        if any(HoldReason.STATE_UNKNOWN.value in each.reasons for each in now.values()):
            self._degraded = {**self._degraded, **now}
            return
        notices = news(self._degraded, now, cluster, at)
        if self._interrupted is not None:
            notices = (*cut_off(self._interrupted, cluster), *notices)
        self._interrupted, self._degraded = None, now
        self._announcer.announce(result.decisions, results, notices)
