"""Whole plans of small fleets: counts, sums, rules and mistakes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from optimizer.candidates import build_candidates
from optimizer.horizon.plan import plan_horizon
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.horizon import (
    CardTerms,
    HorizonPlan,
    HorizonTerms,
    HourlyDemand,
    ReservedTerms,
    SpotTerms,
)
from stoker.domain.plan import PlanStatus
from stoker.domain.settings import Analysis
from tests.support.naive_horizon import held, may_stop
from tests.support.small_fleets import LOAD, make_fleet, make_server

HOURS = 12
TERMS = HorizonTerms(
    default=CardTerms(ReservedTerms(0.6), SpotTerms(0.35, 0.05, 0.5)),
    start_up_hours=1,
    min_up_hours=3,
    confidence=0.99,
)


def fleet(**cards: int) -> Fleet:
    servers = (make_server("one"), make_server("two", service_class="bronze", min_replicas=1))
    return make_fleet(*servers, cards=cards or {"B": 400, "C": 400})


def demand(known: Fleet, scale: float = 1.0) -> HourlyDemand:
    return HourlyDemand(
        tuple(server.name for server in known.servers),
        tuple(
            tuple(
                replace(
                    LOAD,
                    arrival_rate_rps=scale
                    * max(0.0, 8.0 + 10.0 * math.sin(2 * math.pi * (hour + 3 * at) / HOURS)),
                )
                for hour in range(HOURS)
            )
            for at in range(len(known.servers))
        ),
    )


def faults(plan: HorizonPlan) -> list[str]:
    """Return what a plan breaks of its own rules, added up apart from what made it."""
    wrong = []
    firm = {item.card_type: [0] * plan.hours for item in plan.cards}
    spot = {item.card_type: [0] * plan.hours for item in plan.cards}
    for schedule in plan.schedules:
        for run in schedule.runs:
            if not may_stop(run.firm, plan.terms.min_up_hours):
                wrong.append(f"{schedule.server} stops too soon")
            if not may_stop(run.spot, plan.terms.min_up_hours):
                wrong.append(f"{schedule.server} stops spot too soon")
            for counts, begun, cards in (
                (run.firm, run.firm_starting, firm),
                (run.spot, run.spot_starting, spot),
            ):
                paid = held(counts, plan.terms.start_up_hours)
                if paid != [sum(pair) for pair in zip(counts, begun, strict=True)]:
                    wrong.append(f"{schedule.server}: starts are not paid")
                for hour, count in enumerate(paid):
                    cards[run.card_type][hour] += count * run.cards_per_replica
        for hour, told in enumerate(schedule.hours):
            if told.firm + told.counted_spot < told.needed:
                wrong.append(f"{schedule.server} is short in hour {hour}")
    for item in plan.cards:
        used = [a + b for a, b in zip(item.reserved_used, item.on_demand, strict=True)]
        if used != firm[item.card_type] or list(item.spot) != spot[item.card_type]:
            wrong.append(f"{item.card_type}: cards do not add up")
        if any(count > item.reserved for count in item.reserved_used):
            wrong.append(f"{item.card_type}: more committed cards are used than there are")
        if item.available is not None and any(
            a + b > most for a, b, most in zip(used, item.spot, item.available, strict=True)
        ):
            wrong.append(f"{item.card_type}: more cards than there are")
    total = sum(item.reserved_cost + item.on_demand_cost + item.spot_cost for item in plan.cards)
    if not math.isclose(total + plan.switch_cost, plan.cost, rel_tol=1e-12):
        wrong.append("costs do not add up")
    return wrong


@pytest.mark.parametrize("method", ["milp", "columns"])
@pytest.mark.parametrize("switch_cost", [None, 0.5])
def test_a_plan_keeps_its_rules(method: str, switch_cost: float | None) -> None:
    known = fleet()
    terms = replace(TERMS, switch_cost=switch_cost)
    plan = plan_horizon(
        known, demand(known), terms, analysis=Analysis.REFERENCE, method=method, gap=0.05
    )
    assert faults(plan) == []
    assert not plan.unscheduled
    assert plan.bound is not None
    assert plan.bound <= plan.cost
    assert plan.hour_by_hour_cost is not None
    assert plan.cost <= plan.hour_by_hour_cost
    assert plan.static_cost is not None
    assert plan.cost < plan.static_cost
    if switch_cost is None:
        assert all(schedule.switches == 0 for schedule in plan.schedules)


@pytest.mark.parametrize("analysis", Analysis)
def test_the_needs_are_those_of_planning_each_hour(analysis: Analysis) -> None:
    known = fleet()
    told = demand(known)
    plan = plan_horizon(known, told, HorizonTerms(), analysis=analysis, gap=0.0)
    for hour in range(0, HOURS, 4):
        servers = tuple(
            replace(server, load=loads[hour])
            for server, loads in zip(known.servers, told.loads, strict=True)
        )
        table = build_candidates(replace(known, servers=servers), analysis)
        for at, schedule in enumerate(plan.schedules):
            own = schedule.hours[hour]
            if own.accelerator is None:
                assert own.needed == 0
                continue
            rows = range(int(table.row_start[at]), int(table.row_start[at + 1]))
            needed = {
                table.accelerators[table.accelerator[row]]: table.replicas[row] for row in rows
            }
            assert own.needed == needed[own.accelerator]


def test_without_commitments_and_starts_every_hour_stands_alone() -> None:
    known = fleet()
    plan = plan_horizon(
        known, demand(known), HorizonTerms(switch_cost=0.0), analysis=Analysis.REFERENCE, gap=0.0
    )
    assert plan.cost == pytest.approx(plan.hour_by_hour_cost, rel=1e-9)
    assert plan.gap == pytest.approx(0.0, abs=1e-9)


def test_scarce_cards_go_by_priority() -> None:
    known = fleet(B=0, C=12)
    plan = plan_horizon(known, demand(known), TERMS, analysis=Analysis.REFERENCE)
    assert faults(plan) == []
    assert {item.server: item.reason for item in plan.unscheduled} == {"two": "capacity"}
    none = plan_horizon(fleet(B=0, C=1), demand(known), TERMS, analysis=Analysis.REFERENCE)
    assert none.status is PlanStatus.INFEASIBLE
    assert {item.server for item in none.unscheduled} >= {"one"}


def test_cards_by_hour_are_heeded() -> None:
    known = fleet()
    free = plan_horizon(known, demand(known), TERMS, analysis=Analysis.REFERENCE)
    (busiest,) = [item for item in free.cards if item.card_type == free.cards[0].card_type]
    used = [
        sum(kinds)
        for kinds in zip(busiest.reserved_used, busiest.on_demand, busiest.spot, strict=True)
    ]
    most = [max(0, count - 1) if hour == 5 else 400 for hour, count in enumerate(used)]
    limited = replace(TERMS.default, cards=tuple(most))
    terms = replace(TERMS, by_type={busiest.card_type: limited})
    plan = plan_horizon(known, demand(known), terms, analysis=Analysis.REFERENCE, gap=0.03)
    assert faults(plan) == []
    assert plan.bound is not None
    assert free.bound is not None
    assert plan.cost >= free.bound


def test_a_term_longer_than_the_horizon_is_paid_whole() -> None:
    known = fleet()
    year = replace(TERMS, default=CardTerms(ReservedTerms(0.6, term_hours=8760)))
    plan = plan_horizon(known, demand(known), year, analysis=Analysis.REFERENCE)
    assert plan.reserved_cost == 0.0


@pytest.mark.parametrize("start_up_hours", [HOURS - 1, HOURS, HOURS + 1, 3 * HOURS])
@pytest.mark.parametrize("saving", [False, True])
def test_a_start_may_take_longer_than_the_horizon(start_up_hours: int, saving: bool) -> None:
    known = fleet()
    default = TERMS.default if saving else CardTerms()
    terms = replace(TERMS, default=default, start_up_hours=start_up_hours)
    plan = plan_horizon(known, demand(known), terms, analysis=Analysis.REFERENCE, gap=0.05)
    assert plan.cost > 0
    if start_up_hours > HOURS and not saving:
        # Nothing that starts within the horizon is begun any earlier than its first hour.
        whole = replace(terms, start_up_hours=HOURS)
        again = plan_horizon(known, demand(known), whole, analysis=Analysis.REFERENCE, gap=0.05)
        assert plan.cost == pytest.approx(again.cost)


def test_mistakes_are_told_all_at_once() -> None:
    known = fleet()
    wrong = HorizonTerms(
        by_type={"X": CardTerms(ReservedTerms(1.5), SpotTerms(0.3, -1.0, 2.0), cards=(1, 2))},
        confidence=1.0,
        min_up_hours=0,
    )
    with pytest.raises(InvalidInputError) as error:
        plan_horizon(known, demand(known), wrong)
    assert [problem.path for problem in error.value.problems] == [
        "min_up_hours",
        "confidence",
        "card_types.X",
        "card_types.X.reserved.price_factor",
        "card_types.X.spot.interruptions_per_hour",
        "card_types.X.spot.most_share",
        "card_types.X.cards",
    ]
    part = demand(known)
    with pytest.raises(InvalidInputError, match="no demand is told"):
        plan_horizon(known, HourlyDemand(part.servers[:1], part.loads[:1]), HorizonTerms())
