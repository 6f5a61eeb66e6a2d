"""The case of one server in a cycle: what is known of it, and the cards that it may still take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.judging import Health
from controller.load import MeasuredLoad
from controller.world import room_for
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.control.aside import Aside
from stoker.domain.control.changes import Direction, HoldReason, ServerDecision
from stoker.domain.control.cluster import ClusterState, VariantState
from stoker.domain.control.settings import ControlSettings, ServerControl
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.server import Server


@dataclass(frozen=True, slots=True)
class Situation:
    """All that the decisions of a cycle rest on.

    Attributes:
        at: Now, in seconds since the epoch.
        fleet: The fleet that was planned.
        plan: Its plan; None for none.
        plan_failure: Why there is none; empty where there is one.
        cluster: What runs; None where unknown.
        loads: What was measured, by server.
        health: How servers do, by name.
        settings: The rules.
        aside: Workloads that are left aside, by server.
    """

    at: float
    fleet: Fleet
    plan: Plan | None
    plan_failure: str
    cluster: ClusterState | None
    loads: Mapping[str, MeasuredLoad]
    health: Mapping[str, Health]
    settings: ControlSettings
    aside: Mapping[str, tuple[Aside, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """One server, and what a decision on it may look at.

    Attributes:
        now: The situation of the fleet.
        server: The server.
        variants: Its workloads that can be managed.
        free: Cards that nobody holds, by type, common to the cases of a cycle: each takes from
            them what it is given; None where unknown.
        idle_since: Since when it has had no request; None where unknown.
    """

    now: Situation
    server: Server
    variants: tuple[VariantState, ...]
    free: dict[str, int] | None
    idle_since: float | None = None

    @property
    def control(self) -> ServerControl:
        """What the loop is told of the server."""
        name = self.server.name
        return self.now.settings.servers.get(name) or ServerControl(name)

    @property
    def load(self) -> MeasuredLoad | None:
        """What was measured of its load; None for nothing."""
        return self.now.loads.get(self.server.name)

    @property
    def idle_s(self) -> float | None:
        """Time without a request; None where unknown."""
        return None if self.idle_since is None else max(0.0, self.now.at - self.idle_since)

    @property
    def twins(self) -> tuple[Aside, ...]:
        """Workloads at zero that run the same as the one that runs it."""
        own = self.now.aside.get(self.server.name, ())
        return tuple(each for each in own if each.twin is not None)

    def bounds(self, variant: VariantState) -> tuple[int, int | None]:
        """Return the fewest and the most replicas that all who may say so allow."""
        least = (self.server.min_replicas, self.control.min_replicas, variant.min_replicas)
        most = (self.server.max_replicas, self.control.max_replicas, variant.max_replicas)
        return (
            max(bound or 0 for bound in least),
            min((bound for bound in most if bound is not None), default=None),
        )

    def room(self, variant: VariantState) -> int | None:
        """Return how many more replicas free cards allow; None where that is unknown."""
        return room_for(variant, self.free)

    def take(self, variant: VariantState, replicas: int) -> None:
        """Take the cards of more replicas from the free ones."""
        if self.free is not None and replicas > 0 and variant.card_type in self.free:
            left = self.free[variant.card_type] - replicas * (variant.cards_per_replica or 0)
            self.free[variant.card_type] = max(0, left)

    def hold(
        self, reason: HoldReason, words: str, placed: PlannedAllocation | None
    ) -> ServerDecision:
        """Return the decision to leave the server as it is."""
        return ServerDecision(
            self.server.name,
            Direction.HOLD,
            (),
            None if placed is None else placed.replicas,
            None if placed is None else placed.accelerator,
            (reason,),
            words,
        )
