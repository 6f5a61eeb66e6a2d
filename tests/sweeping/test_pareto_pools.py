"""Frontiers of fleets with pools and limits are those that trying everything finds."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.candidates import build_candidates
from optimizer.planner import plan_fleet
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.limits import COST_ALONE, Limits, Objective, ObjectiveName, Objectives
from stoker.domain.pools import Pool, PoolWishes, PriceKind, QuotaGroup
from stoker.domain.server import Allocation
from stoker.domain.settings import Analysis, SolverKind
from stoker.domain.sharing import SharingGroup
from stoker.domain.workload import Load
from studies.sweeping.attainment import Measure, attainment_frontier
from studies.sweeping.by_budget import priority_frontier, vector_of
from studies.sweeping.epsilon import SCALE, efficient_solutions
from studies.sweeping.pareto import PLACE, Place, pareto_attainment, pareto_priorities
from studies.sweeping.pooled_attainment import weighed_model
from tests.support.naive_pools import fits
from tests.support.naive_ways import way_cost, ways
from tests.support.pool_decisions import RELAXED
from tests.support.pool_instances import instances
from tests.support.pool_questions import question_of
from tests.support.pool_terms import Instance, Way
from tests.support.small_fleets import make_fleet, make_server

MANY = settings(max_examples=60, deadline=None, suppress_health_check=RELAXED, derandomize=True)
FEW = settings(max_examples=8, deadline=None, suppress_health_check=RELAXED, derandomize=True)


def all_plans(instance: Instance) -> list[tuple[Way, ...]]:
    """Return every plan within all limits."""
    choices = [ways(instance, index) for index in range(len(instance.clients))]
    plans = [plan for plan in itertools.product(*choices) if fits(instance, plan)]
    if instance.limits.max_changes is not None:
        least = min(sum(way.changed for way in plan) for plan in plans)
        allowed = max(least, instance.limits.max_changes)
        plans = [plan for plan in plans if sum(way.changed for way in plan) <= allowed]
    return plans


def staircase(plans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return cost and what is served of the plans that no other dominates, by rising cost."""
    best: list[tuple[float, float]] = []
    for cost, served in sorted(
        {(round(c, 9), round(s, 9)) for c, s in plans}, key=lambda item: (item[0], -item[1])
    ):
        if not best or served > best[-1][1] + 1e-9:
            best.append((cost, served))
    return best


@MANY
@given(instance=instances(), measure=st.sampled_from(Measure))
def test_the_walk_finds_what_trying_everything_does(instance: Instance, measure: Measure) -> None:
    clients = tuple(
        replace(item, wishes=replace(item.wishes, prefer_pools=())) for item in instance.clients
    )
    instance = replace(instance, clients=clients, objectives=COST_ALONE)
    counted = [1.0 if measure is Measure.SERVERS else item.rate for item in clients]
    expected = staircase(
        (
            sum(way_cost(instance, way) for way in plan),
            sum(count for count, way in zip(counted, plan, strict=True) if way.serves),
        )
        for plan in all_plans(instance)
    )
    question = question_of(instance)
    model = weighed_model(question, np.array(counted), "HiGHS", 60.0, time.perf_counter)
    told: list[int] = []
    walk = efficient_solutions(model, 1000, told.append)
    points = walk.points
    assert walk.whole
    assert walk.proven
    assert told == list(range(1, len(points) + 1))
    unit = sum(counted) / SCALE if sum(counted) > 0 else 1.0
    found = [(float(model.cost @ p.x) * model.cost_unit, p.amount * unit) for p in points]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def pooled(*, rates: Iterable[float] = (1.0, 3.0, 5.0), **changes: object) -> Fleet:
    """Return a fleet of two priorities over three pools, one of them spot."""
    servers = [
        make_server(f"s{k}", service_class=name, load=Load(rate, 128, 256))
        for k, (rate, name) in enumerate(zip(rates, itertools.cycle(("gold", "bronze"))))
    ]
    fleet = make_fleet(*servers, cards={})
    pools = (
        Pool("big", "B", 4, zone="z1"),
        Pool("near", "C", 7, zone="z1", price_per_card_hour=1.3, quota_group="q"),
        Pool(
            "spot",
            "C",
            9,
            zone="z2",
            price_kind=PriceKind.SPOT,
            price_per_card_hour=0.4,
            interruptions_per_hour=0.2,
            quota_group="q",
        ),
    )
    return replace(
        fleet,
        pools=pools,
        quotas=(QuotaGroup("q", 14),),
        limits=Limits(max_server_spot_share=0.6, replica_start_s=300.0),
        settings=replace(fleet.settings, analysis=Analysis.REFERENCE),
        **changes,  # type: ignore[arg-type]
    )


def by_hand(fleet: Fleet) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Yield cost and served vector of every plan of `pooled`, from its candidates alone."""
    table = build_candidates(fleet, Analysis.REFERENCE)
    share = fleet.limits.max_server_spot_share
    assert share is not None
    choices: list[list[tuple[tuple[int, int, int], float]]] = []
    for server in range(len(fleet.servers)):
        own: list[tuple[tuple[int, int, int], float]] = [((0, 0, 0), 0.0)]
        for row in np.flatnonzero(table.accepted & (table.server == server)).tolist():
            n, cards = int(table.replicas[row]), int(table.cards_per_replica[row])
            if table.card_types[int(table.card_type[row])] == "B":
                own.append(((n * cards, 0, 0), n * float(table.unit_cost_per_hour[row])))
                continue
            for spot in range(math.floor(share * n + 1e-9) + 1):
                near = (n - spot) * cards
                own.append(((0, near, spot * cards), 1.3 * near + 0.4 * spot * cards))
        choices.append(own)
    levels = sorted(set(fleet.priorities.values()))
    for plan in itertools.product(*choices):
        big, near, spot = np.sum([cards for cards, _ in plan], axis=0).tolist()
        if big > 4 or near > 7 or spot > 9 or near + spot > 14:
            continue
        vector = tuple(
            sum(
                any(cards)
                for (cards, _), server in zip(plan, fleet.servers, strict=True)
                if fleet.priorities[server.name] == level
            )
            for level in levels
        )
        yield sum(cost for _, cost in plan), vector


def test_priorities_are_served_as_well_as_any_plan_of_that_cost() -> None:
    fleet = pooled(rates=(1.0, 3.0, 2.0, 0.5))
    best: list[tuple[float, tuple[int, ...]]] = []
    for cost, vector in sorted(by_hand(fleet), key=lambda item: (item[0], [-n for n in item[1]])):
        if not best or vector > best[-1][1]:
            best.append((cost, vector))
    assert len(best) > 4
    frontier = priority_frontier(fleet)
    assert frontier.whole
    assert [vector_of(plan) for plan in frontier.plans] == [vector for _, vector in best]
    costs = [plan.cost_per_hour for plan in frontier.plans]
    assert costs == pytest.approx([cost for cost, _ in best], rel=1e-9, abs=1e-9)


def test_servers_of_a_fleet_over_pools_are_those_of_every_plan() -> None:
    fleet = pooled()
    expected = staircase((cost, float(sum(vector))) for cost, vector in by_hand(fleet))
    results = pareto_attainment(fleet, Measure.SERVERS)
    assert "whole frontier" in results.claim
    found = [(row["cost_per_hour"], row["served"]) for row in results.rows]
    np.testing.assert_allclose(np.array(found, dtype=float), expected, rtol=1e-9, atol=1e-9)
    assert {row[PLACE] for row in results.rows} == {Place.FRONTIER.value}
    assert {row["status"] for row in results.rows} == {"optimal"}
    assert all(row["gap"] == pytest.approx(0.0, abs=1e-6) for row in results.rows)


def test_a_budget_of_the_fleet_cuts_the_frontier_off() -> None:
    fleet = pooled()
    whole = attainment_frontier(fleet, Measure.LOAD)
    middle = whole.plans[len(whole.plans) // 2].cost_per_hour
    limits = replace(fleet.limits, budget_per_hour=middle * (1 + 1e-6))
    cut = attainment_frontier(replace(fleet, limits=limits), Measure.LOAD)
    below = [plan.cost_per_hour for plan in whole.plans if plan.cost_per_hour <= middle]
    assert [plan.cost_per_hour for plan in cut.plans] == pytest.approx(below)
    assert 1 < len(below) < len(whole.plans)


@FEW
@given(st.lists(st.sampled_from([0.5, 1.0, 2.5, 4.0]), min_size=2, max_size=4))
def test_with_one_priority_both_frontiers_are_one(rates: list[float]) -> None:
    fleet = pooled(rates=rates)
    servers = tuple(replace(item, service_class="gold") for item in fleet.servers)
    fleet = replace(fleet, servers=servers)
    by_servers = attainment_frontier(fleet, Measure.SERVERS).plans
    by_priority = priority_frontier(fleet).plans
    assert [plan.cost_per_hour for plan in by_priority] == pytest.approx(
        [plan.cost_per_hour for plan in by_servers], rel=1e-9, abs=1e-9
    )


def test_aims_and_preferences_play_no_part() -> None:
    fleet = pooled()
    aimed = replace(
        fleet,
        objectives=Objectives((Objective(ObjectiveName.FAIRNESS),)),
        wishes={"s0": PoolWishes(prefer_pools=("big",))},
    )
    for frontier in (priority_frontier, lambda item: attainment_frontier(item, Measure.SERVERS)):
        one, other = frontier(fleet), frontier(aimed)
        costs = [plan.cost_per_hour for plan in one.plans]
        assert [plan.cost_per_hour for plan in other.plans] == pytest.approx(costs)


def test_each_point_is_what_its_cost_buys_a_plain_fleet() -> None:
    fleet = make_fleet(*(make_server(f"s{k}") for k in range(2)), make_server("b", load=None))
    fleet = replace(fleet, settings=replace(fleet.settings, analysis=Analysis.REFERENCE))
    plans = priority_frontier(fleet).plans
    assert [vector_of(plan) for plan in plans] == [(0,), (1,), (2,)]
    for plan in plans[1:]:
        for factor, served in ((1 + 1e-9, 0), (1 - 1e-3, 1)):
            limits = Limits(budget_per_hour=plan.cost_per_hour * factor)
            again = plan_fleet(replace(fleet, limits=limits))
            assert vector_of(again) == (vector_of(plan)[0] - served,)
    assert plans[-1].cost_per_hour == pytest.approx(plan_fleet(fleet).cost_per_hour)


def test_limited_changes_still_know_what_runs() -> None:
    runs = Allocation("Cheap", 5, cost_per_hour=5.0)
    servers = (make_server("a", current=runs), make_server("b", current=runs))
    fleet = make_fleet(*servers, cards={"C": 30, "B": 8})
    fleet = replace(
        fleet,
        limits=Limits(max_changes=1),
        settings=replace(fleet.settings, analysis=Analysis.REFERENCE),
    )
    for frontier in (priority_frontier(fleet), attainment_frontier(fleet, Measure.SERVERS)):
        assert frontier.plans
        for plan in frontier.plans:
            (changes,) = (item for item in plan.limits if item.name == "max_changes")
            assert changes.used <= 1


def test_fewer_points_are_points_too() -> None:
    fleet = pooled(rates=(1.0, 3.0, 2.0, 0.5))
    whole = {plan.cost_per_hour for plan in priority_frontier(fleet).plans}
    results = pareto_priorities(fleet, 3)
    assert "more points between" in results.claim
    assert 2 <= len(results.rows) <= 3 < len(whole)
    for row in results.rows:
        assert any(math.isclose(float(str(row["cost_per_hour"])), cost) for cost in whole)


def test_what_frontiers_do_not_know_is_refused() -> None:
    fleet = pooled()
    greedy = replace(fleet, settings=replace(fleet.settings, solver=SolverKind.GREEDY))
    shared = replace(make_fleet(make_server("a"), make_server("b")))
    shared = replace(shared, sharing=(SharingGroup("g", ("a", "b")),))
    for asked, message in ((greedy, "greedy"), (shared, "sharing")):
        with pytest.raises(InvalidInputError, match=message):
            priority_frontier(asked)
        with pytest.raises(InvalidInputError, match=message):
            attainment_frontier(asked, Measure.LOAD)
