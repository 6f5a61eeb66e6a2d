"""Nodes as a section of a fleet: read, written, checked, counted, and placed on."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.fleets import parse_fleet, read_fleet
from data.inferno import fleet_to_system
from data.loose_ends import loose_ends
from data.node_fields import nodes_section
from data.nodes_file import parse_nodes
from data.stoker_example import EXAMPLE
from data.stoker_format import fleet_to_document
from stoker.cli.losses import losses
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Capacity
from stoker.domain.nodes import LinkGroup, Node, natural_order
from tests.support.cli import stoker

(TYPE,) = {item.card_type for item in parse_fleet(EXAMPLE).accelerators}

NODES: list[dict[str, object]] = [
    {"name": "n", "count": 3, "card_type": TYPE, "cards": 8, "cards_taken": 1},
    {"name": "last", "card_type": TYPE, "cards": 4, "zone": "z"},
]


def document(**more: object) -> dict[str, Any]:
    return copy.deepcopy(dict(EXAMPLE)) | {"nodes": copy.deepcopy(NODES)} | more


def mistakes(wrong: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInputError) as caught:
        parse_fleet(wrong)
    return [(problem.path, problem.message) for problem in caught.value.problems]


def test_nodes_come_and_go_without_loss() -> None:
    fleet = parse_fleet(document())
    assert [node.name for node in fleet.nodes] == ["n-1", "n-2", "n-3", "last"]
    written = fleet_to_document(fleet)
    assert written["nodes"] == NODES
    assert parse_fleet(written) == fleet


def test_capacity_follows_from_nodes_only_where_nothing_else_counts() -> None:
    plain = document()
    del plain["capacity"]
    fleet = parse_fleet(plain)
    assert fleet.capacity == (Capacity(TYPE, 3 * 7 + 4),)
    assert loose_ends(fleet) == loose_ends(parse_fleet(fleet_to_document(fleet)))
    told = parse_fleet(document(capacity={TYPE: 9}))
    assert told.capacity == (Capacity(TYPE, 9),)
    assert f'9 cards of "{TYPE}" are counted, and 25 are free on its nodes' in loose_ends(told)


def test_unknown_types_double_names_and_missing_nodes_are_told() -> None:
    wrong = document()
    wrong["nodes"][0]["card_type"] = "Abacus"
    wrong["nodes"][1]["name"] = "n-2"
    found = dict(mistakes(wrong))
    assert 'no card type of an accelerator is called "Abacus"' in found["nodes[0].card_type"]
    assert "already used" in found["nodes[1].name"]
    without = copy.deepcopy(dict(EXAMPLE)) | {"optimizer": {"placement": True}}
    assert mistakes(without) == [("nodes", "is missing, though optimizer.placement is true")]


def test_too_many_nodes_are_told_before_they_are_made() -> None:
    many = [NODES[0] | {"name": f"a{index}", "count": 60_000} for index in range(2)]
    (found,) = mistakes(document(nodes=many))
    assert found == ("nodes", "the entries stand for 120000 nodes")


def test_conversion_names_nodes_and_placement_as_lost() -> None:
    fleet = parse_fleet(document(optimizer={"placement": True}))
    after = parse_fleet(fleet_to_system(fleet))
    lost = losses(fleet, after)
    assert any(line.startswith("nodes: n-1: left out; n-2: left out") for line in lost)
    assert "settings.placement: True becomes False" in lost


nodes = st.lists(
    st.builds(
        Node,
        st.sampled_from(["a-1", "a-2", "a-3", "b-1", "a-10", "c", "-1", "a-02"]),
        st.sampled_from(["A", "B"]),
        st.sampled_from([(LinkGroup(8),), (LinkGroup(4, 1), LinkGroup(4))]),
        st.sampled_from([None, "z"]),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda node: node.name,
)


@settings(max_examples=200, deadline=None)
@given(nodes)
def test_any_nodes_are_read_as_written(some: list[Node]) -> None:
    assert parse_nodes({"nodes": nodes_section(some)}) == tuple(some)


def test_names_sort_as_people_count() -> None:
    names = ["node-2", "node-10", "node-02", "node", "rack-1-node-9", "9", "node-1a", ""]
    assert sorted(names, key=natural_order) == [
        *("", "9", "node", "node-1a", "node-02", "node-2", "node-10", "rack-1-node-9")
    ]


def test_a_plan_is_placed_on_the_nodes_of_its_fleet(tmp_path: Path) -> None:
    fleet, plan = tmp_path / "fleet.json", tmp_path / "plan.json"
    fleet.write_text(json.dumps(document()), encoding="utf-8")
    assert read_fleet(str(fleet)).nodes
    assert stoker("solve", fleet, "--format", "json", "--output", plan).exit_code == 0
    result = stoker("place", plan, "--fleet", fleet, "--format", "json")
    assert result.exit_code == 0
    placed = json.loads(result.stdout)["placed"]
    planned = json.loads(plan.read_text(encoding="utf-8"))["allocations"]
    assert {name: len(own) for name, own in placed.items()} == {
        name: item["replicas"] for name, item in planned.items()
    }


def test_nodes_must_come_from_somewhere(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('{"allocations": {}}', encoding="utf-8")
    assert "--nodes: is missing" in stoker("place", plan).stderr
    result = stoker("place", plan, "--fleet", "small")
    assert result.exit_code == 2
    assert "small tells of no nodes" in result.stderr
