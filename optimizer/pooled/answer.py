"""What is decided about pools, beside the rows and replicas of a placement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stoker.domain.accelerator import Slice
from stoker.domain.plan import ObjectiveValue
from stoker.domain.pools import Pool
from stoker.domain.reasons import Rejection, UnplacedReason
from stoker.domain.usage import LimitUse


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a server is not served in full, and what would mend it."""

    reason: UnplacedReason
    detail: str
    remedy: str


@dataclass(frozen=True, slots=True)
class PooledEntry:
    """What one server gets.

    Attributes:
        replicas: What stands there by index of the pool: replicas, or deployments of two pools.
        counts_as: Replicas that one of them is.
        cards_per_replica: Cards of one of them; a slice of one counts as 1.
        kind: Slice of a card that one of them takes; None for whole cards.
        price: Cost of one of them per hour, by index of the pool.
        cost_per_hour: What all of them cost.
        value: The same as the objective counts it.
        spare: Replicas beyond those that carry the load, counted as they count.
        power_w: Power of all, in W; None where unknown.
        idle_power_w: The same without load.
    """

    replicas: Mapping[int, int]
    counts_as: int
    cards_per_replica: int
    kind: Slice | None
    price: Mapping[int, float]
    cost_per_hour: float
    value: float
    spare: int
    power_w: float | None
    idle_power_w: float | None

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.replicas.values())

    def counted(self) -> dict[int, int]:
        """Return the replicas by index of the pool, each counted."""
        return {pool: count * self.counts_as for pool, count in sorted(self.replicas.items())}


@dataclass(frozen=True, slots=True)
class PooledAnswer:
    """What is decided about pools.

    Attributes:
        pools: The pools, those that card types without one stand for included.
        entries: What each server gets, by index.
        stays: Servers that are left as they run though no candidate has their accelerator.
        rejections: Rows of the candidate table that pools or limits rule out.
        causes: Why servers are not served in full, by index; those without a candidate are left
            out.
        limits: Use of limits.
        objectives: What was minimized.
    """

    pools: tuple[Pool, ...]
    entries: Mapping[int, PooledEntry]
    stays: frozenset[int] = frozenset()
    rejections: Mapping[int, Rejection] = field(default_factory=dict)
    causes: Mapping[int, Cause] = field(default_factory=dict)
    limits: tuple[LimitUse, ...] = ()
    objectives: tuple[ObjectiveValue, ...] = ()
