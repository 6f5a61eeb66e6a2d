"""How long replicas take to start, learned from those whose start was watched from its beginning.

Kubernetes writes the moment of getting ready anew whenever a pod gets ready again: after a restart
of its container, a probe that failed for once, a node that was away. So that moment alone tells
nothing. What counts is a pod that was not there at one look, or there and not ready, and is ready
at a later one, and was never seen ready before.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from stoker.domain.control.cluster import ReplicaPhase, ReplicaState, VariantState, WorkloadRef

_KEPT = 20
_SHARE = 0.9
_CRASHED = "CrashLoopBackOff"

Pair = tuple[str, str]
"""Name of the model, name of the accelerator."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What makes a start one to learn from.

    Attributes:
        at: Now, in seconds since the epoch.
        gap_s: Longest time between two looks at a workload between which nothing was missed.
        young_s: Oldest age at which a pod that is not ready at the very first look may be on its
            first start.
        longest_s: Longest time that counts as a start.
    """

    at: float
    gap_s: float
    young_s: float
    longest_s: float


@dataclass(frozen=True, slots=True)
class Look:
    """The pods of a workload when it was last looked at.

    Attributes:
        at: When, in seconds since the epoch.
        starting: Those on their first start.
        others: Those that teach nothing any more: ready once, or of an unknown past.
    """

    at: float
    starting: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class StartupTimes:
    """Observed start-up times, the newest last, by model and accelerator.

    Attributes:
        seconds: From finding a node to ready.
        too_long: Starts that took longer than the longest that counts, by pair.
        looks: What was seen of each workload last.
    """

    seconds: Mapping[Pair, tuple[float, ...]] = field(default_factory=dict)
    too_long: Mapping[Pair, int] = field(default_factory=dict)
    looks: Mapping[WorkloadRef, Look] = field(default_factory=dict)

    def with_variant(self, model: str, variant: VariantState, watch: Watch) -> StartupTimes:
        """Return the times with those of a workload's replicas that got ready since the last look.

        Counted from the moment a node was found: waiting for cards is no start-up.
        """
        before = self.looks.get(variant.ref)
        if before is not None and watch.at - before.at > watch.gap_s:
            before = None  # what happened meanwhile nobody saw
        starting: set[str] = set()
        others: set[str] = set()
        begun = []
        for replica in variant.replicas:
            if replica.phase is ReplicaPhase.TERMINATING:
                continue
            pod = _identity(replica)
            first = _is_first(replica, pod, before, watch)
            ready = replica.phase is ReplicaPhase.READY
            if first and ready:
                begun.append(replica)
            (starting if first and not ready else others).add(pod)
        look = Look(watch.at, frozenset(starting), frozenset(others))
        found = replace(self, looks={**self.looks, variant.ref: look})
        for replica in begun:
            found = found._with_start((model, variant.accelerator), replica, watch.longest_s)
        return found

    def _with_start(self, pair: Pair, replica: ReplicaState, longest_s: float) -> StartupTimes:
        begun = replica.created_at if replica.scheduled_at is None else replica.scheduled_at
        if begun is None or replica.ready_at is None or replica.ready_at < begun:
            return self
        took_s = replica.ready_at - begun
        if took_s > longest_s:
            count = self.too_long.get(pair, 0) + 1
            return replace(self, too_long={**self.too_long, pair: count})
        times = (*self.seconds.get(pair, ()), took_s)[-_KEPT:]
        return replace(self, seconds={**self.seconds, pair: times})

    def only(self, refs: Collection[WorkloadRef]) -> StartupTimes:
        """Return the times without the looks at workloads that are gone."""
        return replace(self, looks={ref: each for ref, each in self.looks.items() if ref in refs})

    def expected_s(self, model: str, accelerator: str, otherwise_s: float) -> float:
        """Return a time within which nine of ten replicas started; `otherwise_s` where none did."""
        times = sorted(self.seconds.get((model, accelerator), ()))
        if not times:
            return otherwise_s
        return times[min(len(times) - 1, math.ceil(_SHARE * len(times)) - 1)]


def _is_first(replica: ReplicaState, pod: str, before: Look | None, watch: Watch) -> bool:
    """Return whether a pod is on its first start, or has just ended it."""
    if before is not None and pod in before.others:
        return False
    if replica.restarts or _CRASHED in replica.reason:
        return False  # its container ran, and is started again
    if replica.phase is ReplicaPhase.PENDING and not replica.partly:
        return True  # without a node nothing of it ever ran
    if before is not None and pod in before.starting:
        return True
    if replica.created_at is None:
        return False
    age_s = watch.at - replica.created_at
    if before is None:
        return replica.phase is not ReplicaPhase.READY and age_s <= watch.young_s
    return age_s <= watch.gap_s + watch.at - before.at  # clocks may differ; old pods may be adopted


def _identity(replica: ReplicaState) -> str:
    """Return what tells a pod from a later one of the same name, as stateful sets have."""
    born = "" if replica.created_at is None else f"{replica.created_at:.0f}"
    return f"{replica.name} {born}"
