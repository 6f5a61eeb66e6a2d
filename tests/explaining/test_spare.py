"""Replicas beyond what the load needs: how many, and which rule of the plan asks for them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from data.explanation_format import explanation_to_document
from data.plan_format import plan_to_document
from data.plan_reading import parse_plan
from data.stoker_format import document_to_fleet
from optimizer.explaining.explain import explain_alone, explain_plan
from optimizer.planner import plan_fleet
from stoker.cli.explanation_words import allocation_sentences
from stoker.domain.explanation import AllocationExplanation, CountLimit, SpareRule
from stoker.domain.plan import Plan

Document = dict[str, Any]
NODES = [{"count": 4, "cards": 2}]
POOLS = [
    {"name": "x", "card_type": "L40S", "cards": 8, "zone": "x", "nodes": NODES},
    {"name": "y", "card_type": "L40S", "cards": 8, "zone": "y", "price_factor": 2, "nodes": NODES},
]


def document(rate: float = 0.5, wishes: Document | None = None, **changes: object) -> Document:
    """Return one server on one type of card in a cheap pool and a dear one."""
    targets = {"model": "m", "ttft_ms": 1500, "itl_ms": 60}
    load = {"arrival_rate_rps": rate, "input_tokens": 600, "output_tokens": 200}
    found: Document = {
        "version": 1,
        "currency": "USD",
        "accelerators": [{"name": "L40S", "cost_per_hour": 1.0}],
        "pools": POOLS,
        "profiles": [
            {
                "model": "m",
                "accelerator": "L40S",
                "max_batch": 32,
                "at_tokens": 256,
                "parameters": {
                    "kind": "token-work",
                    "alpha_ms": 14,
                    "beta_ms": 0.05,
                    "gamma_ms": 1e-4,
                },
            }
        ],
        "service_classes": [{"name": "gold", "priority": 1, "targets": [targets]}],
        "servers": [
            {"name": "s", "service_class": "gold", "model": "m", "load": load} | (wishes or {})
        ],
    }
    return copy.deepcopy(found) | changes


def explained(found: Document) -> tuple[AllocationExplanation, Plan, str]:
    fleet = document_to_fleet(found)
    plan = plan_fleet(fleet)
    item = explain_plan(fleet, parse_plan(plan_to_document(plan))).allocations[0]
    return item, plan, next(allocation_sentences(item, "USD"))


@pytest.mark.parametrize(
    ("wishes", "limits", "rules", "words"),
    [
        ({}, {"headroom": {"survive": "replica"}}, [SpareRule.REPLICA_LOST], "loss of a replica"),
        ({}, {"headroom": {"survive": "node"}}, [SpareRule.NODE_LOST], "loss of a node"),
        ({}, {"headroom": {"survive": "zone"}}, [SpareRule.ZONE_LOST], "loss of a zone"),
        ({"spread_zones": 2}, {}, [SpareRule.ZONES], "several zones"),
        ({"max_zone_share": 0.5}, {}, [SpareRule.ZONE_SHARE], "share of them"),
        (
            {"spread_zones": 2},
            {"headroom": {"survive": "replica"}},
            [SpareRule.REPLICA_LOST, SpareRule.ZONES],
            "loss of a replica and they are to stand in several zones",
        ),
    ],
)
def test_the_rule_that_asks_is_named_and_without_it_nothing_is_spare(
    wishes: Document, limits: Document, rules: list[SpareRule], words: str
) -> None:
    item, plan, told = explained(document(wishes=wishes, limits=limits))
    spare = plan.allocations[0].spare_replicas
    assert spare == 1
    assert (item.count_limit, item.spare_replicas) == (CountLimit.SPARE, spare)
    assert item.spare_for == tuple(rules)
    assert told.startswith("1 replica is beyond what the load needs: ")
    assert words in told
    without, _, _ = explained(document(limits={"budget_per_hour": 99}))
    assert (without.count_limit, without.spare_for) == (CountLimit.LOAD, ())


def test_spot_cards_that_only_make_up_for_their_share_are_told() -> None:
    pools = [
        {"name": "x", "card_type": "L40S", "cards": 1, "zone": "x"},
        {
            "name": "spot",
            "card_type": "L40S",
            "cards": 8,
            "price_kind": "spot",
            "price_factor": 0.1,
        },
    ]
    item, plan, told = explained(
        document(wishes={"min_replicas": 1, "max_spot_share": 0.5}, pools=pools, limits={})
    )
    assert plan.allocations[0].spare_replicas == 0
    assert item.count_limit is not CountLimit.SPARE
    assert "spot" not in told


def test_what_runs_may_be_why_replicas_stay() -> None:
    now = {"accelerator": "L40S", "replicas": 3, "pools": {"x": 3}}
    item, plan, told = explained(document(wishes={"current": now}, limits={"max_changes": 0}))
    assert plan.allocations[0].replicas == 3
    assert plan.allocations[0].spare_replicas == item.spare_replicas == 2
    assert item.spare_for == (SpareRule.CURRENT,)
    assert told == (
        "2 replicas are beyond what the load needs: as many run now, and a change would count"
    )


def test_a_minimum_is_told_apart_from_what_is_spare_beyond_it() -> None:
    item, _, told = explained(document(wishes={"min_replicas": 3}, limits={"budget_per_hour": 99}))
    assert (item.count_limit, item.replicas) == (CountLimit.MINIMUM, 3)
    assert "minimum" in told
    both, plan, _ = explained(
        document(wishes={"min_replicas": 3}, limits={"headroom": {"survive": "replica"}})
    )
    assert plan.allocations[0].replicas == 4
    assert (both.count_limit, both.spare_replicas) == (CountLimit.SPARE, 1)
    assert both.spare_for == (SpareRule.REPLICA_LOST,)


def test_a_surge_that_takes_a_replica_more_is_told() -> None:
    plain, _, _ = explained(document(rate=8.0, limits={}))
    assert plain.count_limit is CountLimit.LOAD
    surge = {"headroom": {"surge": 2.0}}
    item, plan, told = explained(document(rate=8.0, limits=surge))
    assert plan.allocations[0].replicas > plain.replicas
    assert (item.count_limit, item.surge) == (CountLimit.SURGE, 2.0)
    assert "surge" in told
    assert "2 times the load" in told
    # One replica, which no load can do with less of, is not asked for by the surge.
    few, _, words = explained(document(rate=0.1, limits=surge))
    assert (few.replicas, few.count_limit) == (1, CountLimit.LOAD)
    assert "2 times over" in words


def test_those_who_share_replicas_are_told_alike_and_the_plan_alone_knows_no_rule() -> None:
    found = document(limits={"headroom": {"survive": "zone"}})
    found["servers"].append(found["servers"][0] | {"name": "t"})
    found["sharing"] = [{"name": "g", "servers": ["s", "t"]}]
    fleet = document_to_fleet(found)
    plan = plan_fleet(fleet)
    assert plan.allocations[0].shared_with == ("t",)
    explanation = explain_plan(fleet, plan)
    for item in explanation.allocations:
        assert (item.count_limit, item.spare_replicas) == (CountLimit.SPARE, 1)
        assert item.spare_for == (SpareRule.ZONE_LOST,)
    for item in explain_alone(plan).allocations:
        assert (item.count_limit, item.spare_for) == (CountLimit.SPARE, ())
        assert next(allocation_sentences(item, "USD")) == (
            "1 replica is beyond what the load needs"
        )
    told = explanation_to_document(explanation)["allocations"]
    assert isinstance(told, dict)
    assert (told["t"]["spare_replicas"], told["t"]["spare_for"]) == (1, ["survive: zone"])
