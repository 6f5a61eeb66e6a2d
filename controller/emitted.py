"""Sizes that somebody else is to write: what workloads are asked for until HPA or KEDA follow.

Where the loop writes replicas, the object says from then on what is asked for. Where it only emits
them, nothing but this memory does: the next cycle decides from the size that was emitted, so that
it stays emitted, until the workload has it or the loop decides on another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from stoker.domain.control.changes import ChangeOutcome, ChangeResult
from stoker.domain.control.choices import Actuation, Mode
from stoker.domain.control.cluster import ClusterState, WorkloadRef
from stoker.domain.control.settings import ControlSettings

_FORGOTTEN_PERIODS = 10
"""Periods without a cycle after which nobody holds to what was emitted before."""
_FOLLOWING_S = 300.0
"""Time after which one that does not follow is told of."""
_TOLERANCE = 0.1
"""Share of the replicas that HPA leaves alone."""


def emits(settings: ControlSettings) -> bool:
    """Return whether replicas are emitted for somebody else to write."""
    return settings.cluster.actuation is Actuation.EMIT and settings.loop.mode is not Mode.OBSERVE


@dataclass(frozen=True, slots=True)
class EmittedSize:
    """A size that a workload is to have.

    Attributes:
        replicas: Replicas.
        at: When it was decided on, in seconds since the epoch.
        behind_since: Since when the workload stands still beside what is emitted for it, whatever
            size that is, in seconds since the epoch.
        seen: Replicas that it was last seen to ask for; None before the first look.
    """

    replicas: int
    at: float
    behind_since: float
    seen: int | None = None

    def beside(self, now: int, at: float) -> EmittedSize:
        """Return it after a look at a workload that asks for so many replicas now."""
        moved = self.seen is not None and self.seen != now
        if moved or _left_alone(self.replicas, now):
            return replace(self, seen=now, behind_since=at)
        return replace(self, seen=now)


@dataclass(frozen=True, slots=True)
class Emitted:
    """What was emitted and not followed yet.

    Attributes:
        sizes: By workload.
        told_at: When the loop last emitted it, in seconds since the epoch; None for never.
    """

    sizes: Mapping[WorkloadRef, EmittedSize] = field(default_factory=dict)
    told_at: float | None = None

    def standing(
        self, cluster: ClusterState | None, at: float, settings: ControlSettings
    ) -> Emitted:
        """Return what still stands: not followed yet, of workloads that are there and not paused.

        While the cluster does not tell what runs, all of it stands. After a long time without the
        loop none does: meanwhile others have decided.
        """
        longest_s = _FORGOTTEN_PERIODS * settings.loop.period_s
        if not emits(settings) or self.told_at is None or at - self.told_at > longest_s:
            return Emitted()
        if cluster is None:
            return self
        now = {
            each.ref: each.replicas_wanted
            for each in cluster.variants
            if not each.paused and not each.problem
        }
        kept = {
            ref: size.beside(now[ref], at)
            for ref, size in self.sizes.items()
            if ref in now and now[ref] != size.replicas
        }
        return replace(self, sizes=kept)

    def asked(self, cluster: ClusterState | None) -> ClusterState | None:
        """Return the cluster with each workload asking for what was emitted for it."""
        if cluster is None or not self.sizes:
            return cluster
        variants = tuple(
            replace(each, replicas_wanted=self.sizes[each.ref].replicas)
            if each.ref in self.sizes
            else each
            for each in cluster.variants
        )
        return replace(cluster, variants=variants)

    def after(self, results: Iterable[ChangeResult], at: float, *, told: bool) -> Emitted:
        """Return it after a cycle.

        Args:
            results: What was done in the cycle.
            at: Now, in seconds since the epoch.
            told: Whether this loop is the one whose figures count.
        """
        fresh = {
            each.target.ref: self._next(each.target.ref, each.target.replicas, at)
            for each in results
            if each.outcome is ChangeOutcome.EMITTED
        }
        sizes = {**self.sizes, **fresh}
        return Emitted(sizes, at if told or fresh else self.told_at)

    def not_followed(self, cluster: ClusterState | None, at: float) -> tuple[str, ...]:
        """Return what was not followed for a while, in words with a remedy."""
        found = []
        for variant in () if cluster is None else cluster.variants:
            size, now = self.sizes.get(variant.ref), variant.replicas_wanted
            if size is None or at - size.behind_since < _FOLLOWING_S:
                continue
            found.append(
                f"{variant.server}: {size.replicas} replicas are emitted for {variant.ref}, and it "
                f"asks for {now} since {at - size.behind_since:.0f} s: see whether HPA or KEDA "
                "follows (stoker control manifests), and its bounds"
            )
        return tuple(found)

    def _next(self, ref: WorkloadRef, replicas: int, at: float) -> EmittedSize:
        """Return the next size of a workload: one that did not follow the last is behind still."""
        last = self.sizes.get(ref)
        if last is None:
            return EmittedSize(replicas, at, at)
        return replace(last, replicas=replicas, at=at)


def _left_alone(replicas: int, now: int) -> bool:
    """Return whether a scaler in good order may leave a workload at the replicas it asks for.

    HPA leaves small differences alone, and a last replica: zero is for KEDA to write.
    """
    if replicas == 0 and now == 1:
        return True
    return now > 0 and abs(replicas / now - 1) <= _TOLERANCE
