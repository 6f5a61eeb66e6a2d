"""What runs and may not change: forbidden with its accelerator, and explained where it stays."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from data.plan_format import plan_to_document
from data.plan_reading import parse_plan
from optimizer.explaining.difference import compare_plans
from optimizer.explaining.difference_words import difference_words
from optimizer.explaining.explain import explain_alone, explain_plan
from optimizer.planner import plan_fleet
from stoker.cli.explanation_report import explanation_report
from stoker.cli.explanation_words import allocation_sentences
from stoker.cli.output import plain_text
from stoker.domain.explanation import ChoiceLimit, CountLimit
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Limits, Objective, ObjectiveName, Objectives
from stoker.domain.plan import Plan
from stoker.domain.server import Allocation
from tests.support.explained import REFERENCE, served, with_own_models, without_profile
from tests.support.small_fleets import LOAD, make_fleet, make_server

CHANGES = Objectives((Objective(ObjectiveName.CHANGES), Objective(ObjectiveName.COST)))
TWO_CHEAP = Allocation("Cheap", 2, cost_per_hour=2.0)


def running(**changes: object) -> Fleet:
    """Return two servers, the second of which asks for more than runs for it."""
    busy = make_server("b", load=replace(LOAD, arrival_rate_rps=30.0), current=TWO_CHEAP)
    fleet = make_fleet(make_server("a", current=TWO_CHEAP), busy)
    return with_own_models(replace(fleet, settings=REFERENCE, **changes))  # type: ignore[arg-type]


def written(plan: Plan) -> Plan:
    return parse_plan(plan_to_document(plan))


@pytest.mark.parametrize(
    "changes",
    [
        {"objectives": CHANGES},
        {"limits": Limits(max_changes=0)},
        {"limits": Limits(max_changes=1)},
        {"limits": Limits(max_changes=1), "objectives": CHANGES},
    ],
    ids=str,
)
def test_what_is_forbidden_may_not_stay_either(changes: dict[str, object]) -> None:
    fleet = running(**changes)
    plan = plan_fleet(fleet)
    told = 0
    for item in explain_plan(fleet, written(plan)).allocations:
        for found in item.forbidden:
            assert found.accelerator is not None
            assert found.accelerator not in {part.accelerator for part in found.own.parts}
            after = plan_fleet(without_profile(fleet, item.server, found.accelerator))
            gained = {
                key: count - served(plan)[key]
                for key, count in served(after).items()
                if count != served(plan)[key]
            }
            assert dict(found.change.served_change) == gained
            assert found.change.value_change == pytest.approx(
                after.objective - plan.objective, abs=1e-6
            )
            told += 1
    assert told


def test_a_plan_that_leaves_what_is_no_candidate_running_is_explained() -> None:
    slow = make_server(
        "b", max_replicas=2, current=TWO_CHEAP, load=replace(LOAD, arrival_rate_rps=90)
    )
    fleet = make_fleet(make_server("a"), slow)
    fleet = with_own_models(replace(fleet, settings=REFERENCE, objectives=CHANGES))
    plan = written(plan_fleet(fleet))
    (left,) = (item for item in plan.allocations if item.server == "b")
    assert math.isnan(left.arrival_rate_rps)
    explanation = explain_plan(fleet, plan)
    for told in (explanation, explain_alone(plan)):
        (item,) = (each for each in told.allocations if each.server == "b")
        assert (item.count_limit, item.load_headroom) == (CountLimit.RUNNING, None)
        assert "left as it runs" in next(allocation_sentences(item, "USD"))
        assert "best effort" not in plain_text(explanation_report(told, 200))
    assert {item.server for item in explanation.unplaced} == {"b"}
    # What it costs is no part of what any edit changes.
    for price in explanation.shadow_prices:
        assert (price.change.cost_change, price.change.value_change) == (0.0, 0.0)


def test_a_server_that_may_not_change_is_not_said_to_lack_cards() -> None:
    fleet = running(limits=Limits(max_changes=0))
    (item,) = (x for x in explain_plan(fleet, plan_fleet(fleet)).allocations if x.server == "b")
    assert not item.fully_served
    assert item.count_limit is CountLimit.RUNNING


def test_unknown_loads_are_told_as_unknown() -> None:
    known = replace(make_fleet(make_server("s", current=TWO_CHEAP)), settings=REFERENCE)
    unknown = replace(known, servers=(replace(known.servers[0], load=None),))
    text = "\n".join(
        difference_words(compare_plans(written(plan_fleet(unknown)), written(plan_fleet(known))))
    )
    assert "its load changed: unknown → 4 requests/s" in text
    assert "nan" not in text


def test_a_server_that_must_stay_is_not_said_to_have_no_other_accelerator() -> None:
    staying = make_server("s", keep_accelerator=True, current=TWO_CHEAP)
    fleet = replace(make_fleet(staying), settings=REFERENCE)
    (item,) = explain_plan(fleet, plan_fleet(fleet)).allocations
    assert (item.choice_limit, item.keep_accelerator) == (ChoiceLimit.ONLY_ONE, True)
    assert "it must stay on the accelerator" in "\n".join(allocation_sentences(item, "USD"))


def test_the_penalty_of_a_change_is_told_where_it_decides() -> None:
    dear = Allocation("Big", 1, cost_per_hour=5.0)
    rules = replace(make_fleet().rules, transition_penalty=50.0)
    fleet = replace(make_fleet(make_server("s", current=dear), rules=rules), settings=REFERENCE)
    (item,) = explain_plan(fleet, plan_fleet(fleet)).allocations
    assert min(option.cost_per_hour for option in item.options) < item.cost_per_hour
    text = "\n".join(allocation_sentences(item, "USD"))
    assert "no other candidate of it costs less, counting the change" in text
