"""Changes: what the loop decided to do to a cluster, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from stoker.domain.control.cluster import WorkloadRef


class Direction(StrEnum):
    """Which way a server goes."""

    UP = "up"
    DOWN = "down"
    MOVE = "move"
    """To another accelerator, configuration or batch limit."""
    HOLD = "hold"


class HoldReason(StrEnum):
    """Why a server was left as it is although the plan says otherwise, or there was no plan."""

    LOAD_UNKNOWN = "load_unknown"
    STATE_UNKNOWN = "state_unknown"
    """The cluster did not tell what runs."""
    PARTIAL_REPORTS = "partial_reports"
    """Its load is at least what was measured: too few replicas report, or not for long enough."""
    PAUSED = "paused"
    QUIET_HOURS = "quiet_hours"
    STABILIZING = "stabilizing"
    """A smaller size must hold for a while before it is acted on."""
    HYSTERESIS = "hysteresis"
    COOLDOWN = "cooldown"
    STEP_LIMIT = "step_limit"
    CHANGE_LIMIT = "change_limit"
    """The changes of one cycle are limited in cards or cost."""
    IN_TRANSITION = "in_transition"
    NO_PLAN = "no_plan"
    NO_PROFILE = "no_profile"
    NO_CAPACITY = "no_capacity"
    NO_WORKLOAD = "no_workload"
    """No workload of the cluster runs the accelerator that was chosen."""
    DEMAND_UNSEEN = "demand_unseen"
    """Without a replica nothing would tell that requests come: one stays."""
    NOT_LEADER = "not_leader"
    AWAITS_APPROVAL = "awaits_approval"


@dataclass(frozen=True, slots=True)
class VariantTarget:
    """What one workload is to be.

    Attributes:
        ref: The object.
        accelerator: The accelerator configuration that it runs on.
        replicas: Replicas that it is to have.
        max_batch: Batch limit that its pods are to be told; None to leave it.
        replicas_before: Replicas that the object asked for when this was decided; where it asks
            for others by then, somebody else has decided. None for whatever it asks for.
    """

    ref: WorkloadRef
    accelerator: str
    replicas: int
    max_batch: int | None = None
    replicas_before: int | None = None


@dataclass(frozen=True, slots=True)
class ServerDecision:
    """What is to become of one server.

    Attributes:
        server: Its name.
        direction: Which way it goes.
        targets: What its workloads are to be; those not named stay.
        wanted_replicas: Replicas that the plan asks for; None where there was none for it.
        wanted_accelerator: Accelerator that the plan asks for; None where there was none for it.
        held: What kept it from going all the way; empty where nothing did.
        reason: Why, in words.
    """

    server: str
    direction: Direction
    targets: tuple[VariantTarget, ...] = ()
    wanted_replicas: int | None = None
    wanted_accelerator: str | None = None
    held: tuple[HoldReason, ...] = ()
    reason: str = ""


class ChangeOutcome(StrEnum):
    """What came of a change."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    """It was so already; nothing was written."""
    EMITTED = "emitted"
    """Somebody else is to write it: it was emitted for HPA or KEDA to follow."""
    DRY_RUN = "dry_run"
    """The API server accepted it and kept nothing."""
    CONFLICT = "conflict"
    """Somebody else changed the object since it was seen; decided again in the next cycle."""
    FORBIDDEN = "forbidden"
    MISSING = "missing"
    """The object is gone."""
    FAILED = "failed"
    """No answer, or another refusal; the detail says which."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that befell a server and is no change, told where people look for it.

    Attributes:
        ref: The workload that it is told of.
        reason: What befell it, as one word of several, such as ``Degraded``.
        words: What befell it, in words.
        well: Whether it is good news.
    """

    ref: WorkloadRef
    reason: str
    words: str
    well: bool = False


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """What came of bringing one workload to its target.

    Attributes:
        target: What it was to be.
        outcome: What came of it.
        replicas_before: Replicas that it asked for before; None where unknown.
        detail: What the API server said, or what to do; empty where there is nothing to say.
    """

    target: VariantTarget
    outcome: ChangeOutcome
    replicas_before: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Decisions:
    """All that one cycle decided.

    Attributes:
        servers: One decision a server, by name.
        notes: What concerns the whole fleet, in words.
    """

    servers: Mapping[str, ServerDecision] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[VariantTarget, ...]:
        """The targets of all servers, in the order of their names."""
        return tuple(
            target for name in sorted(self.servers) for target in self.servers[name].targets
        )
