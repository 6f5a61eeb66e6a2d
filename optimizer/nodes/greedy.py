"""Best fit decreasing: a placement in a moment, for when the integer program is out of time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from optimizer.nodes.aims import ACROSS, GROUPS, NODES, PAIRS, ZONE, counted, placed_name
from optimizer.nodes.answer import GREEDY, Answer
from optimizer.nodes.question import Question
from stoker.domain.nodes import Node
from stoker.domain.placement import (
    PlacedReplica,
    PlacementGoal,
    PlacementStrategy,
    ReplicaDemand,
)


@dataclass(slots=True)
class _State:
    """A node while it fills."""

    node: Node
    free: list[int]
    used: bool = False
    of_demand: Counter[int] = field(default_factory=Counter)

    def fit(self, cards: int) -> tuple[int, int] | None:
        """Return whether a replica runs across groups here, and what its group has left over."""
        if cards > self.node.largest_group:
            left = sum(self.free) - cards
            return (1, left) if left >= 0 else None
        left = min((free - cards for free in self.free if free >= cards), default=-1)
        return (0, left) if left >= 0 else None

    def take(self, cards: int) -> tuple[tuple[int, int], ...]:
        """Take the cards of a replica that fits."""
        self.used = True
        if cards <= self.node.largest_group:
            order = [group for group, free in enumerate(self.free) if free >= cards]
            group = min(order, key=lambda index: (self.free[index], index))
            self.free[group] -= cards
            return ((group, cards),)
        taken = []
        for group, free in sorted(enumerate(self.free), key=lambda pair: (pair[1], pair[0])):
            part = min(free, cards)
            if part:
                taken.append((group, part))
                self.free[group] -= part
                cards -= part
        return tuple(taken)


def place_greedily(question: Question, note: str) -> Answer:
    """Return a placement by best fit, the highest priority and the largest replicas first.

    Its bounds count cards alone; see `_most_placed`.

    Args:
        question: What to place, and where.
        note: Why it is not exact, for the reader.
    """
    states = [
        _State(node, [group.free for group in node.groups]) for node in question.nodes if node.free
    ]
    placed: list[list[PlacedReplica]] = [[] for _ in question.demands]
    order = sorted(
        range(len(question.demands)),
        key=lambda at: (question.demands[at].priority, -question.demands[at].cards, at),
    )
    for at in order:
        demand = question.demands[at]
        zones: Counter[str | None] = Counter()
        for _ in range(demand.replicas):
            state = _best(question, states, at, demand, zones)
            if state is None:
                break
            state.of_demand[at] += 1
            zones[state.node.zone] += 1
            groups = state.take(demand.cards)
            placed[at].append(
                PlacedReplica(demand.server, demand.accelerator, state.node.name, groups)
            )
    return Answer(tuple(map(tuple, placed)), _goals(question, placed), GREEDY, note)


def _best(
    question: Question,
    states: list[_State],
    at: int,
    demand: ReplicaDemand,
    zones: Counter[str | None],
) -> _State | None:
    pack = question.strategy is PlacementStrategy.PACK
    limit = question.most_per_node
    best: _State | None = None
    rank: tuple[int, ...] = ()
    for state in states:
        own = state.of_demand[at]
        if limit is not None and own >= limit:
            continue
        fit = state.fit(demand.cards)
        if fit is None:
            continue
        across, left = fit
        opens = int(not state.used and state.node.taken == 0)
        if pack:
            mine: tuple[int, ...] = (across, opens, left)
        else:
            mine = (across, zones[state.node.zone], own, -sum(state.free))
        if best is None or mine < rank:
            best, rank = state, mine
    return best


def _goals(question: Question, placed: list[list[PlacedReplica]]) -> tuple[PlacementGoal, ...]:
    pack = question.strategy is PlacementStrategy.PACK
    goals = [
        PlacementGoal(
            placed_name(priority),
            counted(question, placed, placed_name(priority)),
            _most_placed(question, priority) if index == 0 else None,
            True,
        )
        for index, priority in enumerate(question.priorities)
    ]
    names = [NODES, GROUPS] if pack else [ZONE, PAIRS]
    if not pack and len(question.zones) < 2:
        names = [PAIRS]
    if counted(question, placed, ACROSS):
        names.insert(0, ACROSS)
    goals += [PlacementGoal(name, counted(question, placed, name), None, False) for name in names]
    return tuple(goals)


def _most_placed(question: Question, priority: int) -> int:
    """Return a bound on the replicas of the highest priority: by cards, and by room for each size.

    Smallest first, they take no more cards than are free together, and those of a size no more
    than each node alone has room for.
    """
    free = sum(node.free for node in question.nodes)
    total = 0
    for size in question.sizes:
        asked = sum(
            demand.replicas
            for demand in question.demands
            if demand.cards == size and demand.priority == priority
        )
        count = min(asked, sum(node.free // size for node in question.nodes), free // size)
        total += count
        free -= count * size
    return total
