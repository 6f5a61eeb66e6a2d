"""What runs in a cluster: workloads that serve models, their replicas, and the cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

BATCH_ARGUMENTS = ("--max-num-seqs", "--max-running-requests", "--max_num_seqs")
"""Arguments of vLLM and SGLang that limit the batch."""


class WorkloadKind(StrEnum):
    """Kinds of objects whose replicas can be scaled."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    LEADER_WORKER_SET = "LeaderWorkerSet"


@dataclass(frozen=True, slots=True, order=True)
class WorkloadRef:
    """Names an object of the cluster.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        kind: Its kind.
    """

    namespace: str
    name: str
    kind: WorkloadKind = WorkloadKind.DEPLOYMENT

    def __str__(self) -> str:
        return f"{self.kind.value} {self.namespace}/{self.name}"


class ReplicaPhase(StrEnum):
    """Where a replica stands in its life."""

    PENDING = "pending"
    """Created; no node has room for it yet, or none was looked for."""
    STARTING = "starting"
    """On a node, not ready: images, weights, warm-up."""
    READY = "ready"
    TERMINATING = "terminating"
    """Asked to end; it may still finish requests."""


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """One replica (the leading pod, where a replica has several).

    Attributes:
        name: Name of the pod.
        phase: Where it stands.
        node: Node that it is bound to; empty where none, or where a pod of it has none.
        created_at: When it was created, in seconds since the epoch.
        scheduled_at: When it was bound to its node; None where it is not.
        ready_at: When it got ready; None where it is not.
        reason: Why it is pending or not ready, in the cluster's words; empty where it does not say.
        restarts: How often containers of it were restarted.
        partly: Whether some of its pods are bound to nodes, and others are not or not there.
    """

    name: str
    phase: ReplicaPhase
    node: str = ""
    created_at: float | None = None
    scheduled_at: float | None = None
    ready_at: float | None = None
    reason: str = ""
    restarts: int = 0
    partly: bool = False


@dataclass(frozen=True, slots=True)
class VariantState:
    """One workload of a server: its replicas on one accelerator configuration.

    Attributes:
        ref: The object.
        server: Name of the server in the fleet.
        accelerator: Name of the accelerator configuration in the fleet; empty where it cannot be
            told (`problem` then says why).
        replicas_wanted: Replicas that the object asks for.
        replicas: Those that there are.
        configuration: Configuration of the model on the accelerator; empty for the only one.
        max_batch: Batch limit that its pods are told; None where it is not told.
        cards_per_replica: Cards that one replica requests; None where it requests none.
        card_type: Type of these cards in the fleet; empty where unknown.
        version: Version of the object, for writes that must not overwrite another's.
        paused: Whether its annotation asks to leave it alone.
        min_replicas: Fewest replicas that its annotation allows; None for no such wish.
        max_replicas: Most replicas that its annotation allows; None for no such wish.
        annotations: The annotations of Stoker's own domain, by key.
        problem: What keeps it from being managed, in words with a remedy; empty for nothing.
    """

    ref: WorkloadRef
    server: str
    accelerator: str
    replicas_wanted: int
    replicas: tuple[ReplicaState, ...] = ()
    configuration: str = ""
    max_batch: int | None = None
    cards_per_replica: int | None = None
    card_type: str = ""
    version: str = ""
    paused: bool = False
    min_replicas: int | None = None
    max_replicas: int | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    def count(self, phase: ReplicaPhase) -> int:
        """Return how many of its replicas stand in that phase."""
        return sum(replica.phase is phase for replica in self.replicas)


@dataclass(frozen=True, slots=True)
class CardStock:
    """Cards of one type in the cluster.

    Attributes:
        card_type: Type, by its name in the fleet.
        total: Cards of nodes that take pods.
        managed: Cards that replicas of managed workloads hold.
        others: Cards that other pods hold.
    """

    card_type: str
    total: int
    managed: int
    others: int

    @property
    def free(self) -> int:
        """Cards that nobody holds."""
        return max(0, self.total - self.managed - self.others)

    @property
    def usable(self) -> int:
        """Cards that a plan may use: all but those of others."""
        return max(0, self.total - self.others)


@dataclass(frozen=True, slots=True)
class ClusterState:
    """What the cluster holds, at one moment.

    Attributes:
        at: When, in seconds since the epoch.
        variants: The managed workloads.
        cards: Cards by type; None where nodes, or pods that may hold cards of them, may not be
            read, which is not "no cards".
        age_s: Time since the cluster last confirmed it (a watch may have lost its connection).
        problems: What was found wrong, in words with a remedy.
        cards_problem: Why cards are unknown, in words; empty where they are known.
    """

    at: float
    variants: tuple[VariantState, ...]
    cards: Mapping[str, CardStock] | None
    age_s: float = 0.0
    problems: tuple[str, ...] = ()
    cards_problem: str = ""
