"""What one cycle hands to the next: everything that the loop remembers, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from controller.batch import BatchProgress
from controller.correction.state import Corrections
from controller.emitted import Emitted
from controller.history import LoadHistory
from controller.season import SeasonFit
from controller.startups import StartupTimes
from stoker.domain.control.cluster import WorkloadRef
from stoker.domain.plan import Plan


@dataclass(frozen=True, slots=True)
class WantedSize:
    """A size that a plan asked for.

    Attributes:
        at: When, in seconds since the epoch.
        accelerator: On which accelerator.
        replicas: How many replicas.
        rate_rps: The rate that they were to carry; 0 where that is not told.
    """

    at: float
    accelerator: str
    replicas: int
    rate_rps: float = 0.0


@dataclass(frozen=True, slots=True)
class Transition:
    """A server on its way from one workload to another.

    Attributes:
        source: The workload that it leaves.
        target: The workload that it goes to.
        replicas_before: Replicas of the source when it began; None where that is not remembered.
        started_at: When it began, in seconds since the epoch.
        step: How many steps of a canary are done.
        step_at: When the present step was reached; None while its replicas are not ready.
        back: Whether it is on its way back.
        reason: Why it is on its way back; empty where it is not.
        wanted_before: Replicas that the target was to have when it began; None where that is not
            remembered.
        waiting_since: Since when more new replicas have waited for cards; None while none do.
        draining_since: Since when nothing is left but old replicas that finish their requests; None
            before.
    """

    source: WorkloadRef
    target: WorkloadRef
    replicas_before: int | None
    started_at: float
    step: int = 0
    step_at: float | None = None
    back: bool = False
    reason: str = ""
    wanted_before: int | None = None
    waiting_since: float | None = None
    draining_since: float | None = None


@dataclass(frozen=True, slots=True)
class ServerMemory:
    """What is remembered of one server.

    Attributes:
        history: Its load.
        wanted: Sizes asked for within the window of scaling down, the oldest first.
        watched_since: Since when sizes have been asked for without a gap; None for not at all.
        changed_at: When it was last changed at all; None for never.
        grown_at: When it last grew; None for never.
        moved_at: When it last began to move; None for never.
        transition: The move that it is in; None where it is in none.
        batch: How far its work with a deadline is done; None where it has none.
        season: Parameters of its season, as they were found last; None where they never were.
        limit_refused_at: When a change of its batch limit was last refused; None for never.
        told_since: Since when its rate has been known without a gap; None for not at all.
        told_at: When its rate was last known; None for never.
    """

    history: LoadHistory = field(default_factory=LoadHistory)
    wanted: tuple[WantedSize, ...] = ()
    watched_since: float | None = None
    changed_at: float | None = None
    grown_at: float | None = None
    moved_at: float | None = None
    transition: Transition | None = None
    batch: BatchProgress | None = None
    season: SeasonFit | None = None
    limit_refused_at: float | None = None
    told_since: float | None = None
    told_at: float | None = None

    def told(self, at: float, longest_gap_s: float) -> ServerMemory:
        """Return the memory after a cycle in which the rate was known.

        Rates are taken over a window. What was known at most so long before counts as having been
        known all the time between: a counter that was seen at both ends tells its mean rate.
        """
        since = self.told_since
        if since is None or self.told_at is None or at - self.told_at > longest_gap_s:
            since = at
        return replace(self, told_since=since, told_at=at)

    def with_wanted(self, size: WantedSize, keep_s: float) -> ServerMemory:
        """Return the memory with one more size asked for, and without those too old."""
        kept = tuple(each for each in self.wanted if size.at - each.at <= keep_s)
        since = size.at if self.watched_since is None else self.watched_since
        return replace(self, wanted=(*kept, size), watched_since=since)

    def unwatched(self) -> ServerMemory:
        """Return the memory after a cycle that could ask for no size: the window starts anew."""
        return replace(self, wanted=(), watched_since=None)


@dataclass(frozen=True, slots=True)
class Memory:
    """What the loop remembers.

    Attributes:
        servers: By name of the server.
        startups: Start-up times.
        plan: The last plan that was made; None for none.
        cycles: Cycles so far.
        corrections: What is known of the factors of profiles.
        emitted: Sizes that somebody else is to write, and has not written yet.
    """

    servers: Mapping[str, ServerMemory] = field(default_factory=dict)
    startups: StartupTimes = field(default_factory=StartupTimes)
    plan: Plan | None = None
    cycles: int = 0
    corrections: Corrections = field(default_factory=Corrections)
    emitted: Emitted = field(default_factory=Emitted)

    def server(self, name: str) -> ServerMemory:
        """Return what is remembered of a server; nothing for a new one."""
        return self.servers.get(name) or ServerMemory()

    def with_server(self, name: str, memory: ServerMemory) -> Memory:
        """Return the memory with another one of a server."""
        return replace(self, servers={**self.servers, name: memory})
