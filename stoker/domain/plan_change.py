"""What an edit changes: for one server, and for the plan as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Evidence(StrEnum):
    """How a difference is known."""

    RESOLVED = "resolved"
    """The whole fleet was planned again under the edit."""
    REPAIRED = "repaired"
    """A large fleet's plan was planned again where the edit reaches; most servers stayed."""
    PROVEN = "proven"
    """It follows from the plan at hand; planning again gives the same."""
    RELAXED = "relaxed"
    """From the linear relaxation, in which servers may be split: an estimate, not a plan."""


@dataclass(frozen=True, slots=True)
class OwnPart:
    """What a server gets of one accelerator configuration in a plan.

    Attributes:
        accelerator: Accelerator configuration; None where it needs nothing.
        replicas: Replicas, those of a prefill and a decode pool together.
        max_batch: Batch limit of a replica, of the decode pool where there are two.
        configuration: Configuration of the model on the accelerator; empty where it has no name.
        prefill_replicas: How many of the replicas compute prompts for the others; 0 for none.
    """

    accelerator: str | None
    replicas: int
    max_batch: int
    configuration: str = ""
    prefill_replicas: int = 0


@dataclass(frozen=True, slots=True)
class OwnAllocation:
    """What a server gets in a plan, all parts of a mix.

    Attributes:
        parts: Its parts; none where it gets nothing.
        cost_per_hour: Cost of them.
        value: Their value in the objective (cost of the change); 0 where it is not served in full.
        served: Whether it is served in full.
        placements: Replicas by pool; empty in a plan without pools and limits.
        shared_with: Names of the servers on the same replicas, which are counted with the first of
            them in the fleet; empty for replicas of its own.
    """

    parts: tuple[OwnPart, ...]
    cost_per_hour: float
    value: float
    served: bool
    placements: tuple[tuple[str, int], ...] = ()
    shared_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectiveChange:
    """What becomes of one of the things that a plan is to be best at.

    Attributes:
        name: Its name, as the plan tells it.
        change: What it is more by under the edit; all are minimized.
        unit: Its unit.
    """

    name: str
    change: float
    unit: str


@dataclass(frozen=True, slots=True)
class PlanChange:
    """What becomes of the whole plan under an edit.

    Where `served_change` is empty, both plans serve as many servers of each priority, and
    `value_change` is what the edit costs. Otherwise the plans serve different servers, which counts
    before all money, and the money is that of other servers.

    Where a plan is to be best at more than cost, `objectives` counts before money in the same way:
    one more card may make a plan dearer that is better at what comes first.

    Attributes:
        evidence: How it is known.
        served_change: Change of the number of servers served in full by priority, where it changes.
        value_change: Change of the cost as the objective counts it, in currency units per hour.
        cost_change: Change of the cost of the plan, best effort included, per hour.
        no_longer_served: Servers served in full in the plan and not under the edit.
        newly_served: Servers served in full under the edit alone.
        moved: Other servers whose allocation changes, of those served in both.
        below: By how much the true `value_change` may be lower, for want of a proof of the
            plan under the edit (its gap); None where nothing is proven.
        above: By how much it may be higher, for want of a proof of the plan explained.
        objectives: Change of everything that is minimized, in order; empty for cost alone without
            pools and limits, and where both plans do not tell it.
    """

    evidence: Evidence
    served_change: Mapping[int, int] = field(default_factory=dict)
    value_change: float = 0.0
    cost_change: float = 0.0
    no_longer_served: tuple[str, ...] = ()
    newly_served: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    below: float | None = 0.0
    above: float | None = 0.0
    objectives: tuple[ObjectiveChange, ...] = ()
