"""Explanations of servers with several configurations, batch limits and ways of serving."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from data.explanation_format import explanation_to_document
from data.plan_format import plan_to_document
from data.plan_reading import parse_plan
from optimizer.explaining.difference import compare_plans
from optimizer.explaining.explain import explain_plan
from optimizer.planner import plan_fleet
from stoker.cli.difference_report import allocation_words, difference_report
from stoker.cli.explanation_report import explanation_report
from stoker.cli.output import plain_text
from stoker.domain.plan_difference import CauseKind, ServerChange
from tests.support.configured_fleets import FP8, LOAD, TP1, TP2, configured_fleet, profile, server
from tests.support.explained import served, without_profile

PROFILES = [profile(TP1), profile(TP2), profile(FP8), profile(TP1, "A100"), profile(TP2, "A100")]


@pytest.mark.parametrize("cards", [(1000, 1000), (6, 9), (3, 8)])
def test_to_forbid_an_accelerator_forbids_all_its_configurations(cards: tuple[int, int]) -> None:
    fleet = configured_fleet(
        PROFILES,
        server("a", max_batch=[8, 32]),
        server("b", load={**LOAD, "arrival_rate_rps": 9}, service_class="d"),
        capacity={"H100": cards[0], "A100": cards[1]},
    )
    other = replace(fleet.servers[1], model="other")
    fleet = replace(
        fleet,
        servers=(fleet.servers[0], other),
        profiles=(*fleet.profiles, *(replace(x, model="other") for x in fleet.profiles)),
        service_classes=tuple(
            replace(x, targets=(*x.targets, *(replace(y, model="other") for y in x.targets)))
            for x in fleet.service_classes
        ),
    )
    plan = plan_fleet(fleet)
    told = 0
    for item in explain_plan(fleet, plan).allocations:
        if item.runner_up is None or item.accelerator is None:
            continue
        assert len(item.options) >= 2
        assert {x.configuration for x in item.options} <= {"tp1", "tp2", "fp8"}
        assert item.runner_up.own.parts == () or (
            item.runner_up.own.parts[0].accelerator != item.accelerator
        )
        after = plan_fleet(without_profile(fleet, item.server, item.accelerator))
        change = item.runner_up.change
        for priority, count in served(after).items():
            assert count - served(plan)[priority] == change.served_change.get(priority, 0)
        assert change.value_change == pytest.approx(
            after.objective - plan.objective, rel=1e-6, abs=1e-6
        )
        told += 1
    assert told


def test_two_pools_are_found_again_in_a_written_plan() -> None:
    apart = {**TP1, "disaggregated": {}}
    fleet = configured_fleet([profile(apart)], server("a", serving=["disaggregated"]))
    plan = plan_fleet(fleet)
    (allocation,) = plan.allocations
    assert allocation.pools
    document = json.loads(json.dumps(plan_to_document(plan)))
    again = parse_plan(document)
    assert plan_to_document(again) == document
    (item,) = explain_plan(fleet, again).allocations
    assert item.replicas == sum(pool.replicas for pool in allocation.pools)
    (option, *_) = (x for x in item.options if x.replicas == item.replicas)
    assert option.prefill_replicas == allocation.pools[0].replicas
    assert item.runner_up is not None
    assert item.runner_up.change.served_change == {1: -1}


def test_words_name_configurations_and_a_change_of_one_is_a_move() -> None:
    fleets = [configured_fleet([profile(x)], server("a")) for x in (TP1, TP2)]
    before, after = (plan_fleet(fleet) for fleet in fleets)
    (item,) = compare_plans(before, after).servers
    assert item.change is ServerChange.MOVED
    # What a replica of two cards costs and carries is no change of a replica of one.
    # It is the only server: no others changed, and a plan does not tell of profiles.
    assert [cause.kind for cause in item.causes] == [CauseKind.UNTOLD]
    words = plain_text(difference_report(compare_plans(before, after)), 100)
    count, other = (plan.allocations[0].replicas for plan in (before, after))
    assert f"moved from {count} × H100 (tp1) to {other} × H100 (tp2)" in words
    told = explain_plan(fleets[1], after)
    assert f"a: {other} × H100 (tp2)" in plain_text(explanation_report(told, 100), 100)
    document: Any = explanation_to_document(told)
    assert document["allocations"]["a"]["configuration"] == "tp2"


def test_words_tell_replicas_for_prefill() -> None:
    way = {**TP1, "disaggregated": {}}
    fleet = configured_fleet([profile(way)], server("a", serving=["disaggregated"]))
    (item,) = plan_fleet(fleet).allocations
    assert item.prefill_replicas == item.pools[0].replicas
    assert allocation_words(item) == (
        f"{item.replicas} × H100 (tp1), {item.prefill_replicas} of them for prefill"
    )
