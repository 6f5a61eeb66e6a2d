"""Limits that hold over a whole plan, the headroom that it keeps, and what it is to be best at."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

LEAST_WEIGHT = 1e-12
"""Smallest weight of an objective: below, figures are lost in those of others."""

MOST_WEIGHT = 1e12
"""Largest weight of an objective."""


class Survival(StrEnum):
    """What a plan survives the loss of, one at a time."""

    REPLICA = "replica"
    NODE = "node"
    ZONE = "zone"


@dataclass(frozen=True, slots=True)
class Headroom:
    """What a plan keeps in reserve.

    Attributes:
        surge: Factor on every arrival rate; plans are made for the load times this.
        survive: The largest single loss after which every server served in full still has the
            replicas that carry its load within its targets; None for no such promise.
    """

    surge: float = 1.0
    survive: Survival | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on a plan as a whole; None means no bound.

    Attributes:
        budget_per_hour: Largest cost of all allocations, in the fleet's currency per hour.
        power_w: Largest electrical power of all replicas at the utilization they are planned for.
        idle_power_w: Largest power of the same replicas without load.
        max_replicas: Largest number of replicas, over all servers.
        max_replicas_per_server: Largest number of replicas of a server.
        max_changes: Largest number of servers for which something else runs than now.
        max_spot_share: Largest share of all cards used that may be spot.
        max_server_spot_share: Largest share of a server's replicas on spot cards, where the server
            names none itself.
        replica_start_s: Time from the order of a replica to its first request, in seconds; it is
            paid for and serves nobody.
        plan_hours: Hours that a plan is expected to stay, over which starts are spread.
        headroom: What is kept in reserve.
    """

    budget_per_hour: float | None = None
    power_w: float | None = None
    idle_power_w: float | None = None
    max_replicas: int | None = None
    max_replicas_per_server: int | None = None
    max_changes: int | None = None
    max_spot_share: float | None = None
    max_server_spot_share: float | None = None
    replica_start_s: float = 0.0
    plan_hours: float = 1.0
    headroom: Headroom = field(default_factory=Headroom)


NO_LIMITS = Limits()
"""Limits of a fleet that names none."""


class ObjectiveName(StrEnum):
    """What a plan may be best at; each is minimized."""

    COST = "cost"
    """Value: cost an hour, seen from what runs now, with the penalties of changes."""
    ENERGY = "energy"
    """Power of all replicas at the utilization they are planned for, in W."""
    SLO_SLACK = "slo_slack"
    """Share of the tightest target that is used, added up over the servers served in full."""
    CHANGES = "changes"
    """Servers for which something else runs than now."""
    FAIRNESS = "fairness"
    """Shortfalls of service classes, the share of its load that each goes without: the largest as
    small as can be, then the next. In a weighted sum, the largest alone."""


class Combination(StrEnum):
    """How several objectives become one."""

    LEXICOGRAPHIC = "lexicographic"
    """In the order given: each only among the plans that are best at those before it."""
    WEIGHTED = "weighted"
    """Their sum, each times its weight."""


@dataclass(frozen=True, slots=True)
class Objective:
    """One thing that a plan is to be best at.

    Attributes:
        name: Which.
        weight: Factor on it in a weighted sum, per unit of the objective.
        tolerance: Share of its best value that later objectives may give away, in order.
    """

    name: ObjectiveName
    weight: float = 1.0
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class Objectives:
    """What a plan is to be best at, below the priorities of service classes.

    Attributes:
        terms: The objectives; a plan that ties in all of them is settled by cost, then by cards.
        combine: How they become one.
    """

    terms: tuple[Objective, ...] = (Objective(ObjectiveName.COST),)
    combine: Combination = Combination.LEXICOGRAPHIC

    def includes(self, name: ObjectiveName) -> bool:
        """Return whether an objective is among them."""
        return any(term.name is name for term in self.terms)


COST_ALONE = Objectives()
"""Objectives of a fleet that names none."""
