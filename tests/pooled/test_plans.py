"""Whole plans over pools: what they say, and that what they say holds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.check import check_plan
from optimizer.planner import plan_fleet
from stoker.domain.accelerator import PowerCurve
from stoker.domain.errors import InvalidInputError, PlanCheckError
from stoker.domain.fleet import Fleet
from stoker.domain.limits import (
    Combination,
    Headroom,
    Limits,
    Objective,
    ObjectiveName,
    Objectives,
    Survival,
)
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.pools import Pool, PoolWishes, PriceKind, QuotaGroup
from stoker.domain.reasons import Rejection, UnplacedReason
from stoker.domain.server import Allocation
from stoker.domain.settings import Analysis, OptimizerSettings, SaturationPolicy, SolverKind
from stoker.domain.workload import Load
from tests.support.small_fleets import BIG, CHEAP, OLD, fleets, make_fleet, make_server

REFERENCE = OptimizerSettings(analysis=Analysis.REFERENCE)
CURVE = PowerCurve(100.0, 250.0, 300.0, 0.6)
POWERED = (replace(BIG, power=CURVE), replace(CHEAP, power=CURVE), replace(OLD, power=CURVE))
BUSY = Load(arrival_rate_rps=9.0, input_tokens=128, output_tokens=256)

POOLS = (
    Pool("b-x", "B", 8, "r", "x"),
    Pool("b-y", "B", 8, "r", "y", price_factor=1.2),
    Pool("c-x", "C", 20, "r", "x", price_kind=PriceKind.RESERVED, price_factor=0.5),
    Pool("c-y", "C", 20, "r", "y", quota_group="q"),
    Pool("c-z", "C", 20, "r", "z", None, PriceKind.SPOT, 0.3, quota_group="q"),
)


def pooled(*names: str, **changes: object) -> Fleet:
    """Return a fleet of gold servers with these names over the pools above."""
    base = make_fleet(*(make_server(name, load=BUSY) for name in names), accelerators=POWERED)
    fleet = replace(base, capacity=(), pools=POOLS, quotas=(QuotaGroup("q", 30),))
    return replace(fleet, **changes)  # type: ignore[arg-type]


def plan_of(fleet: Fleet) -> Plan:
    return plan_fleet(fleet, REFERENCE)


def placed(plan: Plan, server: str) -> dict[str, int]:
    item = next(item for item in plan.allocations if item.server == server)
    return {part.pool: part.replicas for part in item.placements}


@given(fleet=fleets())
@settings(max_examples=25, deadline=None)
def test_limits_that_do_not_bind_change_nothing(fleet: Fleet) -> None:
    plain = plan_fleet(fleet, REFERENCE)
    loose = replace(fleet, limits=Limits(budget_per_hour=1e9, max_replicas=10**6))
    bounded = plan_fleet(loose, REFERENCE)
    assert bounded.objective == pytest.approx(plain.objective, rel=1e-9, abs=1e-9)
    assert [s.served for s in bounded.services] == [s.served for s in plain.services]
    assert sum(item.cards for item in bounded.allocations) == sum(
        item.cards for item in plain.allocations
    )


@st.composite
def pooled_fleets(draw: st.DrawFn) -> Fleet:
    fleet = draw(fleets(most_servers=4))
    names = [pool.name for pool in POOLS]
    wishes = {
        server.name: PoolWishes(
            prefer_pools=draw(st.sampled_from([(), ("c-z",), ("b-y", "c-x")])),
            pools=draw(st.sampled_from([(), (), tuple(names[2:])])),
            spread_zones=draw(st.sampled_from([1, 1, 2])),
            max_zone_share=draw(st.sampled_from([None, None, 0.6])),
            max_spot_share=draw(st.sampled_from([None, 0.0, 0.5])),
        )
        for server in fleet.servers
    }
    limits = Limits(
        budget_per_hour=draw(st.sampled_from([None, None, 5.0, 20.0])),
        power_w=draw(st.sampled_from([None, None, 3000.0])),
        max_replicas=draw(st.sampled_from([None, 9])),
        max_changes=draw(st.sampled_from([None, None, 1])),
        max_spot_share=draw(st.sampled_from([None, 0.4])),
        headroom=Headroom(
            draw(st.sampled_from([1.0, 1.3])), draw(st.sampled_from([None, *Survival]))
        ),
    )
    terms = tuple(
        Objective(name, draw(st.sampled_from([1.0, 0.01])))
        for name in draw(
            st.lists(st.sampled_from(ObjectiveName), min_size=1, max_size=2, unique=True)
        )
    )
    return replace(
        fleet,
        accelerators=POWERED,
        capacity=(),
        pools=POOLS,
        quotas=(QuotaGroup("q", 12),),
        wishes=wishes,
        limits=limits,
        objectives=Objectives(terms, draw(st.sampled_from(Combination))),
    )


@given(fleet=pooled_fleets())
@settings(max_examples=40, deadline=None)
def test_every_plan_keeps_what_it_is_checked_for(fleet: Fleet) -> None:
    """A plan is checked before it is handed out; large methods are too."""
    exact = plan_fleet(fleet, REFERENCE)
    assert exact.surge == fleet.limits.headroom.surge
    weighted = plan_fleet(fleet, replace(REFERENCE, exact_servers=0))
    best = [service.served for service in exact.services]
    for own, most in zip(weighted.services, best, strict=True):
        if own.served != most:
            break
        assert own.bound is None or own.bound >= most
    for item in weighted.unplaced:
        assert item.detail
        assert item.remedy


@given(fleet=pooled_fleets())
@settings(max_examples=30, deadline=None)
def test_the_bound_of_large_fleets_is_one_on_all_plans(fleet: Fleet) -> None:
    fleet = replace(fleet, objectives=Objectives(), limits=replace(fleet.limits, max_changes=None))
    fleet = replace(fleet, wishes={k: replace(w, prefer_pools=()) for k, w in fleet.wishes.items()})
    exact = plan_fleet(fleet, REFERENCE)
    weighted = plan_fleet(fleet, replace(REFERENCE, exact_servers=0))
    served = {item.server for item in exact.allocations if item.fully_served}
    if served == {item.server for item in weighted.allocations if item.fully_served}:
        assert weighted.bound is None or weighted.bound <= exact.objective + 1e-6
        assert weighted.objective >= exact.objective - 1e-6


def test_cheapest_pools_are_taken_and_told() -> None:
    plan = plan_of(pooled("s"))
    assert plan.status is PlanStatus.OPTIMAL
    assert set(placed(plan, "s")) == {"c-x"} or set(placed(plan, "s")) == {"c-z"}
    used = {item.pool: item.used for item in plan.pools}
    assert sum(used.values()) == plan.allocations[0].cards
    assert plan.cost_per_hour == pytest.approx(sum(item.cost_per_hour for item in plan.pools))


def test_preferred_pools_are_filled_before_others() -> None:
    wishes = {"s": PoolWishes(prefer_pools=("c-y", "c-x"))}
    assert set(placed(plan_of(pooled("s", wishes=wishes)), "s")) == {"c-y"}
    full = tuple(replace(pool, cards=3) if pool.name == "c-y" else pool for pool in POOLS)
    spilled = placed(plan_of(pooled("s", wishes=wishes, pools=full)), "s")
    assert spilled["c-y"] >= 1
    assert set(spilled) == {"c-y", "c-x"}


def test_the_loss_of_a_zone_leaves_enough() -> None:
    calm = plan_of(pooled("s"))
    plan = plan_of(pooled("s", limits=Limits(headroom=Headroom(survive=Survival.ZONE))))
    item = plan.allocations[0]
    zones = {pool.name: pool.place for pool in POOLS}
    by_zone: dict[object, int] = {}
    for part in item.placements:
        by_zone[zones[part.pool]] = by_zone.get(zones[part.pool], 0) + part.replicas
    if item.accelerator == calm.allocations[0].accelerator:
        assert item.replicas - max(by_zone.values()) >= calm.allocations[0].replicas
    assert item.spare_replicas >= 1


def test_a_budget_serves_the_highest_priority_within_it() -> None:
    servers = [make_server("low", service_class="bronze", load=BUSY), make_server("top", load=BUSY)]
    fleet = replace(pooled("x"), servers=tuple(servers))
    free = plan_of(fleet)
    costs = {item.server: item.cost_per_hour for item in free.allocations}
    tight = plan_of(replace(fleet, limits=Limits(budget_per_hour=costs["top"] * 1.05)))
    assert [item.server for item in tight.allocations if item.fully_served] == ["top"]
    (missed,) = tight.unplaced
    assert missed.reason is UnplacedReason.BUDGET
    assert "raise the budget by at least" in missed.remedy
    broke = plan_of(replace(fleet, limits=Limits(budget_per_hour=0.0)))
    assert broke.status is PlanStatus.INFEASIBLE
    assert {item.reason for item in broke.unplaced} == {UnplacedReason.BUDGET}


def test_power_that_nobody_knows_is_no_zero() -> None:
    fleet = replace(pooled("s"), accelerators=(BIG, CHEAP, OLD), limits=Limits(power_w=1e6))
    (missed,) = plan_of(fleet).unplaced
    assert missed.reason is UnplacedReason.NO_CANDIDATE
    assert Rejection.POWER_UNKNOWN in missed.rejections.values()
    assert "idle_w" in missed.remedy


REASONS: tuple[tuple[Limits, UnplacedReason, dict[str, PoolWishes]], ...] = (
    (Limits(power_w=10.0), UnplacedReason.POWER, {}),
    (Limits(max_replicas=0), UnplacedReason.REPLICAS, {}),
    (Limits(max_changes=0), UnplacedReason.CHANGES, {}),
    (Limits(), UnplacedReason.SPREAD, {"s": PoolWishes(pools=("c-x",), spread_zones=2)}),
    (Limits(max_spot_share=0.0), UnplacedReason.SPOT, {"s": PoolWishes(pools=("c-z",))}),
)


@pytest.mark.parametrize(("limits", "reason", "wishes"), REASONS)
def test_what_stands_in_the_way_is_named(
    limits: Limits, reason: UnplacedReason, wishes: dict[str, PoolWishes]
) -> None:
    (missed,) = plan_of(pooled("s", limits=limits, wishes=wishes)).unplaced
    assert missed.reason is reason
    assert missed.remedy


def test_a_quota_is_named() -> None:
    wishes = {"s": PoolWishes(pools=("c-y", "c-z"))}
    (missed,) = plan_of(pooled("s", wishes=wishes, quotas=(QuotaGroup("q", 1),))).unplaced
    assert missed.reason is UnplacedReason.QUOTA


def test_surge_is_in_the_load_and_told() -> None:
    plan = plan_of(pooled("s", limits=Limits(headroom=Headroom(surge=1.5))))
    assert plan.surge == 1.5
    assert plan.allocations[0].arrival_rate_rps == pytest.approx(1.5 * BUSY.arrival_rate_rps)
    assert any("1.5 times" in note for note in plan.notes)


def test_what_runs_stays_where_changes_are_not_allowed() -> None:
    running = make_server("s", load=BUSY, current=Allocation("Cheap", 2, cost_per_hour=2.0))
    fleet = replace(pooled("x"), servers=(running,), limits=Limits(max_changes=0))
    plan = plan_of(fleet)
    (item,) = plan.allocations
    assert (item.accelerator, item.replicas, item.fully_served) == ("Cheap", 2, False)
    assert plan.unplaced[0].reason is UnplacedReason.CHANGES
    gone = plan_of(replace(fleet, pools=tuple(replace(pool, cards=0) for pool in POOLS)))
    assert not gone.allocations
    assert any("the fewest are 1" in note for note in gone.notes)


def test_what_is_kept_counts_against_the_budget() -> None:
    kept = make_server("kept", load=None, current=Allocation("Cheap", 4))
    fleet = replace(pooled("s"), servers=(kept, make_server("s", load=BUSY)))
    free = plan_of(fleet)
    cost = {item.server: item.cost_per_hour for item in free.allocations}
    enough = replace(fleet, limits=Limits(budget_per_hour=cost["s"] + 4.0))
    assert not [item for item in plan_of(enough).unplaced if item.server == "s"]
    short = replace(fleet, limits=Limits(budget_per_hour=cost["s"] * 0.9 + 4.0))
    plan = plan_of(short)
    assert plan.cost_per_hour <= cost["s"] * 0.9 + 4.0
    assert plan.limits[0].used == pytest.approx(plan.cost_per_hour)


def test_energy_first_draws_less_than_cost_first() -> None:
    fleet = pooled("s", "t")
    energy = replace(fleet, objectives=Objectives((Objective(ObjectiveName.ENERGY),)))
    watts = [sum(i.power_w or 0.0 for i in plan_of(f).allocations) for f in (energy, fleet)]
    assert watts[0] <= watts[1]
    (told,) = plan_of(energy).objectives
    assert told.value == pytest.approx(watts[0])
    assert told.bound == pytest.approx(watts[0], rel=1e-6)


def test_fairness_gives_a_share_to_who_goes_without() -> None:
    few = tuple(replace(pool, cards=4 if pool.card_type == "C" else 0) for pool in POOLS)
    heavy = Load(arrival_rate_rps=40.0, input_tokens=128, output_tokens=256)
    fleet = pooled("s", pools=few)
    fleet = replace(fleet, servers=(replace(fleet.servers[0], load=heavy),))
    fair = replace(fleet, objectives=Objectives((Objective(ObjectiveName.FAIRNESS),)))
    assert not plan_of(fleet).allocations
    plan = plan_of(fair)
    (item,) = plan.allocations
    assert not item.fully_served
    assert 0 < plan.objectives[0].value < 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"unlimited": True}, "optimizer.unlimited"),
        ({"solver": SolverKind.GREEDY}, "optimizer.solver"),
        ({"heterogeneous": True}, "optimizer.heterogeneous"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, object], field: str) -> None:
    settings = replace(REFERENCE, **changes)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=field):
        plan_fleet(pooled("s"), settings)


def test_a_saturation_policy_is_said_to_be_ignored() -> None:
    settings = replace(REFERENCE, saturation_policy=SaturationPolicy.ROUND_ROBIN)
    assert any("RoundRobin was ignored" in note for note in plan_fleet(pooled("s"), settings).notes)


def tampered(plan: Plan, **changes: object) -> Plan:
    first = replace(plan.allocations[0], **changes)  # type: ignore[arg-type]
    return replace(plan, allocations=(first, *plan.allocations[1:]))


def test_broken_plans_are_found() -> None:
    limits = Limits(
        budget_per_hour=100.0,
        power_w=1e5,
        max_replicas=40,
        headroom=Headroom(survive=Survival.ZONE),
        max_spot_share=0.9,
    )
    wishes = {"s": PoolWishes(pools=("c-x", "c-y", "c-z"), spread_zones=2, max_spot_share=0.9)}
    fleet = pooled("s", limits=limits, wishes=wishes)
    plan = plan_of(fleet)
    parts = plan.allocations[0].placements
    assert len(parts) > 1

    def broken(fleet: Fleet, plan: Plan, words: str) -> None:
        with pytest.raises(PlanCheckError, match=words):
            check_plan(fleet, plan, unlimited=False, own_predictions=True)

    check_plan(fleet, plan, unlimited=False, own_predictions=True)
    broken(fleet, tampered(plan, placements=parts[1:]), "do not add up")
    broken(fleet, tampered(plan, placements=(replace(parts[0], pool="b-x"),)), "has no cards of")
    broken(fleet, replace(plan, pools=()), "does not say where")
    first = {parts[0].pool}

    def with_limits(**changes: object) -> Fleet:
        return replace(fleet, limits=replace(limits, **changes))  # type: ignore[arg-type]

    small = tuple(replace(p, cards=0) if p.name in first else p for p in fleet.pools)
    broken(replace(fleet, pools=small), plan, "cards of pool")
    broken(replace(fleet, quotas=(QuotaGroup("q", 0),)), plan, "cards of quota q")
    broken(with_limits(budget_per_hour=0.01), plan, "of a budget of")
    broken(with_limits(power_w=1.0), plan, "power of")
    broken(with_limits(idle_power_w=1.0), plan, "power without load")
    broken(with_limits(max_replicas=1), plan, "replicas of 1")
    broken(with_limits(max_replicas_per_server=1), plan, "for a server")
    broken(tampered_wishes(fleet, spread_zones=9), plan, "zones, not in 9")
    broken(tampered_wishes(fleet, max_zone_share=0.1), plan, "replicas in one zone")
    broken(tampered_wishes(fleet, pools=("c-y",)), plan, "which it may not use")
    broken(fleet, tampered(plan, spare_replicas=0), "after the loss of a zone")
    dearer = tuple(replace(p, price_per_card_hour=9.0) for p in fleet.pools)
    broken(replace(fleet, pools=dearer), plan, "costs")
    if any(part.price_kind is PriceKind.SPOT for part in parts):
        broken(with_limits(max_spot_share=0.0), plan, "cards are spot")
        broken(tampered_wishes(fleet, max_spot_share=0.0), plan, "on spot cards")


def tampered_wishes(fleet: Fleet, **changes: object) -> Fleet:
    return replace(fleet, wishes={"s": replace(fleet.wishes["s"], **changes)})  # type: ignore[arg-type]


def test_a_large_fleet_without_time_still_has_a_plan() -> None:
    """Servers are planned in turn; the bound is one of prices alone, and the rest is said."""
    fleet = pooled(*(f"s{k}" for k in range(6)), limits=Limits(budget_per_hour=1000.0))
    hurried = replace(REFERENCE, exact_servers=0, time_limit_s=1e-9)
    plan = plan_fleet(fleet, hurried)
    best = plan_fleet(fleet, replace(REFERENCE, exact_servers=0))
    assert plan.allocations
    assert plan.status is PlanStatus.FEASIBLE
    assert any("in turn" in note for note in plan.notes)
    assert plan.bound is not None
    assert plan.bound <= best.objective + 1e-9
