"""What a server could have instead, over pools and under objectives, agrees with planning anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data.explanation_format import explanation_to_document
from optimizer.explaining.explain import explain_alone, explain_plan
from optimizer.planner import plan_fleet
from stoker.cli.explanation_report import explanation_report
from stoker.cli.explanation_words import allocation_sentences
from stoker.cli.output import plain_text
from stoker.domain.accelerator import PowerCurve
from stoker.domain.explanation import AllocationExplanation, ChoiceLimit, Explanation
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.limits import Headroom, Limits, Objective, ObjectiveName, Objectives, Survival
from stoker.domain.plan import Plan
from stoker.domain.pools import Pool, PoolWishes
from tests.support.explained import REFERENCE, served, with_own_models
from tests.support.small_fleets import BIG, CHEAP, LOAD, OLD, PROFILES, make_fleet, make_server

ENERGY = Objectives((Objective(ObjectiveName.ENERGY), Objective(ObjectiveName.COST)))
HOT, COLD = PowerCurve(300.0, 600.0, 700.0, 0.6), PowerCurve(20.0, 40.0, 50.0, 0.6)


def pooled(*pools: Pool, **changes: object) -> Fleet:
    """Return two servers over pools, each with a model of its own."""
    counts = {kind: sum(p.cards for p in pools if p.card_type == kind) for kind in ("B", "C")}
    fleet = make_fleet(make_server("a"), make_server("b", service_class="bronze"))
    fleet = replace(fleet, capacity=tuple(Capacity(k, n) for k, n in counts.items()), pools=pools)
    return with_own_models(replace(fleet, settings=REFERENCE, **changes))  # type: ignore[arg-type]


def explained(fleet: Fleet) -> tuple[Plan, Explanation]:
    plan = plan_fleet(fleet)
    return plan, explain_plan(fleet, plan)


def alone(fleet: Fleet, server: str, accelerator: str | None) -> Plan:
    """Return the plan of one server that has one accelerator to choose from."""
    own = next(item for item in fleet.servers if item.name == server)
    profiles = (x for x in fleet.profiles if (x.model, x.accelerator) == (own.model, accelerator))
    wishes = {name: wish for name, wish in fleet.wishes.items() if name == server}
    return plan_fleet(replace(fleet, servers=(own,), profiles=tuple(profiles), wishes=wishes))


FEW = (
    Pool("big", "B", 4, zone="x"),
    Pool("dear", "C", 20, zone="y", price_per_card_hour=6.0),
    Pool("near", "C", 2, zone="x", price_factor=0.5),
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"limits": Limits(headroom=Headroom(survive=Survival.ZONE))},
        {"limits": Limits(headroom=Headroom(survive=Survival.REPLICA))},
        {"wishes": {"a": PoolWishes(spread_zones=2), "b": PoolWishes(pools=("dear",))}},
    ],
    ids=str,
)
def test_candidates_cost_what_they_cost_in_their_pools(changes: dict[str, object]) -> None:
    fleet = pooled(*FEW, **changes)
    plan, explanation = explained(fleet)
    told = 0
    for item in explanation.allocations:
        best: dict[str | None, float] = {}
        for option in item.options:
            best.setdefault(option.accelerator, option.value)
            if option.value == best[option.accelerator]:
                by_itself = alone(fleet, item.server, option.accelerator)
                assert served(by_itself) == dict.fromkeys(served(by_itself), 1)
                assert option.value == pytest.approx(by_itself.objective, abs=1e-6)
                assert option.cost_per_hour == pytest.approx(by_itself.cost_per_hour, abs=1e-6)
                assert option.replicas == by_itself.allocations[0].replicas
                told += 1
        own = next(x for x in plan.allocations if x.server == item.server)
        cheaper = [name for name, value in best.items() if value < own.value - 1e-6]
        assert (item.preferred is None) == (set(cheaper) <= {own.accelerator})
    assert told


def test_a_candidate_that_is_dearer_in_its_pool_is_not_said_to_cost_less() -> None:
    fleet = pooled(
        Pool("big", "B", 8, price_factor=0.4), Pool("dear", "C", 20, price_per_card_hour=6.0)
    )
    _, explanation = explained(fleet)
    for item in explanation.allocations:
        assert item.accelerator == "Big"
        assert (item.choice_limit, item.preferred) == (ChoiceLimit.LEAST_VALUE, None)
        assert item.runner_up is not None
        assert item.runner_up.change.value_change > 0


def test_a_candidate_fits_where_the_others_leave_its_pools() -> None:
    fleet = pooled(Pool("big", "B", 4), Pool("c", "C", 3), wishes={"a": PoolWishes(pools=("big",))})
    plan, explanation = explained(fleet)
    taken = {item.server: item.cards for item in plan.allocations if item.card_type == "C"}
    b = next(item for item in explanation.allocations if item.server == "b")
    assert all(item.accelerator == "Big" for item in explanation.allocations[0].options)
    for option in b.options:
        if option.card_type == "C":
            assert option.fits == (option.cards <= 3 - taken.get("a", 0))


def test_a_pool_that_others_fill_has_no_room_left() -> None:
    fleet = pooled(Pool("big", "B", 2, price_factor=0.01), Pool("c", "C", 20))
    plan, explanation = explained(fleet)
    (full,) = (item.server for item in plan.allocations if item.accelerator == "Big")
    (other,) = (item for item in explanation.allocations if item.server != full)
    assert other.preferred is not None
    assert (other.preferred.accelerator, other.preferred.fits) == ("Big", False)
    assert "B cards are short" in said(other)


def hungry(big: int, cheap: int, objectives: Objectives) -> Fleet:
    """Return servers on cheap cards that take much power, and dear ones that take little."""
    fleet = make_fleet(
        make_server("a"),
        make_server("b"),
        cards={"B": big, "C": cheap},
        accelerators=(replace(BIG, power=COLD), replace(CHEAP, power=HOT), replace(OLD, power=HOT)),
        profiles=PROFILES[:2],
    )
    return with_own_models(replace(fleet, objectives=objectives, settings=REFERENCE))


def test_what_counts_before_money_is_told_with_one_more_card() -> None:
    fleet = hungry(3, 20, ENERGY)
    plan, explanation = explained(fleet)
    price = next(item for item in explanation.shadow_prices if item.of == "B")
    after = plan_fleet(hungry(4, 20, ENERGY))
    before_w, after_w = plan.objectives[0].value, after.objectives[0].value
    assert after_w < before_w
    assert after.objective > plan.objective
    energy, cost = price.change.objectives
    assert (energy.name, energy.unit, cost.name) == ("energy", "W", "cost")
    assert energy.change == pytest.approx(after_w - before_w)
    assert cost.change == pytest.approx(price.change.value_change)
    text = plain_text(explanation_report(explanation, 200))
    assert f"energy {energy.change:+,.4g} W, +" in text
    document = explanation_to_document(explanation)["shadow_prices"]
    assert isinstance(document, list)
    assert document[0]["plan"]["objectives"][0]["change"] == energy.change


def test_a_plan_for_energy_is_not_explained_by_what_others_save() -> None:
    _, explanation = explained(hungry(8, 20, ENERGY))
    for item in explanation.allocations:
        assert item.accelerator == "Big"
        assert item.preferred is not None
        assert item.preferred.fits
        assert (
            "the cards would be there, but limits, aims or places of the plan decide otherwise"
            in said(item)
        )


def test_the_runner_up_loses_least_of_what_counts_first() -> None:
    pools = (Pool("home", "C", 20), Pool("away", "C", 20, price_factor=0.2), Pool("big", "B", 8))
    wishes = {"a": PoolWishes(prefer_pools=("home",))}
    fleet = pooled(*pools, wishes=wishes)
    newer = tuple(item for item in fleet.profiles if item.accelerator != "Old")
    _, explanation = explained(replace(fleet, profiles=newer))
    a = next(item for item in explanation.allocations if item.server == "a")
    assert a.runner_up is not None
    assert [item.name for item in a.runner_up.change.objectives] == ["spill", "cost"]
    assert a.runner_up.change.objectives[0].change > 0
    assert "spill +" in said(a)


def test_nothing_of_objectives_is_told_where_cost_is_all_that_counts() -> None:
    fleet = replace(make_fleet(make_server("a")), settings=REFERENCE)
    _, explanation = explained(fleet)
    assert all(item.change.objectives == () for item in explanation.shadow_prices)


def test_cards_that_the_fleet_does_not_have_are_nobodys() -> None:
    fleet = replace(make_fleet(make_server("a"), cards={"B": 4, "C": 1}), settings=REFERENCE)
    _, explanation = explained(fleet)
    (item,) = explanation.allocations
    assert item.preferred is not None
    assert (item.preferred.fits, item.preferred.enough_cards) == (False, False)
    assert "more than there are" in said(item)
    assert "others" not in said(item)


def test_a_surge_is_told_with_the_loads_that_it_is_in() -> None:
    fleet = pooled(Pool("c", "C", 1), limits=Limits(headroom=Headroom(surge=1.5)))
    plan, explanation = explained(fleet)
    told = [item for item in explanation.unplaced if item.loads]
    assert told
    for item in told:
        load = item.loads[0]
        assert load.arrival_rate_rps == pytest.approx(load.share * 1.5 * LOAD.arrival_rate_rps)
    for each in (explanation, explain_alone(plan)):
        assert any("1.5 times its rate" in note for note in each.notes)


def said(item: AllocationExplanation) -> str:
    return "\n".join(allocation_sentences(item, "USD"))
