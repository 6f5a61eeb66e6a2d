"""Replicas on nodes: what is to be placed, where it goes, and what does not fit and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from stoker.domain.plan import PlanStatus


class PlacementStrategy(StrEnum):
    """What to prefer among placements of equally many replicas."""

    PACK = "pack"
    """Fewest nodes that were idle, then fewest link groups that were idle."""
    SPREAD = "spread"
    """Fewest replicas lost with a zone, then fewest pairs of a server's replicas on one node."""


class Misfit(StrEnum):
    """Why a replica does not fit."""

    NO_NODE = "no_node"
    """No node has cards of its type."""
    NODE_TOO_SMALL = "node_too_small"
    """No node has as many cards as one replica takes."""
    CARDS = "cards"
    """The free cards of its type are fewer than the replicas take together."""
    FRAGMENTED = "fragmented"
    """There are free cards, but not enough together on one node or in one link group."""
    LIMIT = "limit"
    """The nodes have room, but no more replicas of one server may share a node."""
    TIME_LIMIT = "time_limit"
    """It was not proven within the time limit that it cannot fit."""


@dataclass(frozen=True, slots=True)
class ReplicaDemand:
    """Replicas to place: those of a server on one accelerator configuration.

    Attributes:
        server: Name of the server.
        accelerator: Name of the accelerator configuration.
        card_type: Type of the cards.
        cards: Cards that one replica takes, all on one node; several are taken to run tensor
            parallel, and so stay within one link group of every node that has one large enough.
        replicas: Number of replicas.
        priority: Priority of the server; 1 is placed first.
        pool: Pool of cards whose nodes they must stand on; None where any node will do.
    """

    server: str
    accelerator: str
    card_type: str
    cards: int
    replicas: int
    priority: int = 1
    pool: str | None = None


@dataclass(frozen=True, slots=True)
class PlacedReplica:
    """One replica on one node.

    Attributes:
        server: Name of the server.
        accelerator: Name of the accelerator configuration.
        node: Name of the node.
        group_cards: Cards that it takes of each link group, by index of the group; one entry
            unless it runs across groups.
    """

    server: str
    accelerator: str
    node: str
    group_cards: tuple[tuple[int, int], ...]

    @property
    def cards(self) -> int:
        """Number of cards that it takes."""
        return sum(count for _, count in self.group_cards)


@dataclass(frozen=True, slots=True)
class UnfitReplicas:
    """Replicas of a server that were not placed.

    Attributes:
        server: Name of the server.
        accelerator: Name of the accelerator configuration.
        card_type: Type of the cards.
        cards: Cards that one replica takes.
        replicas: Number of replicas without a place.
        reason: Why, in one word.
        detail: Why, in a sentence with figures.
        remedy: What would make them fit.
    """

    server: str
    accelerator: str
    card_type: str
    cards: int
    replicas: int
    reason: Misfit
    detail: str
    remedy: str


@dataclass(frozen=True, slots=True)
class PlacementGoal:
    """A quantity that was optimized, after those before it.

    Attributes:
        name: What is counted, in words.
        value: How many there are.
        bound: Proven bound on the best possible, given the goals before it; None where nothing was
            proven.
        maximized: Whether more is better.
    """

    name: str
    value: int
    bound: int | None
    maximized: bool

    @property
    def proven(self) -> bool:
        """Whether nothing better exists."""
        return self.bound == self.value


@dataclass(frozen=True, slots=True)
class NodePlacement:
    """The answer for a plan on nodes.

    Attributes:
        status: ``optimal`` where every goal is proven, otherwise ``feasible``.
        strategy: What was preferred among placements of equally many replicas.
        most_per_node: Most replicas of a server on one node; None for no limit.
        placed: Replicas with a place, in the order of the demands.
        unfit: Replicas without one, in the order of the demands.
        goals: What was optimized, the most important first.
        method: ``milp``, ``greedy``, or ``milp, greedy`` where card types differ.
        notes: Sentences for the reader.
        timings_ms: Milliseconds by phase.
    """

    status: PlanStatus
    strategy: PlacementStrategy
    most_per_node: int | None
    placed: tuple[PlacedReplica, ...]
    unfit: tuple[UnfitReplicas, ...]
    goals: tuple[PlacementGoal, ...]
    method: str
    notes: tuple[str, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
