"""Explanations of plans on slices of cards agree with planning edited documents."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from data.plan_format import plan_to_document
from data.plan_reading import parse_plan
from data.stoker_format import document_to_fleet
from optimizer.configurations.slices import fewest_cards
from optimizer.explaining.confidence import ProfileError
from optimizer.explaining.edits import profile_key, with_scaled_targets
from optimizer.explaining.explain import ExplainOptions, explain_plan
from optimizer.planner import plan_fleet
from stoker.domain.accelerator import Slice
from stoker.domain.explanation import Explanation, ShadowMethod
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.plan import Plan
from stoker.domain.plan_change import PlanChange
from stoker.domain.profile import TokenWorkParameters
from stoker.domain.unplaced_explanation import Scope
from tests.support.configured_fleets import LOAD, TP1, Document, configured_document, profile
from tests.support.configured_fleets import server as server_document
from tests.support.explained import with_own_models

SMALL = {key: value for key, value in TP1.items() if key != "configuration"}
SEVENTHS = {"A100-2g": 2, "A100-3g": 3, "A100": 0}
PRICES = {"A100-2g": 0.5, "A100-3g": 0.7, "A100": 1.5}


def fleet_of(cards: int, *rates: float) -> Fleet:
    """Return servers of a model each, on slices of few cards or on whole ones."""
    accelerators: list[Document] = []
    profiles = []
    for name, sevenths in SEVENTHS.items():
        speed = 30.0 / (sevenths or 7)
        parameters = {"kind": "token-work", "alpha_ms": 8 + speed, "beta_ms": 0.1, "gamma_ms": 0}
        own = {**SMALL, "kv_tokens": 40_000, "max_batch": 16, "parameters": parameters}
        profiles.append(profile(own, name))
        accelerator: Document = {"name": name, "card_type": "A100", "cost_per_hour": PRICES[name]}
        accelerators.append(accelerator | ({"slice": {"sevenths": sevenths}} if sevenths else {}))
    servers = [
        server_document(f"s{index}", load={**LOAD, "arrival_rate_rps": rate})
        for index, rate in enumerate(rates)
    ]
    document = configured_document(profiles, *servers)
    document["accelerators"] = accelerators
    document["capacity"] = {"A100": cards}
    return with_own_models(document_to_fleet(document))


def written(plan: Plan) -> Plan:
    return parse_plan(plan_to_document(plan))


def served(plan: Plan) -> int:
    return sum(item.served for item in plan.services)


def agrees(change: PlanChange, before: Plan, after: Plan) -> None:
    assert sum(change.served_change.values()) == served(after) - served(before)
    assert change.value_change == pytest.approx(after.objective - before.objective, abs=1e-6)


Case = tuple[Fleet, Plan, Explanation]
CASES = ((2, 1, 1, 1), (1, 1, 1), (2, 1, 3, 6), (3, 3, 3, 1, 6), (9, 1, 6, 12))


@pytest.fixture(scope="module", params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    cards, *rates = request.param
    fleet = fleet_of(cards, *rates)
    plan = plan_fleet(fleet)
    return fleet, plan, explain_plan(fleet, written(plan))


def test_replicas_are_those_of_the_plan(case: Case) -> None:
    _, plan, explanation = case
    for item, told in zip(explanation.allocations, plan.allocations, strict=True):
        assert item.replicas == told.replicas
        own = [each for each in item.options if each.accelerator == item.accelerator]
        assert told.replicas in [each.replicas for each in own]


def test_a_card_more_is_the_plan_with_a_card_more(case: Case) -> None:
    fleet, plan, explanation = case
    (price,) = explanation.shadow_prices
    more = plan_fleet(replace(fleet, capacity=(Capacity("A100", fleet.capacity[0].count + 1),)))
    assert (price.used, price.of) == (plan.usage[0].used, "A100")
    agrees(price.change, plan, more)


def test_without_an_accelerator_is_the_plan_without_its_profile(case: Case) -> None:
    fleet, plan, explanation = case
    models = {server.name: server.model for server in fleet.servers}
    for item in explanation.allocations:
        for each in item.forbidden:
            profiles = tuple(
                one
                for one in fleet.profiles
                if (one.model, one.accelerator) != (models[item.server], each.accelerator)
            )
            again = plan_fleet(replace(fleet, profiles=profiles))
            agrees(each.change, plan, again)
            now = next((one for one in again.allocations if one.server == item.server), None)
            for part in each.own.parts:
                assert part.accelerator != each.accelerator
                if now is not None and now.accelerator == part.accelerator:
                    assert part.replicas == now.replicas


def cards_for(held: list[tuple[str, int, int]]) -> int:
    """Return the fewest cards for accelerators with replicas and, for whole cards, their number."""
    slices = Counter[Slice]()
    whole = 0
    for name, replicas, cards in held:
        if SEVENTHS[name]:
            slices[Slice(sevenths=SEVENTHS[name])] += replicas
        else:
            whole += cards
    return whole + fewest_cards(slices)


def test_a_candidate_fits_where_its_slices_do(case: Case) -> None:
    fleet, plan, explanation = case
    mixed = set()
    for item in explanation.allocations:
        others = [
            (one.accelerator, one.replicas, one.cards)
            for one in plan.allocations
            if one.server != item.server and one.accelerator is not None
        ]
        for option in item.options:
            assert option.accelerator is not None
            held = [*others, (option.accelerator, option.replicas, option.cards)]
            assert option.fits == (cards_for(held) <= fleet.capacity[0].count)
            mixed.add(option.fits)
    assert mixed


def test_the_nearest_targets_are_served_if_others_move() -> None:
    fleet = fleet_of(1, 2, 6)
    plan = plan_fleet(fleet)
    assert served(plan) == 1
    (left,) = explain_plan(fleet, written(plan)).unplaced
    index = [server.name for server in fleet.servers].index(left.server)
    assert {each.scope for each in left.reachable} <= {Scope.REPLANNED}
    assert left.reachable or left.loads or left.purchases
    for each in left.reachable:
        assert served(plan_fleet(with_scaled_targets(fleet, index, each.factor))) == 2
        assert served(plan_fleet(with_scaled_targets(fleet, index, each.factor / 1.02))) == 1
    for bought in left.purchases:
        for cards, count in ((bought.cards, 2), (bought.cards - 1, 1)):
            more = (Capacity("A100", fleet.capacity[0].count + cards),)
            assert served(plan_fleet(replace(fleet, capacity=more))) == count


def slowed(fleet: Fleet, factor: float) -> Fleet:
    """Return the fleet in which all times of token-work profiles are multiplied."""
    profiles = []
    for one in fleet.profiles:
        assert isinstance(one.parameters, TokenWorkParameters)
        times = (one.parameters.alpha_ms, one.parameters.beta_ms, one.parameters.gamma_ms)
        parameters = TokenWorkParameters(*(factor * time for time in times))
        profiles.append(replace(one, parameters=parameters))
    return replace(fleet, profiles=tuple(profiles))


@pytest.mark.parametrize("rates", [(1, 6, 12), (8, 8)])
def test_the_error_of_a_profile_is_the_plan_with_other_times(rates: tuple[float, ...]) -> None:
    fleet = fleet_of(9, *rates)
    plan = plan_fleet(fleet)
    errors = {profile_key(one): ProfileError(0.2, "asked for") for one in fleet.profiles}
    explanation = explain_plan(fleet, written(plan), options=ExplainOptions(errors=errors))
    slower, faster = slowed(fleet, 1.2), slowed(fleet, 0.8)
    assert explanation.regret is not None
    agrees(explanation.regret.slower, plan, plan_fleet(slower))
    agrees(explanation.regret.faster, plan, plan_fleet(faster))
    assert any(item.card_type != item.accelerator for item in plan.allocations)
    for item in explanation.allocations:
        off = item.replica_range
        assert off is not None
        for end, other in ((off.fewest, faster), (off.most, slower)):
            index = [server.name for server in fleet.servers].index(item.server)
            only = replace(
                other,
                servers=(other.servers[index],),
                capacity=(Capacity("A100", 500),),
                profiles=tuple(
                    one for one in other.profiles if one.accelerator == item.accelerator
                ),
            )
            alone = plan_fleet(only).allocations
            assert end == (alone[0].replicas if alone else None)


def test_what_is_not_known_of_slices_is_said() -> None:
    fleet = fleet_of(2, 1, 1, 1)
    plan = plan_fleet(fleet)
    options = ExplainOptions(shadow=ShadowMethod.LP)
    explanation = explain_plan(fleet, plan, options=options)
    assert explanation.shadow_prices == ()
    assert any("none are told here" in note for note in explanation.notes)
