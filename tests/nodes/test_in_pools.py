"""Replicas of a plan over pools stand on the nodes of their pools, and on no others."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from data.nodes_file import parse_nodes
from data.plan_format import plan_to_document
from data.planned_replicas import PlannedReplicas, planned_replicas
from optimizer.nodes.in_pools import place_in_pools
from optimizer.planner import plan_fleet
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.nodes import Node
from stoker.domain.plan import Plan
from stoker.domain.pools import Pool
from stoker.domain.server import Allocation
from stoker.domain.settings import Analysis
from tests.support.cli import stoker
from tests.support.rest import rest_client
from tests.support.small_fleets import make_fleet, make_server

POOLS = (
    Pool("near", "C", 2, zone="z1", price_per_card_hour=1.0),
    Pool("far", "C", 12, zone="z2", price_per_card_hour=1.5),
    Pool("big", "B", 4),
)
NODES = (
    {"name": "n", "count": 3, "card_type": "C", "cards": 4, "zone": "z1"},
    {"name": "f", "count": 3, "card_type": "C", "cards": 4, "pool": "far"},
    {"name": "b", "count": 2, "card_type": "B", "cards": 2},
)


def fleet_over(pools: tuple[Pool, ...] = POOLS) -> Fleet:
    servers = [make_server(f"s{index}") for index in range(3)]
    fleet = make_fleet(*servers, cards={})
    return replace(
        fleet, pools=pools, settings=replace(fleet.settings, analysis=Analysis.REFERENCE)
    )


def asked_of(plan: Plan) -> PlannedReplicas:
    return planned_replicas(plan_to_document(plan))


def nodes_of(*documents: object) -> tuple[Node, ...]:
    return parse_nodes({"nodes": list(documents or NODES)})


@pytest.fixture(scope="module")
def plan() -> Plan:
    plan = plan_fleet(fleet_over())
    assert len({part.pool for item in plan.allocations for part in item.placements}) > 1
    return plan


def test_every_replica_stands_in_its_pool(plan: Plan) -> None:
    asked = asked_of(plan)
    assert {pool.name for pool in asked.pools} == {"near", "far", "big"}
    nodes = nodes_of()
    placement = place_in_pools(asked.demands, nodes, asked.pools)
    assert not placement.unfit
    pools = {"n": "near", "f": "far", "b": "big"}
    stand = Counter((item.server, pools[item.node[0]]) for item in placement.placed)
    told = {
        (item.server, part.pool): part.replicas
        for item in plan.allocations
        for part in item.placements
    }
    assert stand == told


def test_nodes_of_another_pool_are_no_help(plan: Plan) -> None:
    asked = asked_of(plan)
    # All cards of the type are there, but all of them far away.
    nodes = nodes_of(
        {"name": "f", "count": 9, "card_type": "C", "cards": 4, "pool": "far"}, NODES[2]
    )
    placement = place_in_pools(asked.demands, nodes, asked.pools)
    near = [
        item.server for item in plan.allocations for part in item.placements if part.pool == "near"
    ]
    assert near
    assert {item.server for item in placement.unfit} == set(near)


def test_a_node_of_no_known_pool_is_refused(plan: Plan) -> None:
    asked = asked_of(plan)
    for changes in ({"pool": "west"}, {"zone": "z9"}):
        node = {"name": "x", "card_type": "C", "cards": 4, **changes}
        with pytest.raises(InvalidInputError, match=r"nodes\.x\.pool"):
            place_in_pools(asked.demands, nodes_of(node), asked.pools)
    other = {"name": "x", "card_type": "D", "cards": 4}  # of a type that the plan has no pools of
    assert not place_in_pools(asked.demands, nodes_of(*NODES, other), asked.pools).unfit


def test_what_is_kept_is_left_out_where_its_pool_is_not_told() -> None:
    fleet = fleet_over()
    kept = make_server("k", load=None, current=Allocation("Cheap", 2, cost_per_hour=2.0))
    plan = plan_fleet(replace(fleet, servers=(*fleet.servers[:1], kept)))
    asked = asked_of(plan)
    placement = place_in_pools(asked.demands, nodes_of(), asked.pools)
    assert placement.notes == ("k was left out: the plan does not tell which pool it stands in",)
    one = tuple(pool for pool in POOLS if pool.name != "far")
    only = asked_of(plan_fleet(replace(fleet_over(one), servers=(*fleet.servers[:1], kept))))
    placed = place_in_pools(only.demands, nodes_of(NODES[0], NODES[2]), only.pools).placed
    assert sum(item.server == "k" for item in placed) == 2


def test_a_pool_that_the_plan_does_not_have_is_told(plan: Plan) -> None:
    document = json.loads(json.dumps(plan_to_document(plan)))
    del document["pools"]["near"]
    with pytest.raises(InvalidInputError, match="no pool of the plan"):
        planned_replicas(document)


def test_the_command_and_the_service_heed_pools(plan: Plan, tmp_path: Path) -> None:
    written, nodes = tmp_path / "plan.json", tmp_path / "nodes.yaml"
    written.write_text(json.dumps(plan_to_document(plan)))
    nodes.write_text(yaml.safe_dump({"nodes": list(NODES)}))
    result = stoker("place", written, "--nodes", nodes, "--format", "json")
    assert result.exit_code == 0
    body = {"plan": plan_to_document(plan), "nodes": list(NODES)}
    with rest_client() as client:
        answer = client.post("/v1/placements", json=body)
    assert answer.status_code == 200
    printed = json.loads(result.stdout)
    assert answer.json() | {"timings_ms": {}} == printed | {"timings_ms": {}}
    nodes.write_text(yaml.safe_dump({"nodes": list(NODES[1:])}))
    short = stoker("place", written, "--nodes", nodes, "--format", "json")
    assert short.exit_code == 3
