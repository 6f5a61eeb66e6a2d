"""Whole plans that fit their nodes: what they say, what they refuse, and what they leave out."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data.fleets import parse_fleet
from data.stoker_example import EXAMPLE
from optimizer.fitting.shapes import demands_of
from optimizer.nodes.place import place_replicas
from optimizer.planner import plan_fleet
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Limits
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.reasons import UnplacedReason
from stoker.domain.server import Allocation
from stoker.domain.settings import (
    Analysis,
    OptimizerSettings,
    SaturationPolicy,
    SolverKind,
)
from tests.support.cli import stoker

ON_NODES = OptimizerSettings(analysis=Analysis.REFERENCE, placement=True)


def fleet(*nodes: dict[str, object], servers: int = 2, **more: object) -> Fleet:
    """Return servers that take two replicas of four cards each, on these nodes."""
    document: Any = copy.deepcopy(dict(EXAMPLE)) | {"nodes": list(nodes)} | more
    document.pop("capacity", None)
    document.pop("analysis", None)
    profile = document["profiles"][0] | {"accelerator": "4xH100"}
    document["profiles"] = [profile]
    (server,) = document["servers"]
    plain = {key: server[key] for key in ("service_class", "model")}
    load = {"arrival_rate_rps": 0.01, "input_tokens": 100, "output_tokens": 100}
    document["servers"] = [
        plain | {"name": f"s{index}", "load": load, "min_replicas": 2} for index in range(servers)
    ]
    return parse_fleet(document)


def node(count: int, cards: int, taken: int = 0) -> dict[str, object]:
    entry: dict[str, object] = {"name": f"n{cards}-{taken}", "card_type": "H100", "cards": cards}
    return entry | {"count": count, "cards_taken": taken}


def served(plan: Plan) -> set[str]:
    return {item.server for item in plan.allocations if item.fully_served}


def test_what_fits_by_counts_alone_is_not_planned() -> None:
    # Sixteen cards are free, as two servers take; but a node has room for one replica at most.
    scarce = fleet(node(2, 8, 1), node(1, 2))
    assert served(plan_fleet(scarce, replace(ON_NODES, placement=False))) == {"s0", "s1"}
    plan = plan_fleet(scarce, ON_NODES)
    assert len(served(plan)) == 1
    assert plan.status is PlanStatus.OPTIMAL
    assert plan.services[0].bound == 1
    assert not place_replicas(demands_of(plan.allocations, {}), scarce.nodes).unfit
    (left,) = plan.unplaced
    assert left.reason is UnplacedReason.CAPACITY
    assert left.detail == (
        "2 of the 2 replicas on 4xH100 that serve it have no place on the nodes (fragmented): 8 of "
        "16 free cards of H100 are left over, but at most 3 on one node, and a replica takes 4"
    )
    assert left.remedy.startswith("add 1 node with 8 cards of H100 for everything")
    assert "every planned replica has a place: they stand on 2 of 3 nodes" in plan.notes


def test_the_nodes_that_the_remedy_adds_are_enough() -> None:
    more = fleet(node(2, 8, 1), node(1, 2), node(1, 8))
    assert served(plan_fleet(more, ON_NODES)) == {"s0", "s1"}


def test_best_effort_takes_places_and_not_only_cards() -> None:
    scarce = fleet(node(3, 8, 1), node(1, 1))
    policy = SaturationPolicy.PRIORITY_EXHAUSTIVE
    plan = plan_fleet(scarce, replace(ON_NODES, saturation_policy=policy))
    assert sorted(item.replicas for item in plan.allocations) == [1, 2]
    assert not place_replicas(demands_of(plan.allocations, {}), scarce.nodes).unfit


def test_what_is_kept_has_a_place_too() -> None:
    crowded = fleet(node(3, 7))
    running = replace(crowded.servers[0], load=None, current=Allocation("4xH100", 2, 64, 20.0))
    kept = replace(crowded, servers=(running, crowded.servers[1]))
    plan = plan_fleet(kept, ON_NODES)
    assert served(plan) == set()
    assert {item.server: item.replicas for item in plan.allocations} == {"s0": 2}
    roomy = replace(kept, nodes=fleet(node(4, 7)).nodes, capacity=fleet(node(4, 7)).capacity)
    assert served(plan_fleet(roomy, ON_NODES)) == {"s1"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (replace(ON_NODES, unlimited=True), "true, in an unlimited plan"),
        (replace(ON_NODES, solver=SolverKind.GREEDY), "true, with the greedy solver"),
    ],
)
def test_ways_of_planning_that_know_no_nodes(settings: OptimizerSettings, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        plan_fleet(fleet(node(2, 8)), settings)


def test_missing_nodes_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="nodes: is missing"):
        plan_fleet(replace(fleet(node(2, 8)), limits=Limits(max_replicas=9), nodes=()), ON_NODES)
    with pytest.raises(InvalidInputError, match="nodes: is missing"):
        plan_fleet(replace(fleet(node(2, 8)), nodes=()), ON_NODES)
    result = stoker("solve", "small", "--placement")
    assert result.exit_code == 2
    assert "nodes: is missing" in result.stderr


def test_a_fleet_on_ample_nodes_is_planned_as_without(tmp_path: Path) -> None:
    ample = fleet(node(4, 8))
    free, held = plan_fleet(ample, replace(ON_NODES, placement=False)), plan_fleet(ample, ON_NODES)
    assert held.allocations == free.allocations
    assert held.objective == free.objective
