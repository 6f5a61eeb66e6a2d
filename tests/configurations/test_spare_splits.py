"""Prefill and decode pools that survive the loss of any one replica: against trying every size."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from data.plan_format import plan_to_document
from data.plan_reading import parse_plan
from optimizer.candidates import build_candidates
from optimizer.check import check_plan
from optimizer.configurations.pools import PoolFleet
from optimizer.evaluate import pools_of
from optimizer.explaining.explain import explain_plan
from optimizer.fleet_arrays import fleet_arrays
from optimizer.planner import plan_fleet
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.errors import PlanCheckError
from stoker.domain.explanation import SpareRule
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Headroom, Limits, Survival
from stoker.domain.plan import Plan
from stoker.domain.pools import PoolWishes
from stoker.domain.settings import Analysis
from tests.configurations.test_disaggregated import BUSY, apart
from tests.support.configured_fleets import DP2, FP8, TP1, TP2, Document
from tests.support.page_fleets import page_fleet

SURVIVING = Limits(headroom=Headroom(survive=Survival.REPLICA))
MOST = 9


def surviving(fleet: Fleet) -> Fleet:
    return replace(fleet, limits=SURVIVING)


def cheapest_by_trying(fleet: Fleet) -> int:
    """Return the fewest cards of two pools that keep the targets whichever replica is lost."""
    plain = replace(fleet, limits=Limits())
    table = build_candidates(plain, Analysis.FULL)
    (row,) = np.flatnonzero(table.disaggregated)
    arrays = fleet_arrays(plain)
    pools = PoolFleet(arrays, plain.rules.max_blocking)
    own = pools_of(arrays, table, np.array([row]))
    sizes = np.array(list(product(range(1, MOST + 1), repeat=2)), dtype=np.int64)
    rows = own.take(np.zeros(len(sizes), dtype=np.int64))
    rows = replace(rows, prefill=sizes[:, 0], decode=sizes[:, 1])
    rate = np.full(len(sizes), table.total_rate_rps[table.server[row]])
    kept = {
        (int(p), int(d))
        for (p, d), beyond in zip(sizes, pools.excess(rows, rate), strict=True)
        if beyond <= 0
    }
    first, second = (int(item[0]) for item in pools.units(own.profile))
    return min(p * first + d * second for p, d in kept if {(p - 1, d), (p, d - 1)} <= kept)


@pytest.mark.parametrize(
    ("decode", "prefill", "rate"),
    [
        (TP1, None, 6),
        (TP1, None, 30),
        (FP8, TP1, 12),
        (TP1, TP2, 30),
        (TP2, TP1, 20),
        (DP2, None, 8),
    ],
)
def test_it_is_the_cheapest_that_can_lose_any_replica(
    decode: Document, prefill: Document | None, rate: float
) -> None:
    fleet = surviving(apart(decode, prefill, load={**BUSY, "arrival_rate_rps": rate}))
    table = build_candidates(fleet, Analysis.FULL)
    alone, spare = np.flatnonzero(table.disaggregated).tolist()
    assert table.cards[spare] == cheapest_by_trying(fleet)
    assert table.spare[alone] == 0
    assert table.spare[spare] == table.all_replicas[spare] - table.all_replicas[alone]


def reports(plan: Plan) -> PlannedAllocation:
    return next(item for item in plan.allocations if item.server == "reports")


def test_a_plan_takes_a_few_replicas_more_and_no_second_deployment() -> None:
    fleet = page_fleet("configurations.md", {"limits": {"headroom": {"survive": "replica"}}})
    plan = plan_fleet(fleet)
    item = reports(plan)
    assert item.fully_served
    assert 18 < item.cards <= 24
    assert item.spare_replicas == item.replicas - 7
    assert [part.replicas for part in item.placements] == [item.replicas]
    assert all(part.replicas >= 2 for part in item.pools)
    one = tuple(replace(part, replicas=1) for part in item.pools)
    broken = tuple(replace(x, pools=one) if x is item else x for x in plan.allocations)
    with pytest.raises(PlanCheckError, match="does not survive"):
        check_plan(fleet, replace(plan, allocations=broken), unlimited=False, own_predictions=True)
    read = parse_plan(plan_to_document(plan))
    explained = {each.server: each for each in explain_plan(fleet, read).allocations}
    assert explained["reports"].spare_replicas == item.spare_replicas
    assert explained["reports"].spare_for == (SpareRule.REPLICA_LOST,)


def test_without_load_there_are_two_of_each() -> None:
    idle = {**BUSY, "arrival_rate_rps": 0}
    plan = plan_fleet(surviving(apart(load=idle, min_replicas=2)))
    (item,) = plan.allocations
    assert [part.replicas for part in item.pools] == [2, 2]
    assert item.spare_replicas == 2


def test_in_two_zones_whole_deployments_are_enough() -> None:
    zones = [{"name": name, "card_type": "H100", "cards": 40, "zone": name} for name in ("x", "y")]
    limits = {"headroom": {"survive": "replica"}}
    fleet = page_fleet("configurations.md", {"pools": zones, "capacity": {}, "limits": limits})
    plan = plan_fleet(replace(fleet, wishes={"reports": PoolWishes(spread_zones=2)}))
    item = reports(plan)
    assert (item.cards, item.replicas, item.spare_replicas) == (36, 14, 7)


def test_the_loss_of_a_node_is_nothing_that_two_pools_survive() -> None:
    limits = {"headroom": {"survive": "node"}}
    plan = plan_fleet(page_fleet("configurations.md", {"limits": limits}))
    assert "reports" in {item.server for item in plan.unplaced} or not reports(plan).pools
    assert any("limits.headroom.survive: node" in note for note in plan.notes)
