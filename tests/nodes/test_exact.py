"""Placements against trying everything, and every rule checked from its definition."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.nodes.goals import Run
from optimizer.nodes.greedy import place_greedily
from optimizer.nodes.place import place_replicas
from optimizer.nodes.question import questions
from stoker.domain.nodes import LinkGroup, Node
from stoker.domain.placement import PlacementStrategy, ReplicaDemand
from stoker.domain.plan import PlanStatus
from tests.support.naive_placement import assert_valid, best, measure

groups = st.integers(1, 4).flatmap(
    lambda cards: st.builds(LinkGroup, st.just(cards), st.integers(0, cards))
)


@st.composite
def instances(
    draw: st.DrawFn, most_replicas: int = 5, most_nodes: int = 3
) -> tuple[list[ReplicaDemand], list[Node]]:
    nodes = [
        Node(
            f"n{index}",
            draw(st.sampled_from("AAAB")),
            tuple(draw(st.lists(groups, min_size=1, max_size=2))),
            draw(st.sampled_from([None, "east", "west"])),
        )
        for index in range(draw(st.integers(1, most_nodes)))
    ]
    demands: list[ReplicaDemand] = []
    left = draw(st.integers(1, most_replicas))
    while left:
        replicas = draw(st.integers(1, left))
        left -= replicas
        demands.append(
            ReplicaDemand(
                f"s{len(demands)}",
                "acc",
                draw(st.sampled_from("AAAB")),
                draw(st.integers(1, 5)),
                replicas,
                draw(st.integers(1, 2)),
            )
        )
    return demands, nodes


strategies = st.sampled_from(PlacementStrategy)
limits = st.sampled_from([None, None, 1, 2])


@settings(max_examples=500, deadline=None)
@given(instances(), strategies, limits)
def test_nothing_is_better(
    instance: tuple[list[ReplicaDemand], list[Node]],
    strategy: PlacementStrategy,
    most_per_node: int | None,
) -> None:
    demands, nodes = instance
    answer = place_replicas(demands, nodes, strategy, most_per_node)
    assert_valid(demands, nodes, answer)
    # Priorities and goals of one card type never depend on another's.
    for card_type in "AB":
        own = [demand for demand in demands if demand.card_type == card_type]
        around = [node for node in nodes if node.card_type == card_type]
        if own:
            part = place_replicas(own, around, strategy, most_per_node)
            assert part.status is PlanStatus.OPTIMAL
            assert all(goal.bound == goal.value for goal in part.goals)
            placed = {goal.name: goal.value for goal in part.goals if goal.maximized}
            assert sum(placed.values()) == len(part.placed)
            assert len(placed) == len({demand.priority for demand in own})
            reached = measure(own, around, strategy, part.placed)
            assert reached == best(own, around, strategy, most_per_node)


@settings(max_examples=60, deadline=None)
@given(instances(9, 5), strategies, limits, st.randoms(use_true_random=False))
def test_the_order_of_nodes_does_not_matter(
    instance: tuple[list[ReplicaDemand], list[Node]],
    strategy: PlacementStrategy,
    most_per_node: int | None,
    shuffler: random.Random,
) -> None:
    demands, nodes = instance
    shuffled = list(nodes)
    shuffler.shuffle(shuffled)
    one = place_replicas(demands, nodes, strategy, most_per_node)
    other = place_replicas(demands, shuffled, strategy, most_per_node)
    assert one.placed == other.placed
    assert one.goals == other.goals
    assert one.unfit == other.unfit


@settings(max_examples=60, deadline=None)
@given(instances(9, 4), strategies, st.data())
def test_more_cards_never_place_fewer(
    instance: tuple[list[ReplicaDemand], list[Node]],
    strategy: PlacementStrategy,
    data: st.DataObject,
) -> None:
    demands, nodes = instance
    # Cards that are freed. A larger link group would be another matter: with it, replicas that ran
    # across groups have to stay within.
    at = data.draw(st.integers(0, len(nodes) - 1))
    freed = tuple(
        LinkGroup(group.cards, data.draw(st.integers(0, group.taken))) for group in nodes[at].groups
    )
    more = [*nodes]
    more[at] = Node(nodes[at].name, nodes[at].card_type, freed, nodes[at].zone)
    fewer_free = place_replicas(demands, nodes, strategy)
    more_free = place_replicas(demands, more, strategy)
    assert _by_priority(demands, more_free.goals) <= _by_priority(demands, fewer_free.goals)


def _by_priority(demands: list[ReplicaDemand], goals: object) -> tuple[int, ...]:
    assert isinstance(goals, tuple)
    return tuple(-goal.value for goal in goals if goal.maximized)


@settings(max_examples=60, deadline=None)
@given(instances(9, 4), strategies, limits)
def test_best_fit_is_valid_and_its_bound_holds(
    instance: tuple[list[ReplicaDemand], list[Node]],
    strategy: PlacementStrategy,
    most_per_node: int | None,
) -> None:
    demands, nodes = instance
    quick = place_replicas(demands, nodes, strategy, most_per_node, time_limit_s=-1.0)
    assert quick.method == "greedy"
    assert_valid(demands, nodes, quick)
    for question in questions(demands, nodes, strategy, most_per_node):
        greedy = place_greedily(question, "")
        exact = place_replicas(question.demands, question.nodes, strategy, most_per_node)
        bound = greedy.goals[0].bound
        assert bound is not None
        assert greedy.goals[0].value <= exact.goals[0].value <= bound


def test_a_clock_that_has_run_out_is_told() -> None:
    nodes = [Node("n", "A", (LinkGroup(8),))]
    answer = place_replicas([ReplicaDemand("s", "A", "A", 1, 3)], nodes, time_limit_s=-1.0)
    assert answer.notes == ("A: the time limit passed before any placement; placed by best fit",)
    assert len(answer.placed) == 3
    assert not Run("HiGHS", 0.0, lambda: 1.0).left_s > 0
