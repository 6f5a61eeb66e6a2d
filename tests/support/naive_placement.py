"""Placements checked and found the slow way, from the definitions alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from math import comb

from stoker.domain.nodes import Node
from stoker.domain.placement import (
    NodePlacement,
    PlacedReplica,
    PlacementStrategy,
    ReplicaDemand,
)


def assert_valid(
    demands: Sequence[ReplicaDemand], nodes: Sequence[Node], answer: NodePlacement
) -> None:
    """Check every rule of a placement."""
    named = {node.name: node for node in nodes}
    used: Counter[tuple[str, int]] = Counter()
    each: Counter[tuple[str, str, str]] = Counter()
    count: Counter[tuple[str, str]] = Counter()
    cards = {(demand.server, demand.accelerator): demand for demand in demands}
    for replica in answer.placed:
        demand = cards[replica.server, replica.accelerator]
        node = named[replica.node]
        assert node.card_type == demand.card_type
        assert replica.cards == demand.cards
        groups = [group for group, _ in replica.group_cards]
        assert len(set(groups)) == len(groups)
        assert all(number > 0 for _, number in replica.group_cards)
        if any(group.cards >= demand.cards for group in node.groups):
            assert len(groups) == 1
        for group, number in replica.group_cards:
            used[replica.node, group] += number
        each[replica.server, replica.accelerator, replica.node] += 1
        count[replica.server, replica.accelerator] += 1
    for (name, group), number in used.items():
        assert number <= named[name].groups[group].free
    if answer.most_per_node is not None:
        assert all(number <= answer.most_per_node for number in each.values())
    unfit: Counter[tuple[str, str]] = Counter()
    for item in answer.unfit:
        unfit[item.server, item.accelerator] += item.replicas
        assert item.detail
        assert item.remedy
    for demand in demands:
        key = (demand.server, demand.accelerator)
        assert count[key] + unfit[key] == demand.replicas


def measure(
    demands: Sequence[ReplicaDemand],
    nodes: Sequence[Node],
    strategy: PlacementStrategy,
    placed: Sequence[PlacedReplica],
) -> tuple[int, ...]:
    """Return all goals in order, each so that less is better."""
    named = {node.name: node for node in nodes}
    priority = {(d.server, d.accelerator): d.priority for d in demands}
    result = [
        -sum(priority[one.server, one.accelerator] == level for one in placed)
        for level in sorted(set(priority.values()))
    ]
    result.append(sum(max(g.cards for g in named[one.node].groups) < one.cards for one in placed))
    if strategy is PlacementStrategy.PACK:
        touched = {one.node for one in placed}
        result.append(sum(named[name].taken == 0 for name in touched))
        groups = {(one.node, group) for one in placed for group, _ in one.group_cards}
        result.append(sum(named[name].groups[group].taken == 0 for name, group in groups))
        return tuple(result)
    zones: Counter[tuple[str, str, str | None]] = Counter()
    shared: Counter[tuple[str, str, str]] = Counter()
    for one in placed:
        zones[one.server, one.accelerator, named[one.node].zone] += 1
        shared[one.server, one.accelerator, one.node] += 1
    worst: dict[tuple[str, str], int] = {}
    for (server, accelerator, _), number in zones.items():
        worst[server, accelerator] = max(worst.get((server, accelerator), 0), number)
    by_type: dict[str, set[str | None]] = {}
    for node in nodes:
        by_type.setdefault(node.card_type, set()).add(node.zone)
    if any(len(found) > 1 for found in by_type.values()):
        result.append(sum(worst.values()))
    result.append(sum(comb(number, 2) for number in shared.values()))
    return tuple(result)


def best(
    demands: Sequence[ReplicaDemand],
    nodes: Sequence[Node],
    strategy: PlacementStrategy,
    most_per_node: int | None,
) -> tuple[int, ...]:
    """Return the best goals over all placements, tried one by one."""
    every = [demand for demand in demands for _ in range(demand.replicas)]
    found: list[tuple[int, ...]] = []

    @cache
    def follow(
        at: int, free: tuple[tuple[int, ...], ...], placed: tuple[PlacedReplica, ...]
    ) -> None:
        if at == len(every):
            found.append(measure(demands, nodes, strategy, placed))
            return
        demand = every[at]
        follow(at + 1, free, placed)
        for index, node in enumerate(nodes):
            own = sum(
                (one.server, one.accelerator, one.node)
                == (demand.server, demand.accelerator, node.name)
                for one in placed
            )
            if node.card_type != demand.card_type or own == most_per_node:
                continue
            for groups in ways(node, free[index], demand.cards):
                rest = list(free[index])
                for group, number in groups:
                    rest[group] -= number
                after = (*free[:index], tuple(rest), *free[index + 1 :])
                one = PlacedReplica(demand.server, demand.accelerator, node.name, groups)
                follow(at + 1, after, tuple(sorted((*placed, one), key=repr)))

    follow(0, tuple(tuple(group.free for group in node.groups) for node in nodes), ())
    return min(found)


def ways(node: Node, free: Sequence[int], cards: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield all ways to take the cards of one replica from a node."""
    if any(group.cards >= cards for group in node.groups):
        for group, number in enumerate(free):
            if number >= cards:
                yield ((group, cards),)
        return
    yield from across(tuple(free), cards, 0)


def across(free: tuple[int, ...], cards: int, start: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield all ways to take cards from the groups from `start` on."""
    if not cards:
        yield ()
        return
    if start == len(free):
        return
    for number in range(min(free[start], cards) + 1):
        for rest in across(free, cards - number, start + 1):
            yield (((start, number), *rest) if number else rest)
