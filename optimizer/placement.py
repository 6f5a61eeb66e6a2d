"""What a planning method decides: rows of the candidate table and replicas of each."""

from __future__ import annotations

from dataclasses import dataclass, field

from optimizer.pooled.answer import PooledAnswer
from optimizer.sharing.answer import SharedChoice
from optimizer.table import BoolArray, IntArray
from stoker.domain.plan import ClassService, PlanStatus


@dataclass(frozen=True, slots=True)
class Placement:
    """Chosen rows, one entry a server (several for a heterogeneous mix, none if not placed).

    Attributes:
        row: Rows of the candidate table, shape (entries,), ascending.
        replicas: Replicas of each entry; 0 only for an empty allocation.
        served: Whether each server is served in full, shape (servers,).
    """

    row: IntArray
    replicas: IntArray
    served: BoolArray


@dataclass(frozen=True, slots=True)
class Outcome:
    """A placement with what is proven about it.

    Attributes:
        placement: The decision.
        status: How far it is proven.
        objective: Total value of the servers served in full.
        bound: Proven lower bound on the objective; None if none.
        gap: Relative gap between them; None if there is no bound.
        services: Served servers by priority, highest first.
        method: ``unlimited``, ``greedy``, ``milp-exact`` or ``milp-weighted``.
        backend: Name of the solver library used; empty where none was.
        notes: Sentences for the reader.
        timings_ms: Milliseconds by phase.
        shared: Servers on common replicas, which are served without a row of the placement.
        pooled: What was decided about pools; None in a plan without pools, limits and objectives.
    """

    placement: Placement
    status: PlanStatus
    objective: float
    bound: float | None
    gap: float | None
    services: tuple[ClassService, ...]
    method: str
    backend: str = ""
    notes: tuple[str, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)
    pooled: PooledAnswer | None = None
    shared: tuple[SharedChoice, ...] = ()
