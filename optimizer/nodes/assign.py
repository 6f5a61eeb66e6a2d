"""From counts to replicas with names: which replica stands on which node, in which groups."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence

from optimizer.nodes.fillings import Filling
from optimizer.nodes.formulation import Formulation
from optimizer.nodes.question import free_groups
from optimizer.table import FloatArray
from stoker.domain.nodes import Node
from stoker.domain.placement import PlacedReplica, ReplicaDemand


class _Filled:
    """A node and the slots of it that are not given away yet."""

    def __init__(self, node: Node, filling: Filling, sizes: Sequence[int]) -> None:
        self.node = node
        self.filling = filling
        groups = free_groups(node)
        self._groups = {
            size: [
                group
                for group, slots in zip(groups, filling.groups, strict=True)
                for _ in range(slots[index])
            ]
            for index, size in enumerate(sizes)
        }
        self._shared = [
            [group, cards] for group, cards in zip(groups, filling.shared, strict=True) if cards
        ]

    def take(self, cards: int) -> tuple[tuple[int, int], ...]:
        """Return the groups, and the cards of each, of one more replica."""
        own = self._groups[cards]
        if own:
            return ((own.pop(0), cards),)
        taken: list[tuple[int, int]] = []
        missing = cards
        while missing:
            group, left = self._shared[0]
            part = min(left, missing)
            taken.append((group, part))
            missing -= part
            self._shared[0][1] -= part
            if not self._shared[0][1]:
                self._shared.pop(0)
        return tuple(taken)


def assign(form: Formulation, x: FloatArray) -> list[list[PlacedReplica]]:
    """Return the placed replicas of each demand, from a solution in whole numbers.

    Slots are dealt out one of each node, then the next of each; so the replicas of a demand, which
    take slots of a zone one after the other, share nodes as little as the counts allow.
    """
    question = form.question
    filled = _fill(form, x)
    placed: list[list[PlacedReplica]] = [[] for _ in question.demands]
    for index, size in enumerate(question.sizes):
        asked = [at for at, demand in enumerate(question.demands) if demand.cards == size]
        if not form.spots:
            slots = _dealt(form, filled, index)
            for at in asked:
                count = round(float(x[form.placed[at]]))
                placed[at] += _take(question.demands[at], slots, count)
            continue
        rooms = dict.fromkeys(
            (spot.zone, spot.slots) for spot in form.spots if spot.demand in set(asked)
        )
        for zone, depth in rooms:
            alike = [
                (kind, one)
                for kind, one in filled
                if form.kinds[kind].zone == zone and one.filling.slots[index] == depth
            ]
            slots = _dealt(form, alike, index)
            for at in asked:
                count = sum(
                    round(float(x[column]))
                    for spot, column in form.spots.items()
                    if (spot.demand, spot.zone, spot.slots) == (at, zone, depth)
                )
                placed[at] += _take(question.demands[at], slots, count)
    return placed


def _fill(form: Formulation, x: FloatArray) -> list[tuple[int, _Filled]]:
    """Return the nodes in use with their kind, in order of name."""
    question = form.question
    left = [iter(kind.nodes) for kind in form.kinds]
    found = [
        (next(left[kind]), kind, filling)
        for column, (kind, filling) in enumerate(form.filled)
        for _ in range(round(float(x[column])))
    ]
    found.sort(key=lambda one: one[0])
    return [
        (kind, _Filled(question.nodes[node], filling, question.sizes))
        for node, kind, filling in found
    ]


def _dealt(
    form: Formulation, filled: Sequence[tuple[int, _Filled]], size: int
) -> dict[int, deque[_Filled]]:
    """Return the slots of a size by zone, one of each node before the next of each."""
    depth = max((one.filling.slots[size] for _, one in filled), default=0)
    slots: dict[int, deque[_Filled]] = {}
    for turn in range(depth):
        for kind, one in filled:
            if one.filling.slots[size] > turn:
                slots.setdefault(form.kinds[kind].zone, deque()).append(one)
    return slots


def _take(
    demand: ReplicaDemand, slots: dict[int, deque[_Filled]], count: int
) -> Iterator[PlacedReplica]:
    """Yield replicas of a demand on the next slots, in the zone that has the fewest of them."""
    taken: Counter[int] = Counter()
    for _ in range(count):
        zone = min(
            (zone for zone, left in slots.items() if left),
            key=lambda zone: (taken[zone], -len(slots[zone]), zone),
        )
        taken[zone] += 1
        one = slots[zone].popleft()
        yield PlacedReplica(
            demand.server, demand.accelerator, one.node.name, one.take(demand.cards)
        )
