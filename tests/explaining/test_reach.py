"""What would serve a server that is not, checked by planning documents edited so."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from data.fleets import read_fleet
from optimizer.explaining.edits import with_scaled_load, with_scaled_targets
from optimizer.explaining.explain import ExplainOptions, explain_plan
from optimizer.explaining.reach import Reach
from optimizer.explaining.search import STEP
from optimizer.planner import plan_fleet
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.plan import Plan
from stoker.domain.reasons import UnplacedReason
from stoker.domain.scaling import scale_capacity
from stoker.domain.settings import SaturationPolicy
from stoker.domain.unplaced_explanation import Scope, UnplacedExplanation
from tests.support.explained import REFERENCE, names_served, only, planned
from tests.support.small_fleets import GOLD, fleets, make_fleet, make_server


def all_served(fleet: Fleet, names: set[str]) -> bool:
    return names <= names_served(plan_fleet(fleet))


def scenes(fleet: Fleet, plan: Plan, server: str) -> dict[Scope, tuple[Fleet, set[str]]]:
    """Return, by scope, the fleet in which the server is to be served, and who with it."""
    now = names_served(plan)
    used = Counter[str]()
    for item in plan.allocations:
        if item.server != server and item.card_type is not None:
            used[item.card_type] += item.cards
    left = tuple(Capacity(x.card_type, max(0, x.count - used[x.card_type])) for x in fleet.capacity)
    alone = replace(
        fleet,
        servers=tuple(x for x in fleet.servers if x.name == server),
        capacity=left,
    )
    return {
        Scope.CARDS_LEFT: (alone, {server}),
        Scope.REPLANNED: (only(fleet, {*now, server}), {*now, server}),
    }


def check(
    fleet: Fleet, plan: Plan, item: UnplacedExplanation, scopes: tuple[Scope, ...] = tuple(Scope)
) -> None:
    found = scenes(fleet, plan, item.server)
    for scope in scopes:
        scene, wanted = found[scope]
        index = [x.name for x in scene.servers].index(item.server)
        nearest = next((x for x in item.reachable if x.scope is scope), None)
        loosened = with_scaled_targets(scene, index, 1e4 if nearest is None else nearest.factor)
        assert all_served(loosened, wanted) == (nearest is not None)
        if nearest is not None and nearest.factor > STEP:
            tighter = with_scaled_targets(scene, index, nearest.factor / STEP)
            assert not all_served(tighter, wanted)
        load = next((x for x in item.loads if x.scope is scope), None)
        lighter = with_scaled_load(scene, index, 1e-4 if load is None else load.share)
        assert all_served(lighter, wanted) == (load is not None)
        if load is not None and load.share * STEP < 1:
            heavier = with_scaled_load(scene, index, load.share * STEP)
            assert not all_served(heavier, wanted)
    scene, wanted = found[Scope.REPLANNED]
    for bought in item.purchases:
        for cards, enough in ((bought.cards, True), (bought.cards - 1, False)):
            richer = replace(
                scene,
                capacity=tuple(
                    replace(x, count=x.count + (cards if x.card_type == bought.card_type else 0))
                    for x in scene.capacity
                ),
            )
            assert all_served(richer, wanted) == enough


@settings(max_examples=9, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fleet=fleets(most_servers=5))
def test_nearest_targets_loads_and_purchases_are_the_nearest(fleet: Fleet) -> None:
    fleet = replace(fleet, settings=REFERENCE)
    plan = plan_fleet(fleet)
    for item in explain_plan(fleet, plan, options=ExplainOptions(servers=None)).unplaced:
        if item.reason is UnplacedReason.LOAD_UNKNOWN:
            assert (item.reachable, item.loads, item.purchases) == ((), (), ())
        else:
            check(fleet, plan, item)


@pytest.mark.parametrize(("name", "scale"), [("small", 0.5), ("large", 0.45)])
def test_builtin_fleets_short_of_cards(name: str, scale: float) -> None:
    fleet = replace(scale_capacity(read_fleet(name), scale), settings=REFERENCE)
    case = planned(fleet)
    lacking = case.plan.unplaced[0]
    index = case.base.servers.index(lacking.server)
    reach = Reach(case.situation)
    targets, loads = reach.nearest([index], (Scope.REPLANNED,))[index]
    item = UnplacedExplanation(
        *(lacking.server, lacking.reason, lacking.detail, lacking.remedy),
        reachable=targets,
        loads=loads,
        purchases=reach.purchases(index)[:1],
    )
    assert item.loads
    assert item.purchases
    check(fleet, case.plan, item, (Scope.REPLANNED,))


def test_targets_out_of_reach_are_loosened_until_they_are_not() -> None:
    tight = replace(GOLD, targets=(replace(GOLD.targets[0], itl_ms=2.0),))
    fleet = replace(make_fleet(make_server("s"), classes=(tight,)), settings=REFERENCE)
    plan = plan_fleet(fleet)
    (item,) = explain_plan(fleet, plan).unplaced
    assert item.reason is UnplacedReason.NO_CANDIDATE
    assert not item.purchases, "no number of cards makes it faster"
    assert not item.loads, "nor does any lighter load"
    assert {x.scope for x in item.reachable} == set(Scope)
    assert all(x.targets_ms["itl_ms.mean"] == pytest.approx(2.0 * x.factor) for x in item.reachable)
    check(fleet, plan, item)


def test_best_effort_cards_count_as_free_for_their_server() -> None:
    policy = SaturationPolicy.PRIORITY_EXHAUSTIVE
    how = replace(REFERENCE, saturation_policy=policy)
    fleet = replace(make_fleet(make_server("s"), cards={"B": 0, "C": 1}), settings=how)
    plan = plan_fleet(fleet)
    assert plan.allocations, "best effort gives it the cards there are"
    (item,) = explain_plan(fleet, plan).unplaced
    assert item.loads
    check(replace(fleet, settings=REFERENCE), plan, item)
