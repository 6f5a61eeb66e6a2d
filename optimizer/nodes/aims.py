"""What is optimized, one goal after the other: as columns of the program, and counted in an answer.

The two must agree; counting starts from replicas and nodes alone, so that it checks the program.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import comb

from optimizer.nodes.formulation import Formulation
from optimizer.nodes.question import Question
from stoker.domain.placement import PlacedReplica, PlacementStrategy

PLACED = "replicas placed"
ACROSS = "replicas across link groups"
NODES = "idle nodes taken into use"
GROUPS = "idle link groups taken into use"
ZONE = "replicas lost with the worst zone of each server"
PAIRS = "pairs of a server's replicas on one node"
SPARE = "nodes to add"
ROOMY = "nodes with a slot, of each size"
"""Stands in for the last two of spreading where the program does not tell who shares a node."""


@dataclass(frozen=True, slots=True)
class Aim:
    """A goal of the integer program.

    Attributes:
        name: What is counted, in words.
        terms: Columns and coefficients of what is minimized.
        maximized: Whether the count is minus what is minimized.
        most: The largest that the count can be.
    """

    name: str
    terms: tuple[tuple[int, float], ...]
    maximized: bool
    most: int


def placed_name(priority: int) -> str:
    """Return the name of the goal that counts placed replicas of a priority."""
    return f"replicas placed, priority {priority}"


def placing(form: Formulation, priorities: Iterable[int]) -> Aim:
    """Return the goal to place as many replicas of some priorities as possible.

    It is named after the highest of them.
    """
    chosen = set(priorities)
    pairs = zip(form.placed, form.question.demands, strict=True)
    own = [(column, demand.replicas) for column, demand in pairs if demand.priority in chosen]
    name = placed_name(min(chosen))
    return Aim(name, tuple((column, -1.0) for column, _ in own), True, sum(n for _, n in own))


def aims_after_placing(form: Formulation) -> list[Aim]:
    """Return the goals that follow, the most important first; those that cannot vary left out."""
    question = form.question
    nodes = list(enumerate(form.filled))
    replicas = sum(demand.replicas for demand in question.demands)
    if question.spare:
        spare = [(column, 1.0) for column, (kind, _) in nodes if form.kinds[kind].spare]
        return [Aim(SPARE, tuple(spare), False, len(question.spare))]
    across = [(column, float(way.across)) for column, (_, way) in nodes if way.across]
    aims = [Aim(ACROSS, tuple(across), False, replicas)] if across else []
    if question.strategy is PlacementStrategy.PACK:
        idle = [(column, 1.0) for column, (kind, _) in nodes if form.kinds[kind].idle]
        opened = [(column, float(way.opened)) for column, (_, way) in nodes if way.opened]
        groups = sum(len(node.groups) for node in question.nodes)
        aims.append(Aim(NODES, tuple(idle), False, len(question.nodes)))
        aims.append(Aim(GROUPS, tuple(opened), False, groups))
        return aims
    if not form.spots:
        roomy = [(column, -float(sum(map(bool, way.slots)))) for column, (_, way) in nodes]
        aims.append(Aim(ROOMY, tuple(roomy), True, len(question.nodes) * len(question.sizes)))
        return aims
    if form.worst:
        aims.append(Aim(ZONE, tuple((column, 1.0) for column in form.worst), False, replicas))
    pairs = [(column, float(spot.level - 1)) for spot, column in form.spots.items()]
    most = sum(comb(demand.replicas, 2) for demand in question.demands)
    aims.append(Aim(PAIRS, tuple(pair for pair in pairs if pair[1]), False, most))
    return aims


def counted(question: Question, placed: Sequence[Sequence[PlacedReplica]], name: str) -> int:
    """Return how many there are of what a goal counts.

    Args:
        question: What was asked.
        placed: Placed replicas of each demand.
        name: Name of the goal.
    """
    everything = [replica for replicas in placed for replica in replicas]
    nodes = {node.name: node for node in question.nodes}
    if name == ACROSS:
        return sum(replica.cards > nodes[replica.node].largest_group for replica in everything)
    if name == NODES:
        return sum(nodes[name].taken == 0 for name in {replica.node for replica in everything})
    if name == SPARE:
        return len({replica.node for replica in everything} & question.spare)
    if name == GROUPS:
        used = {(r.node, group) for r in everything for group, _ in r.group_cards}
        return sum(nodes[node].groups[group].taken == 0 for node, group in used)
    if name == ZONE:
        zones = [Counter(nodes[replica.node].zone for replica in own) for own in placed]
        return sum(max(count.values(), default=0) for count in zones)
    if name == PAIRS:
        shared = [Counter(replica.node for replica in own) for own in placed]
        return sum(comb(number, 2) for count in shared for number in count.values())
    return sum(
        len(own)
        for own, demand in zip(placed, question.demands, strict=True)
        if placed_name(demand.priority) == name
    )
