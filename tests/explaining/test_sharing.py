"""Explanations of fleets whose servers may share replicas agree with planning edited documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from data.explanation_format import explanation_to_document
from data.plan_format import plan_to_document
from data.plan_reading import parse_plan
from data.stoker_format import document_to_fleet
from optimizer.explaining.confidence import ProfileError
from optimizer.explaining.edits import (
    profile_key,
    with_scaled_load,
    with_scaled_targets,
    with_slower_profiles,
)
from optimizer.explaining.explain import ExplainOptions, explain_plan
from optimizer.planner import plan_fleet
from stoker.cli.explanation_words import allocation_sentences
from stoker.domain.errors import InvalidInputError
from stoker.domain.explanation import Explanation, Forbidden, ShadowMethod
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.plan import Plan
from stoker.domain.plan_change import PlanChange
from stoker.domain.profile import ModelProfile
from stoker.domain.server import Allocation
from stoker.domain.sharing import SharingGroup
from stoker.domain.unplaced_explanation import Scope

NAMES = ("chat", "mail", "reports")
LENGTHS = ((500, 200), (1200, 150), (2500, 300))
L40S = {"kind": "token-work", "alpha_ms": 14, "beta_ms": 0.05, "gamma_ms": 1e-4}
H100 = {"kind": "token-work", "alpha_ms": 6, "beta_ms": 0.02, "gamma_ms": 4e-5}


def fleet_of(
    rates: Sequence[float] = (1.2, 0.6, 2.4), cards: dict[str, int] | None = None
) -> Fleet:
    """Return three servers of one model that may share replicas of two accelerators."""
    counts = {"L40S": 64, "H100": 8} if cards is None else cards
    urgent = {"ttft_ms": {"p95": 1500}, "itl_ms": {"p95": 90}}
    late = {"ttft_ms": {"p95": 60000}, "itl_ms": {"p95": 120}}
    document = {
        "version": 1,
        "currency": "USD",
        "accelerators": [
            {"name": "L40S", "cost_per_hour": 1.4},
            {"name": "H100", "cost_per_hour": 4.4},
        ],
        "capacity": counts,
        "profiles": [
            {
                "model": "m",
                "accelerator": name,
                "max_batch": 16,
                "at_tokens": 512,
                "kv_tokens": 60000,
                "parameters": parameters,
            }
            for name, parameters in (("L40S", L40S), ("H100", H100))
        ],
        "service_classes": [
            {"name": "interactive", "priority": 1, "targets": [{"model": "m", **urgent}]},
            {"name": "batch", "priority": 2, "targets": [{"model": "m", **late}]},
        ],
        "servers": [
            {
                "name": name,
                "service_class": "batch" if name == "reports" else "interactive",
                "model": "m",
                "load": {
                    "arrival_rate_rps": rate,
                    "input_tokens": prompt,
                    "output_tokens": answer,
                    "input_tokens_cv": 0.7,
                    "output_tokens_cv": 0.7,
                },
            }
            for name, rate, (prompt, answer) in zip(NAMES, rates, LENGTHS, strict=True)
        ],
        "sharing": [{"name": "g", "servers": list(NAMES), "priorities": True}],
    }
    return document_to_fleet(document)


def sharing(fleet: Fleet, *servers: str) -> Fleet:
    """Return the fleet in which just these may share."""
    groups = (SharingGroup("g", servers, priorities=True),) if servers else ()
    return replace(fleet, sharing=groups)


def written(plan: Plan) -> Plan:
    """Return a plan as it is read from its file."""
    return parse_plan(plan_to_document(plan))


def served(plan: Plan) -> list[int]:
    return [item.served for item in plan.services]


def of_set(explanation: Explanation, server: str) -> Forbidden:
    (item,) = (item for item in explanation.allocations if item.server == server)
    (found,) = (each for each in item.forbidden if each.shared_with)
    return found


def agrees(change: PlanChange, before: Plan, after: Plan) -> None:
    """Check a change of a plan against the plan made from an edited fleet."""
    counts = zip(before.services, after.services, strict=True)
    moved = {a.priority: b.served - a.served for a, b in counts if a.served != b.served}
    assert change.served_change == moved
    assert change.value_change == pytest.approx(after.objective - before.objective, abs=1e-6)
    assert change.cost_change == pytest.approx(after.cost_per_hour - before.cost_per_hour, abs=1e-6)


@pytest.fixture(scope="module", params=[(1.2, 0.6, 2.4), (0.4, 0.3, 0.5)], ids=["busy", "small"])
def case(request: pytest.FixtureRequest) -> tuple[Fleet, Plan, Explanation]:
    fleet = fleet_of(request.param)
    plan = plan_fleet(fleet)
    return fleet, plan, explain_plan(fleet, written(plan))


def test_apart_costs_what_the_best_other_document_does(
    case: tuple[Fleet, Plan, Explanation],
) -> None:
    fleet, plan, explanation = case
    shared = [item for item in plan.allocations if item.shared_with]
    members = {shared[0].server, *shared[0].shared_with}
    assert members == set(NAMES)
    # Without the set of all three a plan has a pair at most, or everybody is alone.
    pairs = [(a, b) for index, a in enumerate(NAMES) for b in NAMES[index + 1 :]]
    edited = [plan_fleet(sharing(fleet, *pair)) for pair in (*pairs, ())]
    best = min(edited, key=lambda one: ([-n for n in served(one)], one.objective))
    for server in members:
        found = of_set(explanation, server)
        assert set(found.shared_with) == members - {server}
        agrees(found.change, plan, best)
        assert found.own_cost_change is None
    assert of_set(explanation, "chat").change.value_change > 0


def test_without_an_accelerator_is_the_plan_without_its_profile() -> None:
    fleet = fleet_of((0.4, 0.3, 0.5))
    plan = plan_fleet(fleet)
    explanation = explain_plan(fleet, plan)
    accelerator = plan.allocations[0].accelerator
    other = "H100" if accelerator == "L40S" else "L40S"
    for index in range(len(NAMES)):
        # In a document a server is kept off an accelerator by being pinned to the other one.
        pinned = replace(fleet.servers[index], keep_accelerator=True, current=Allocation(other, 1))
        servers = list(fleet.servers)
        servers[index] = pinned
        rules = replace(fleet.rules, transition_penalty=0.0)
        again = plan_fleet(replace(fleet, servers=tuple(servers), rules=rules))
        item = explanation.allocations[index]
        (found,) = (each for each in item.forbidden if each.accelerator == accelerator)
        assert found.change.cost_change == pytest.approx(again.cost_per_hour - plan.cost_per_hour)
        assert not found.change.served_change


def test_a_card_is_worth_what_the_fleet_with_one_more_costs_less() -> None:
    fleet = fleet_of(cards={"L40S": 1, "H100": 0})
    plan = plan_fleet(fleet)
    assert served(plan) != [2, 1]
    explanation = explain_plan(fleet, written(plan))
    assert {price.of for price in explanation.shadow_prices} == {"L40S", "H100"}
    changed = False
    for price in explanation.shadow_prices:
        capacity = tuple(
            Capacity(item.card_type, item.count + (item.card_type == price.of))
            for item in fleet.capacity
        )
        more = plan_fleet(replace(fleet, capacity=capacity))
        agrees(price.change, plan, more)
        changed = changed or served(more) != served(plan)
    assert changed


def test_what_would_serve_a_server_is_a_plan_with_it() -> None:
    fleet = fleet_of(cards={"L40S": 1, "H100": 0})
    plan = plan_fleet(fleet)
    explanation = explain_plan(fleet, written(plan))
    served_now = {item.server for item in plan.allocations if item.fully_served}
    assert explanation.unplaced
    shared = 0
    for item in explanation.unplaced:
        index = NAMES.index(item.server)
        wanted = served_now | {item.server}
        assert item.loads

        def everybody(edited: Fleet, wanted: set[str] = wanted) -> bool:
            kept = tuple(one for one in edited.servers if one.name in wanted)
            found = plan_fleet(replace(edited, servers=kept)).allocations
            return {one.server for one in found if one.fully_served} == wanted

        for near in item.reachable:
            if near.scope is Scope.REPLANNED:
                assert everybody(with_scaled_targets(fleet, index, near.factor))
                assert not everybody(with_scaled_targets(fleet, index, near.factor / 1.01))
                shared += bool(near.own.shared_with)
        for load in item.loads:
            if load.scope is Scope.REPLANNED:
                assert everybody(with_scaled_load(fleet, index, load.share))
                assert not everybody(with_scaled_load(fleet, index, load.share * 1.01))
                shared += bool(load.own.shared_with)
        for bought in item.purchases:
            for less in (0, 1):
                counts = {one.card_type: one.count for one in fleet.capacity}
                counts[bought.card_type] += bought.cards - less
                cards = tuple(Capacity(name, count) for name, count in counts.items())
                assert everybody(replace(fleet, capacity=cards)) == (less == 0)
    assert shared


@pytest.mark.parametrize("error", [0.3])
def test_the_error_of_a_profile_is_the_plan_with_other_times(
    case: tuple[Fleet, Plan, Explanation], error: float
) -> None:
    fleet, plan, _ = case
    errors = {profile_key(item): ProfileError(error, "asked for") for item in fleet.profiles}
    explanation = explain_plan(fleet, written(plan), options=ExplainOptions(errors=errors))
    slower, faster = (
        with_slower_profiles(fleet, {profile_key(item): factor for item in fleet.profiles})
        for factor in (1 + error, 1 - error)
    )
    assert explanation.regret is not None
    assert explanation.regret.profiles == 1
    agrees(explanation.regret.slower, plan, plan_fleet(slower))
    agrees(explanation.regret.faster, plan, plan_fleet(faster))
    missed = set()
    for item in explanation.allocations:
        off = item.replica_range
        assert off is not None
        assert off.most is not None
        assert off.fewest is not None
        assert off.fewest <= item.replicas <= off.most
        # As many replicas as planned, all times longer: what the plan of these replicas would tell.
        assert bool(off.missed) <= (off.most > item.replicas)
        if off.missed:
            missed.add(item.server)
        for end, other in ((off.fewest, faster), (off.most, slower)):
            again = plan_fleet(replace(other, profiles=just(other, item.accelerator)))
            together = [one for one in again.allocations if len(one.shared_with) == 2]
            assert not together or together[0].replicas == end
    assert set(explanation.regret.missed) == missed
    assert "profile off by" in " ".join(allocation_sentences(explanation.allocations[1], "USD"))


def just(fleet: Fleet, accelerator: str | None) -> tuple[ModelProfile, ...]:
    """Return the profiles on one accelerator."""
    return tuple(item for item in fleet.profiles if item.accelerator == accelerator)


def test_each_server_has_its_own_margins(case: tuple[Fleet, Plan, Explanation]) -> None:
    _, plan, explanation = case
    for item, told in zip(explanation.allocations, plan.allocations, strict=True):
        assert item.shared_with == told.shared_with
        assert item.binding == told.binding is not None
        assert item.load_headroom is not None
        assert item.load_headroom >= 0
        margins = {margin.statistic: margin for margin in item.margins}
        assert set(margins) == {"ttft_ms.p95", "itl_ms.p95"}
        assert all(margin.margin_ms is not None for margin in item.margins)
        assert (item.choice_limit, item.preferred) == (None, None)
    first, _, last = (item.margins[0].predicted_ms for item in explanation.allocations)
    assert first is not None
    assert last is not None
    assert first < last


def test_it_is_told_in_words_and_in_documents(case: tuple[Fleet, Plan, Explanation]) -> None:
    _, _, explanation = case
    lines = list(allocation_sentences(explanation.allocations[1], "USD"))
    assert "shared with chat, reports" in lines
    assert any(line.startswith("without sharing in this set (chat, reports): ") for line in lines)
    document = explanation_to_document(explanation)["allocations"]
    assert isinstance(document, dict)
    assert document["mail"]["shared_with"] == ["chat", "reports"]
    apart = document["mail"]["forbidden"][0]
    assert (apart["without"], apart["without_sharing_with"]) == (None, ["chat", "reports"])


def test_a_plan_of_another_fleet_is_refused() -> None:
    fleet = fleet_of((0.4, 0.3, 0.5))
    plan = plan_fleet(fleet)
    accelerators = tuple(
        replace(item, cost_per_hour=2 * item.cost_per_hour) for item in fleet.accelerators
    )
    with pytest.raises(InvalidInputError, match="no such set"):
        explain_plan(replace(fleet, accelerators=accelerators), plan)
    with pytest.raises(InvalidInputError, match="in no group"):
        explain_plan(sharing(fleet, "chat", "mail"), plan)


def test_without_time_what_is_open_is_said_to_be() -> None:
    fleet = fleet_of((0.4, 0.3, 0.5))
    plan = plan_fleet(fleet)
    options = ExplainOptions(time_limit_s=0.0, shadow=ShadowMethod.LP)
    explanation = explain_plan(fleet, plan, options=options)
    assert explanation.shadow_prices == ()
    assert all(item.forbidden == () for item in explanation.allocations)
    assert any("left open" in note for note in explanation.notes)
