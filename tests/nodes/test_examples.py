"""Placements small enough to know by heart: goals, reasons, remedies."""

from __future__ import annotations

from collections import Counter

import pytest

from optimizer.nodes.place import place_replicas
from stoker.domain.nodes import LinkGroup, Node
from stoker.domain.placement import Misfit, NodePlacement, PlacementStrategy, ReplicaDemand
from stoker.domain.plan import PlanStatus

SPREAD = PlacementStrategy.SPREAD


def demand(server: str, cards: int, replicas: int, priority: int = 1) -> ReplicaDemand:
    return ReplicaDemand(server, f"{cards}xA", "A", cards, replicas, priority)


def node(name: str, *groups: tuple[int, int], zone: str | None = None) -> Node:
    return Node(name, "A", tuple(LinkGroup(*group) for group in groups), zone)


def values(answer: NodePlacement) -> dict[str, int]:
    return {goal.name: goal.value for goal in answer.goals}


def test_packing_fills_nodes_in_use_first() -> None:
    nodes = [node("idle-1", (8, 0)), node("idle-2", (8, 0)), node("used", (8, 4))]
    answer = place_replicas([demand("s", 2, 5)], nodes)
    assert Counter(one.node for one in answer.placed)["used"] == 2
    assert values(answer)["idle nodes taken into use"] == 1
    assert answer.status is PlanStatus.OPTIMAL


def test_packing_leaves_link_groups_whole() -> None:
    answer = place_replicas([demand("s", 2, 2)], [node("n", (4, 0), (4, 0))])
    assert {one.group_cards for one in answer.placed} in ({((0, 2),)}, {((1, 2),)})


def test_a_large_replica_stays_in_a_group_that_is_large_enough() -> None:
    answer = place_replicas([demand("s", 4, 1)], [node("n", (4, 2), (4, 2))])
    (unfit,) = answer.unfit
    assert unfit.reason is Misfit.FRAGMENTED
    assert "at most 2 in one link group, and a replica takes 4" in unfit.detail
    assert "move 2 cards taken on n (2 to n) for one more replica" in unfit.remedy


def test_a_replica_larger_than_every_group_runs_across() -> None:
    answer = place_replicas([demand("s", 4, 1)], [node("n", (2, 0), (2, 1), (2, 1))])
    (one,) = answer.placed
    assert dict(one.group_cards) == {0: 2, 1: 1, 2: 1}
    assert values(answer)["replicas across link groups"] == 1


def test_whole_groups_are_preferred_to_running_across() -> None:
    nodes = [node("pairs", (2, 0), (2, 0)), node("quad", (4, 0))]
    (one,) = place_replicas([demand("s", 4, 1)], nodes).placed
    assert one.node == "quad"


def test_higher_priorities_are_placed_first() -> None:
    nodes = [node("n", (4, 0))]
    answer = place_replicas([demand("low", 1, 4, 2), demand("high", 4, 1, 1)], nodes)
    assert [one.server for one in answer.placed] == ["high"]
    assert [item.server for item in answer.unfit] == ["low"]


def test_spreading_over_zones_and_nodes() -> None:
    nodes = [node(f"n{index}", (8, 0), zone="ab"[index % 2]) for index in range(4)]
    answer = place_replicas([demand("s", 1, 4), demand("t", 2, 6)], nodes, SPREAD)
    assert values(answer)["replicas lost with the worst zone of each server"] == 2 + 3
    assert values(answer)["pairs of a server's replicas on one node"] == 2
    assert set(Counter(one.node for one in answer.placed if one.server == "s").values()) == {1}


def test_a_limit_per_node_holds_and_is_the_reason_told() -> None:
    nodes = [node("a", (8, 0)), node("b", (8, 0))]
    answer = place_replicas([demand("s", 1, 6)], nodes, most_per_node=2)
    assert Counter(one.node for one in answer.placed) == {"a": 2, "b": 2}
    (unfit,) = answer.unfit
    assert unfit.reason is Misfit.LIMIT
    assert unfit.replicas == 2
    assert "add 1 node with 8 cards of A" in unfit.remedy
    assert "let more replicas of a server share a node" in unfit.remedy


def test_the_nodes_that_a_remedy_adds_are_enough_and_one_less_is_not() -> None:
    nodes = [node("a", (8, 3)), node("b", (4, 0), (4, 1))]
    demands = [demand("s", 4, 5), demand("t", 2, 3)]
    answer = place_replicas(demands, nodes)
    assert "add 2 nodes with 8 cards of A" in answer.unfit[0].remedy
    more = [node(f"new-{index}", (8, 0)) for index in range(2)]
    assert place_replicas(demands, [*nodes, *more]).unfit == ()
    assert place_replicas(demands, [*nodes, *more[:1]]).unfit != ()


def test_moving_cards_as_a_remedy_says_places_one_more() -> None:
    before = [node("a", (8, 6)), node("b", (8, 6)), node("c", (8, 8))]
    answer = place_replicas([demand("s", 4, 1)], before)
    assert "move 2 cards taken on a (2 to b) for one more replica" in answer.unfit[0].remedy
    after = [node("a", (8, 4)), node("b", (8, 8)), node("c", (8, 8))]
    assert len(place_replicas([demand("s", 4, 1)], after).placed) == 1


@pytest.mark.parametrize(
    ("nodes", "reason", "detail"),
    [
        ([], Misfit.NO_NODE, "no node has cards of A"),
        (
            [node("n", (2, 0))],
            Misfit.NODE_TOO_SMALL,
            "a replica takes 4 cards of A on one node; the largest has 2",
        ),
        ([node("n", (4, 1))], Misfit.CARDS, "all replicas on A take 4 cards, and 3 are free"),
    ],
)
def test_reasons(nodes: list[Node], reason: Misfit, detail: str) -> None:
    (unfit,) = place_replicas([demand("s", 4, 1)], nodes).unfit
    assert unfit.reason is reason
    assert unfit.detail == detail
    assert "add 1 node with 4 cards of A" in unfit.remedy


def test_types_do_not_mix() -> None:
    other = Node("b", "B", (LinkGroup(8),))
    answer = place_replicas([demand("s", 1, 1)], [other, node("a", (1, 0))])
    assert [one.node for one in answer.placed] == ["a"]


def test_demands_that_are_equal_count_apart() -> None:
    twice = [demand("s", 1, 2)] * 2
    answer = place_replicas(twice, [node("a", (8, 0))], most_per_node=2)
    assert len(answer.placed) == 4


def test_nothing_to_place() -> None:
    answer = place_replicas([demand("s", 1, 0)], [node("a", (1, 0))])
    assert answer.placed == ()
    assert answer.unfit == ()
    assert answer.status is PlanStatus.OPTIMAL


def test_too_many_ways_to_fill_a_node_are_left_to_best_fit() -> None:
    nodes = [node(f"n{index}", (200, 0)) for index in range(2)]
    demands = [demand(f"s{size}", size, 12) for size in range(1, 9)]
    answer = place_replicas(demands, nodes)
    assert answer.method == "greedy"
    assert "too many ways" in answer.notes[0]
    assert sum(one.cards for one in answer.placed) > 390


def test_a_thousand_nodes_and_five_thousand_replicas() -> None:
    nodes = [
        node(f"n{index:04}", (8, index % 5 if index % 3 == 0 else 0), zone=f"z{index % 3}")
        for index in range(1000)
    ]
    demands = [
        demand(f"s{index}", (1, 1, 2, 1)[index % 4], 10, 1 + index % 3) for index in range(500)
    ]
    for strategy in PlacementStrategy:
        answer = place_replicas(demands, nodes, strategy)
        assert len(answer.placed) == 5000
        assert all(goal.proven for goal in answer.goals[:3])
        assert answer.timings_ms["place"] < 20_000  # below 1,000 on a machine with nothing to do
