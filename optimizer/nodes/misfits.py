"""Why replicas do not fit, and what would make them: nodes to add, cards to move or to free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from optimizer.nodes.aims import SPARE
from optimizer.nodes.answer import Answer
from optimizer.nodes.fillings import TooManyFillingsError
from optimizer.nodes.goals import Run, solve_exactly
from optimizer.nodes.question import Question
from stoker.domain.nodes import LinkGroup, Node, natural_order
from stoker.domain.placement import (
    Misfit,
    PlacementStrategy,
    ReplicaDemand,
    UnfitReplicas,
)


@dataclass(frozen=True, slots=True)
class Addition:
    """Nodes to add, with which every replica fits.

    Attributes:
        count: Number of nodes.
        cards: Cards of each.
        proven: Whether fewer do not suffice.
    """

    count: int
    cards: int
    proven: bool


@dataclass(frozen=True, slots=True)
class Clearing:
    """Taken cards that stand in the way of one more replica.

    Attributes:
        node: Node that they are on.
        cards: How many of them.
        targets: Nodes with room for them elsewhere, and how many each takes; empty where there is
            none, so that they can only be freed.
    """

    node: str
    cards: int
    targets: tuple[tuple[str, int], ...]


def explain(question: Question, answer: Answer, run: Run) -> tuple[UnfitReplicas, ...]:
    """Return the replicas without a place, each with its reason and remedy."""
    missing = [
        demand.replicas - len(own)
        for demand, own in zip(question.demands, answer.placed, strict=True)
    ]
    if not any(missing):
        return ()
    left = _left(question, answer)
    addition = _addition(question, sum(missing), run)
    result = []
    for at, demand in enumerate(question.demands):
        if missing[at]:
            reason, detail = _reason(question, answer, left, at)
            clearing = find_clearing(question, left, answer, at)
            remedy = _remedy(demand, reason, addition, clearing)
            result.append(
                UnfitReplicas(
                    demand.server,
                    demand.accelerator,
                    demand.card_type,
                    demand.cards,
                    missing[at],
                    reason,
                    detail,
                    remedy,
                )
            )
    return tuple(result)


def _left(question: Question, answer: Answer) -> dict[str, list[int]]:
    """Return the free cards of each group of each node beside the placed replicas."""
    left = {node.name: [group.free for group in node.groups] for node in question.nodes}
    for own in answer.placed:
        for replica in own:
            for group, cards in replica.group_cards:
                left[replica.node][group] -= cards
    return left


def _reason(
    question: Question, answer: Answer, left: dict[str, list[int]], at: int
) -> tuple[Misfit, str]:
    demand = question.demands[at]
    kind, cards = demand.card_type, demand.cards
    if not question.nodes:
        return Misfit.NO_NODE, f"no node has cards of {kind}"
    largest = max(node.cards for node in question.nodes)
    if largest < cards:
        detail = f"a replica takes {_cards(cards)} of {kind} on one node; the largest has {largest}"
        return Misfit.NODE_TOO_SMALL, detail
    rooms = {node.name: _room(node, left[node.name], cards) for node in question.nodes}
    if max(rooms.values()) >= cards:
        settled = all(goal.proven for goal in answer.goals if goal.maximized)
        if question.most_per_node is None or not settled:
            return Misfit.TIME_LIMIT, "the time limit passed before it was settled"
        able = sum(node.free >= cards for node in question.nodes)
        detail = (
            f"at most {_replicas(question.most_per_node)} of a server may share a node, and "
            f"{_nodes(able)} can hold one"
        )
        return Misfit.LIMIT, detail
    free = sum(node.free for node in question.nodes)
    needed = sum(other.cards * other.replicas for other in question.demands)
    rest = sum(sum(groups) for groups in left.values())
    if rest < cards or needed > free:
        detail = f"all replicas on {kind} take {_cards(needed)}, and {free} are free"
        if rest >= cards:
            most = max(rooms.values())
            detail += f"; of the {rest} left over at most {most} are together"
        return Misfit.CARDS, detail
    where = "in one link group" if _grouped(question, cards) else "on one node"
    detail = (
        f"{rest} of {free} free cards of {kind} are left over, but at most "
        f"{max(rooms.values())} {where}, and a replica takes {cards}"
    )
    return Misfit.FRAGMENTED, detail


def _grouped(question: Question, cards: int) -> bool:
    return any(cards <= node.largest_group < node.cards for node in question.nodes)


def _room(node: Node, left: Sequence[int], cards: int) -> int:
    """Return the cards that one replica of a size finds together on a node."""
    return max(left, default=0) if cards <= node.largest_group else sum(left)


def _addition(question: Question, missing: int, run: Run) -> Addition:
    """Return the fewest nodes like the largest there is that make room for every replica."""
    most = max(demand.cards for demand in question.demands)
    groups: tuple[LinkGroup, ...] = (LinkGroup(most),)
    largest = max(question.nodes, key=lambda node: (node.cards, node.largest_group), default=None)
    if largest is not None and largest.cards >= most:
        groups = tuple(LinkGroup(group.cards) for group in largest.groups)
    names = [f"\0{number}" for number in range(missing)]
    spare = tuple(Node(name, question.demands[0].card_type, groups) for name in names)
    cards = sum(group.cards for group in groups)
    enlarged = replace(
        question,
        nodes=(*question.nodes, *spare),
        strategy=PlacementStrategy.PACK,
        spare=frozenset(names),
    )
    try:
        answer = solve_exactly(enlarged, run)
    except TooManyFillingsError:
        answer = None
    for goal in answer.goals if answer is not None else ():
        complete = answer is not None and all(
            len(own) == demand.replicas
            for own, demand in zip(answer.placed, question.demands, strict=True)
        )
        if goal.name == SPARE and complete:
            return Addition(goal.value, cards, goal.proven)
    # One node for each replica without a place is always enough.
    return Addition(missing, cards, False)


def find_clearing(
    question: Question, left: dict[str, list[int]], answer: Answer, at: int
) -> Clearing | None:
    """Return the fewest taken cards in the way of one more replica; None where no node suits.

    What holds taken cards is not known, so each card is looked at by itself.
    """
    demand = question.demands[at]
    own = Counter(replica.node for replica in answer.placed[at])
    best: tuple[int, str, int] | None = None
    for node in question.nodes:
        if question.most_per_node is not None and own[node.name] >= question.most_per_node:
            continue
        if demand.cards > node.cards:
            continue
        if demand.cards > node.largest_group:
            options = [(sum(left[node.name]), node.taken, -1)]
        else:
            options = [
                (left[node.name][index], group.taken, index)
                for index, group in enumerate(node.groups)
            ]
        for free, taken, index in options:
            short = demand.cards - free
            if 0 < short <= taken and (best is None or short < best[0]):
                best = (short, node.name, index)
    if best is None:
        return None
    short, chosen, index = best
    return Clearing(chosen, short, _targets(question, left, chosen, index, short))


def _targets(
    question: Question, left: dict[str, list[int]], chosen: str, index: int, short: int
) -> tuple[tuple[str, int], ...]:
    """Return where cards can move to: the fullest places first; empty where not all can."""
    elsewhere = []
    for node in question.nodes:
        groups = left[node.name]
        room = sum(groups)
        if node.name == chosen:
            # The rest of the same node will do, where one group of it is to be cleared.
            room = sum(free for at, free in enumerate(groups) if at != index) if index >= 0 else 0
        if room:
            elsewhere.append((room, node.name))
    targets = []
    for room, name in sorted(elsewhere, key=lambda one: (one[0], natural_order(one[1]))):
        part = min(room, short)
        if part:
            targets.append((name, part))
        short -= part
    return () if short else tuple(targets)


def _remedy(
    demand: ReplicaDemand, reason: Misfit, addition: Addition, clearing: Clearing | None
) -> str:
    least = "" if addition.proven else "at most "
    words = [
        f"add {least}{_nodes(addition.count)} with {_cards(addition.cards)} of {demand.card_type} "
        "for everything on that type to fit"
    ]
    if clearing is not None and clearing.targets:
        to = " and ".join(f"{count} to {name}" for name, count in clearing.targets)
        words.append(
            f"move {_cards(clearing.cards)} taken on {clearing.node} ({to}) for one more replica"
        )
    elif clearing is not None:
        words.append(f"free {_cards(clearing.cards)} taken on {clearing.node} for one more replica")
    if reason is Misfit.LIMIT:
        words.append("let more replicas of a server share a node")
    if reason is Misfit.TIME_LIMIT:
        words.append("allow more time")
    return "; or ".join(words)


def _cards(count: int) -> str:
    return f"{count} card" if count == 1 else f"{count} cards"


def _nodes(count: int) -> str:
    return f"{count} node" if count == 1 else f"{count} nodes"


def _replicas(count: int) -> str:
    return f"{count} replica" if count == 1 else f"{count} replicas"
