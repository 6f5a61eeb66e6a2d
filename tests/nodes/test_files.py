"""Files of nodes and plans: what is read, what is refused and with which words."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.nodes_file import nodes_schema, nodes_to_document, parse_nodes, read_nodes
from data.planned_replicas import parse_planned_replicas
from stoker.domain.errors import InvalidInputError
from stoker.domain.nodes import LinkGroup, Node
from stoker.domain.placement import ReplicaDemand

groups = st.integers(1, 64).flatmap(
    lambda cards: st.builds(LinkGroup, st.just(cards), st.integers(0, cards))
)
nodes = st.lists(
    st.builds(
        Node,
        st.text("abc-é 1", min_size=1, max_size=5),
        st.sampled_from(["A100", "H100"]),
        st.lists(groups, min_size=1, max_size=4).map(tuple),
        st.none() | st.sampled_from(["east", "west"]),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda node: node.name,
)


def refused(document: object) -> list[str]:
    with pytest.raises(InvalidInputError) as caught:
        parse_nodes(document)
    return [str(problem) for problem in caught.value.problems]


@given(nodes)
def test_nodes_survive_a_round_trip_and_fit_the_schema(found: list[Node]) -> None:
    document = nodes_to_document(found)
    assert parse_nodes(document) == tuple(found)
    jsonschema.validate(document, nodes_schema())


def test_a_count_stands_for_nodes_that_are_alike(tmp_path: Path) -> None:
    path = tmp_path / "nodes.yaml"
    path.write_text("nodes:\n- {name: n, count: 2, card_type: L4, cards: 4, cards_taken: 1}\n")
    groups = (LinkGroup(4, 1),)
    assert read_nodes(path) == (Node("n-1", "L4", groups), Node("n-2", "L4", groups))


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"cards_taken": 9}, "nodes[0].cards_taken: 9 is more than cards, 8 (allowed: at most 8)"),
        (
            {"link_groups": [{"cards": 4}]},
            "nodes[0].link_groups: the groups hold 4 cards, and the node 8 (allowed: every card in "
            "one group; a card that is joined to no other is a group of one)",
        ),
        (
            {"link_groups": [{"cards": 8, "cards_taken": 9}]},
            "nodes[0].link_groups[0].cards_taken: 9 is more than cards, 8 (allowed: at most 8)",
        ),
        (
            {"link_groups": [{"cards": 8}], "cards_taken": 1},
            "nodes[0].cards_taken: cannot stand beside link_groups, as it does not tell which "
            "group they are of (allowed: cards_taken of each link group)",
        ),
    ],
)
def test_mistakes_in_cards_are_named(entry: dict[str, object], problem: str) -> None:
    whole = {"name": "n", "card_type": "A", "cards": 8, **entry}
    assert refused({"nodes": [whole]}) == [problem]


def test_names_are_unique_also_those_that_a_count_makes() -> None:
    first = {"name": "n", "count": 3, "card_type": "A", "cards": 8}
    second = {"name": "n-2", "card_type": "A", "cards": 8}
    (problem,) = refused({"nodes": [first, second]})
    assert problem.startswith('nodes[1].name: the name "n-2" is already used')


def test_unknown_keys_and_wrong_types_are_named() -> None:
    problems = refused({"nodes": [{"name": "n", "card_type": "A", "cards": 0, "gpus": 8}]})
    assert any("nodes[0].cards" in problem for problem in problems)
    assert any("nodes[0].gpus: unknown key" in problem for problem in problems)


def test_replicas_of_a_plan_with_a_mix_and_priorities() -> None:
    part = {"accelerator": "2xA", "replicas": 2, "cards": 4, "card_type": "A"}
    plan = {
        "status": "optimal",
        "allocations": {
            "idle": {"accelerator": None, "replicas": 0, "cards": 0, "card_type": None},
            "mixed": {
                "accelerator": "2xA",
                "replicas": 3,
                "cards": 5,
                "card_type": None,
                "mix": [part, {"accelerator": "B", "replicas": 1, "cards": 1, "card_type": "B"}],
            },
        },
    }
    assert parse_planned_replicas(plan, {"mixed": 4}) == (
        ReplicaDemand("mixed", "2xA", "A", 2, 2, 4),
        ReplicaDemand("mixed", "B", "B", 1, 1, 4),
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"cards": 5}, "allocations.s.cards: 5 cards are not the same number for each of 2"),
        ({"cards": 0}, "allocations.s.cards: 0 cards are not the same number for each of 2"),
        ({"card_type": None}, "allocations.s.card_type: is missing for its replicas"),
        ({"replicas": -1}, "allocations.s.replicas"),
        ({"replicas": "two"}, "allocations.s.replicas"),
    ],
)
def test_mistakes_in_plans_are_named(change: dict[str, object], problem: str) -> None:
    allocation = {"accelerator": "2xA", "replicas": 2, "cards": 4, "card_type": "A", **change}
    with pytest.raises(InvalidInputError) as caught:
        parse_planned_replicas({"allocations": {"s": allocation}})
    assert str(caught.value.problems[0]).startswith(problem)


@pytest.mark.parametrize("document", [None, 3, [], {}, {"allocations": []}])
def test_what_is_no_plan_is_refused(document: object) -> None:
    with pytest.raises(InvalidInputError):
        parse_planned_replicas(document)
