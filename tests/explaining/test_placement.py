"""Explanations of plans whose replicas must have a place on the nodes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optimizer.explaining.explain import explain_plan
from optimizer.explaining.more_nodes import nodes_with_more
from optimizer.planner import plan_fleet
from stoker.domain.fleet import Fleet
from stoker.domain.nodes import LinkGroup, Node
from stoker.domain.plan_change import Evidence
from tests.support.explained import REFERENCE, served
from tests.support.small_fleets import make_fleet, make_server


def node(name: str, *groups: int, taken: int = 0, card_type: str = "B") -> Node:
    return Node(
        name,
        card_type,
        tuple(LinkGroup(cards, taken if at == 0 else 0) for at, cards in enumerate(groups)),
    )


def fleet(*nodes: Node) -> Fleet:
    servers = tuple(make_server(name) for name in ("one", "two", "three"))
    counts: dict[str, int] = {}
    for item in nodes:
        counts[item.card_type] = counts.get(item.card_type, 0) + item.cards
    known = make_fleet(*servers, cards=counts)
    return replace(known, nodes=nodes, settings=replace(REFERENCE, placement=True))


def test_one_more_card_comes_to_each_place_that_makes_a_difference() -> None:
    nodes = (
        node("a", 4, 4),
        node("b", 4, 4),
        node("c", 4, 4, taken=1),
        node("d", 2, card_type="C"),
    )
    ways = list(nodes_with_more(nodes, "B"))
    grown = [[item.cards for item in way] for way in ways]
    # a and b are alike; of c each group is a place of its own; and a node may be new.
    assert grown == [[9, 8, 8, 2], [8, 8, 9, 2], [8, 8, 9, 2], [8, 8, 8, 2, 1]]
    assert [group.cards for group in ways[1][2].groups] == [5, 4]
    assert [group.cards for group in ways[2][2].groups] == [4, 5]
    pooled = tuple(replace(item, pool="east") for item in nodes)
    assert [sum(item.cards for item in way) for way in nodes_with_more(pooled, "B", "west")] == [27]


def test_the_price_of_a_card_is_that_of_its_best_place() -> None:
    for size in range(1, 9):
        known = fleet(node("a", size), node("b", size))
        plan = plan_fleet(known)
        prices = {item.of: item for item in explain_plan(known, plan).shadow_prices}
        grown = [
            replace(known, nodes=nodes, capacity=fleet(*nodes).capacity)
            for nodes in nodes_with_more(known.nodes, "B")
        ]
        best = min(
            ((-sum(served(after).values()), after.objective) for after in map(plan_fleet, grown)),
        )
        change = prices["B"].change
        gained = sum(change.served_change.values())
        assert gained == -best[0] - sum(served(plan).values())
        if not gained:
            assert change.value_change == pytest.approx(best[1] - plan.objective, abs=1e-6)


def test_nothing_is_proven_by_counting_cards() -> None:
    known = fleet(node("a", 64), node("b", 64, card_type="C"))
    explanation = explain_plan(known, plan_fleet(known))
    found = [item for one in explanation.allocations for item in one.forbidden]
    assert found
    assert all(item.change.evidence is Evidence.RESOLVED for item in found)


def test_what_cards_to_buy_is_left_open() -> None:
    known = fleet(node("a", 1))
    plan = plan_fleet(known)
    explanation = explain_plan(known, plan)
    assert explanation.unplaced
    assert all(not item.purchases for item in explanation.unplaced)
