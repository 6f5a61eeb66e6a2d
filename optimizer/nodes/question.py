"""The question of one card type: demands, nodes, and nodes that are alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stoker.domain.nodes import Node, natural_order
from stoker.domain.placement import PlacementStrategy, ReplicaDemand


@dataclass(frozen=True, slots=True)
class Question:
    """Replicas and nodes of one card type.

    Attributes:
        demands: What to place, one entry a server and accelerator.
        nodes: The nodes, in natural order of name, so that the order of a file does not matter.
        strategy: What to prefer among placements of equally many replicas.
        most_per_node: Most replicas of one demand on a node; None for no limit.
        spare: Names of the nodes that do not exist yet; using few of them is then what counts.
    """

    demands: tuple[ReplicaDemand, ...]
    nodes: tuple[Node, ...]
    strategy: PlacementStrategy
    most_per_node: int | None = None
    spare: frozenset[str] = frozenset()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Cards that a replica may take, ascending."""
        return tuple(sorted({demand.cards for demand in self.demands}))

    @property
    def priorities(self) -> tuple[int, ...]:
        """Priorities that occur, the first served first."""
        return tuple(sorted({demand.priority for demand in self.demands}))

    @property
    def zones(self) -> tuple[str | None, ...]:
        """Zones that count: those of the nodes when spreading, a single one otherwise."""
        if self.strategy is PlacementStrategy.PACK or self.spare:
            return (None,)
        return tuple(sorted({node.zone for node in self.nodes}, key=lambda zone: zone or ""))


@dataclass(frozen=True, slots=True)
class NodeKind:
    """Nodes that are alike in all that matters.

    Attributes:
        zone: Index of the zone.
        largest_group: Cards of the largest link group, taken or not. Replicas of more cards run
            across groups there.
        idle: Whether nothing is on them.
        spare: Whether they do not exist yet.
        groups: Free cards of each group that has any, and whether nothing is in it; descending.
        nodes: Indices of the nodes.
    """

    zone: int
    largest_group: int
    idle: bool
    spare: bool
    groups: tuple[tuple[int, bool], ...]
    nodes: tuple[int, ...]


def questions(
    demands: Iterable[ReplicaDemand],
    nodes: Iterable[Node],
    strategy: PlacementStrategy,
    most_per_node: int | None,
) -> list[Question]:
    """Return a question for each card type that is asked for, in order of first use."""
    by_type: dict[str, list[ReplicaDemand]] = {}
    for demand in demands:
        if demand.replicas:
            by_type.setdefault(demand.card_type, []).append(demand)
    ordered = sorted(nodes, key=lambda node: natural_order(node.name))
    return [
        Question(
            tuple(asked),
            tuple(node for node in ordered if node.card_type == card_type),
            strategy,
            most_per_node,
        )
        for card_type, asked in by_type.items()
    ]


def node_kinds(question: Question) -> tuple[NodeKind, ...]:
    """Return the kinds of the nodes that have free cards, in order of first node."""
    zone_of = {zone: index for index, zone in enumerate(question.zones)}
    found: dict[tuple[int, int, bool, bool, tuple[tuple[int, bool], ...]], list[int]] = {}
    for index, node in enumerate(question.nodes):
        groups = tuple(
            (node.groups[group].free, node.groups[group].taken == 0) for group in free_groups(node)
        )
        if groups:
            spare = node.name in question.spare
            zone = zone_of.get(node.zone, 0)
            key = (zone, node.largest_group, node.taken == 0, spare, groups)
            found.setdefault(key, []).append(index)
    return tuple(NodeKind(*key, tuple(members)) for key, members in found.items())


def free_groups(node: Node) -> Sequence[int]:
    """Return the indices of a node's groups with free cards, in the order that kinds use."""
    having = (index for index, group in enumerate(node.groups) if group.free)
    return sorted(
        having, key=lambda index: (-node.groups[index].free, node.groups[index].taken > 0, index)
    )
