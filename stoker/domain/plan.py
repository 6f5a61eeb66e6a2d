"""A plan: what each server gets, how good that is, and what could not be placed and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from stoker.domain.allocation import PlannedAllocation
from stoker.domain.reasons import Rejection, UnplacedReason
from stoker.domain.settings import Analysis
from stoker.domain.usage import CardUsage, LimitUse, PoolUsage


class PlanStatus(StrEnum):
    """How far a plan is proven."""

    OPTIMAL = "optimal"
    """Proven within the gap asked for."""
    FEASIBLE = "feasible"
    """A valid plan; the gap says how far it may be from the best (None: not known)."""
    INFEASIBLE = "infeasible"
    """No server at all can be served, at any number of cards the fleet has."""
    TIME_LIMIT = "time_limit"
    """The time limit passed before any plan was found."""


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A server that is not served in full (it may still have a best-effort allocation).

    Attributes:
        server: Name of the server.
        reason: Why, in one word.
        detail: Why, in a sentence with figures.
        remedy: What would make it feasible.
        rejections: Why each accelerator is no candidate, by accelerator name.
    """

    server: str
    reason: UnplacedReason
    detail: str
    remedy: str
    rejections: Mapping[str, Rejection] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ObjectiveValue:
    """What a plan reaches in one of its objectives.

    Attributes:
        name: Name of the objective.
        value: What was reached.
        bound: Proven lower bound, given what came before it; None where there is none.
        unit: Unit of both.
    """

    name: str
    value: float
    bound: float | None
    unit: str

    @property
    def gap(self) -> float | None:
        """How far the value may be above the best, as a share of it; None without a bound."""
        if self.bound is None:
            return None
        above = max(0.0, self.value - self.bound)
        return above / max(abs(self.value), abs(self.bound)) if above else 0.0


@dataclass(frozen=True, slots=True)
class ClassService:
    """How many servers of a priority are served in full, and how many could be at most.

    Attributes:
        priority: Priority of the group.
        servers: Number of servers in it.
        served: Number served in full.
        bound: Proven upper bound on that number, given that the groups of higher priority are
            served as they are; None where nothing was proven.
    """

    priority: int
    servers: int
    served: int
    bound: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer for a fleet.

    Attributes:
        status: How far it is proven.
        objective: Total value of the servers served in full; the quantity that is minimized.
        bound: Proven lower bound on the objective for the served servers' counts; None if none.
        gap: (objective - bound) / max(|objective|, 1e-9), 0 where they differ by rounding alone;
            None where there is no bound.
        cost_per_hour: Cost of all allocations, best effort included.
        currency: Currency of all money in the plan.
        allocations: One a server that gets something, or needs nothing; in the fleet's order.
        unplaced: Servers not served in full; in the fleet's order.
        usage: Cards used and available, by type, in order of type.
        services: Served servers by priority, highest first.
        analysis: Performance model behind the figures.
        method: ``unlimited``, ``greedy``, ``milp-exact`` or ``milp-weighted``.
        backend: Name of the solver library used; empty where none was.
        notes: What a reader should know (fallbacks, limits hit), in sentences.
        timings_ms: Milliseconds by phase.
        pools: Use of pools, in the fleet's order; empty in a plan without pools and limits.
        limits: Use of limits over the whole plan; empty where there are none.
        objectives: What was minimized below the priorities, in order; empty for cost alone
            without pools and limits.
        surge: Factor on every load that the plan was made for.
    """

    status: PlanStatus
    objective: float
    bound: float | None
    gap: float | None
    cost_per_hour: float
    currency: str
    allocations: tuple[PlannedAllocation, ...]
    unplaced: tuple[Unplaced, ...]
    usage: tuple[CardUsage, ...]
    services: tuple[ClassService, ...]
    analysis: Analysis
    method: str
    backend: str = ""
    notes: tuple[str, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    pools: tuple[PoolUsage, ...] = ()
    limits: tuple[LimitUse, ...] = ()
    objectives: tuple[ObjectiveValue, ...] = ()
    surge: float = 1.0
