"""Plans over pools whose replicas all have a place on the nodes of their pools."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data.stoker_format import document_to_fleet, fleet_to_document
from optimizer.fitting.verify import with_places
from optimizer.planner import plan_fleet
from optimizer.preparation import prepare
from stoker.domain.errors import InvalidInputError, PlanCheckError
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Headroom, Limits, Survival
from stoker.domain.nodes import LinkGroup, Node
from stoker.domain.plan import Plan
from stoker.domain.pools import Pool
from stoker.domain.settings import Analysis, OptimizerSettings
from stoker.domain.workload import Load
from tests.support.small_fleets import PROFILES, make_fleet, make_server

ON_NODES = OptimizerSettings(analysis=Analysis.REFERENCE, placement=True)
POOLS = (Pool("x", "B", 12, "r", "zone-x"), Pool("y", "B", 8, "r", "zone-y", price_factor=3.0))
BUSY = Load(arrival_rate_rps=95.0, input_tokens=128, output_tokens=256)


def node(name: str, cards: int, **changes: object) -> Node:
    made = Node(name, "B", (LinkGroup(cards),), zone="zone-x")
    return replace(made, **changes)  # type: ignore[arg-type]


THREES = tuple(node(f"x{k}", 3) for k in range(4))
"""Four nodes of three cards: a replica on two cards leaves one of each."""
EIGHT = node("y", 8, zone="zone-y")


def fleet(*nodes: Node, **changes: object) -> Fleet:
    """Return a server that runs on two cards a replica, over two pools."""
    base = make_fleet(make_server("s", load=BUSY), profiles=PROFILES[:1])
    made = replace(base, capacity=(), pools=POOLS, nodes=nodes)
    return replace(made, **changes)  # type: ignore[arg-type]


def placed(plan: Plan) -> dict[str, int]:
    (item,) = plan.allocations
    return {part.pool: part.replicas for part in item.placements}


def test_a_pool_takes_what_fits_on_its_nodes() -> None:
    counted = plan_fleet(fleet(*THREES, EIGHT), replace(ON_NODES, placement=False))
    need = placed(counted)["x"]
    assert 4 < need <= 6
    assert set(placed(counted)) == {"x"}
    plan = plan_fleet(fleet(*THREES, EIGHT), ON_NODES)
    assert placed(plan) == {"x": 4, "y": need - 4}
    assert "every planned replica has a place on the nodes of its pool" in plan.notes[-1]
    nowhere = plan_fleet(fleet(*THREES), ON_NODES)
    assert [item.server for item in nowhere.unplaced] == ["s"]


def test_the_large_method_keeps_to_nodes() -> None:
    plan = plan_fleet(fleet(*THREES, EIGHT), replace(ON_NODES, exact_servers=0))
    assert plan.allocations[0].fully_served
    assert placed(plan).get("x", 0) <= 4


def test_a_plan_that_does_not_fit_is_refused() -> None:
    made = fleet(*THREES, EIGHT)
    counted = plan_fleet(made, replace(ON_NODES, placement=False))
    with pytest.raises(PlanCheckError, match="does not fit the nodes of its pools"):
        with_places(made, prepare(made, ON_NODES).table, counted)


@pytest.mark.parametrize(
    ("stray", "words"),
    [
        (node("n", 8, zone=None), "nodes.n.pool: is not told, and its zone (none)"),
        (node("n", 8, zone="zone-z"), "its zone ('zone-z') is not that of just one pool"),
        (node("n", 8, pool="z"), "nodes.n.pool: 'z' is no pool of B"),
    ],
)
def test_nodes_of_no_pool_are_refused(stray: Node, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        plan_fleet(fleet(*THREES, stray), ON_NODES)
    assert words in str(caught.value)


def test_a_node_may_name_its_pool_in_documents() -> None:
    made = fleet(node("n", 8, zone=None, pool="x"))
    assert document_to_fleet(fleet_to_document(made)).nodes == made.nodes


def test_the_loss_of_a_node_is_that_of_nodes_that_are_told() -> None:
    """A pool that tells no nodes counts as one, unless the fleet has its nodes."""
    limits = Limits(headroom=Headroom(survive=Survival.NODE))
    small = tuple(node(f"n{k}", 2) for k in range(8))
    wide = (replace(POOLS[0], cards=16), POOLS[1])
    as_one = plan_fleet(fleet(limits=limits, pools=wide), replace(ON_NODES, placement=False))
    told = plan_fleet(fleet(*small, limits=limits, pools=wide), replace(ON_NODES, placement=False))
    (item,) = told.allocations
    assert item.spare_replicas == 1
    assert not as_one.allocations or as_one.allocations[0].spare_replicas > 1
