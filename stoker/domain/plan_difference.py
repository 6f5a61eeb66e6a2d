"""What differs between two plans, server by server, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from stoker.domain.allocation import PlannedAllocation


class ServerChange(StrEnum):
    """What happened to a server from one plan to the other, the most telling first."""

    ADDED = "added"
    """The first plan has no word on it."""
    REMOVED = "removed"
    """The second plan has no word on it."""
    LOST = "lost"
    """It was served in full and is not any more."""
    SERVED = "served"
    """It is served in full and was not."""
    MOVED = "moved"
    """It is on another accelerator, in another configuration, served another way, or mixed
    otherwise."""
    SHARED = "shared"
    """It shares its replicas with others than before, or no longer does, on the same hardware."""
    RESIZED = "resized"
    """It has another number of replicas."""
    PLACED = "placed"
    """As many of its replicas stand in other pools."""
    CHANGED = "changed"
    """It has another batch limit, other shares of two pools, or another price."""


class CauseKind(StrEnum):
    """What is different for a server in both plans, and may be why its allocation is."""

    LOAD = "load"
    """Its arrival rate, in requests per second."""
    TARGETS = "targets"
    """What is promised to it."""
    PRICE = "price"
    """What one replica costs per hour."""
    CARRIES = "carries"
    """What one replica on the same hardware carries within its targets, in requests per second:
    another profile, other lengths of requests, or another batch limit."""
    BATCH = "batch"
    """The batch limit."""
    CARDS = "cards"
    """How many cards of a type there are."""
    ANALYSIS = "analysis"
    """The performance model behind the plans."""
    POOL = "pool"
    """How many cards of a pool may be used."""
    METHOD = "method"
    """How the plans were made."""
    SURGE = "surge"
    """The factor on every load that the plans were made for."""
    LIMIT = "limit"
    """A limit over the whole plan, by its name."""
    OBJECTIVES = "objectives"
    """What the plans are to be best at."""
    OTHERS = "others"
    """Nothing of its own: what is left for it has changed with the other servers."""
    UNTOLD = "untold"
    """Nothing that plans tell, and no other server has something else."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that is different in both plans.

    Attributes:
        kind: What.
        before: In the first plan; empty where there is nothing to tell.
        after: In the second.
        of: What it is of, where that is not the server: a card type, a pool, or a limit.
    """

    kind: CauseKind
    before: str = ""
    after: str = ""
    of: str = ""


@dataclass(frozen=True, slots=True)
class ServerDifference:
    """A server with different allocations in two plans.

    Attributes:
        server: Name of the server.
        change: What happened to it.
        before: What it has in the first plan; None where it gets nothing.
        after: What it has in the second.
        cost_change: What it costs more per hour in the second.
        causes: What is different for it, and may be why.
    """

    server: str
    change: ServerChange
    before: PlannedAllocation | None
    after: PlannedAllocation | None
    cost_change: float
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class PlanDifference:
    """What differs between two plans.

    Attributes:
        currency: Currency of the money.
        cost_before: Cost of the first plan per hour.
        cost_after: Cost of the second.
        servers: Servers with different allocations, in the order of the second plan, then those
            that only the first one has.
        unchanged: Number of servers with the same.
        served_before: Servers served in full by priority in the first plan.
        served_after: The same in the second.
        newly_served: Servers served in full in the second plan alone.
        no_longer_served: Servers served in full in the first plan alone.
        cards: Change of the cards used by type, where it changes.
        causes: What is different for the plans as a whole.
    """

    currency: str
    cost_before: float
    cost_after: float
    servers: tuple[ServerDifference, ...]
    unchanged: int
    served_before: Mapping[int, int]
    served_after: Mapping[int, int]
    newly_served: tuple[str, ...]
    no_longer_served: tuple[str, ...]
    cards: Mapping[str, int]
    causes: tuple[Cause, ...]

    @property
    def cost_change(self) -> float:
        """What the second plan costs more per hour."""
        return self.cost_after - self.cost_before
