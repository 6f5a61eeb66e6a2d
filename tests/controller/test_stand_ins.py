"""Names that a plan makes up: none that the documents have, and none that users see."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.batch import behind_the_others, classes_behind
from controller.names import unused_name
from controller.planning import Planned, plan_now
from stoker.domain.control.choices import ClassKind
from stoker.domain.control.cluster import CardStock, ClusterState
from stoker.domain.control.settings import ServerControl
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency
from stoker.domain.server import Server
from stoker.domain.slo import PercentileTarget, ServiceClass
from stoker.domain.workload import Load
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import workload

MODEL = "org/chat-8b"
CHAT = replace(workload("chat", "H100", 3), max_batch=7)
SEARCH = replace(workload("search", "H100", 3), max_batch=5)
BULK = {
    "search": ServerControl(
        "search", kind=ClassKind.BATCH, backlog_tokens=1e6, deadline=1_000_000.0
    )
}


def planned(fleet: Fleet, *names: str, cards: int = 2000) -> Planned:
    variants = (CHAT, SEARCH, *(workload(name, "H100", 3) for name in names))
    state = ClusterState(0.0, variants, {"H100": CardStock("H100", cards, 0, 0)})
    loads = {each.server: Load(200.0, 200.0, 100.0) for each in variants}
    return plan_now(fleet, loads, state, BULK, 30.0)


def with_other(model: str) -> Fleet:
    """The fleet with one more model, like that of chat and search, and a server of it."""
    fleet = controlled_fleet()
    more = tuple(replace(each, model=model) for each in fleet.profiles if each.model == MODEL)
    return replace(
        fleet,
        profiles=(*fleet.profiles, *more),
        service_classes=tuple(
            replace(each, targets=(*each.targets, replace(each.targets[0], model=model)))
            for each in fleet.service_classes
        ),
        servers=(*fleet.servers, Server("other", "bulk", model)),
    )


def test_a_model_may_be_named_like_one_that_stands_in_for_another() -> None:
    def limits(model: str) -> dict[str, tuple[str, int, int]]:
        plan = planned(with_other(model), "other").plan
        assert plan is not None
        return {
            each.server: (each.model, each.replicas, each.max_batch) for each in plan.allocations
        }

    found, plain = limits(f"{MODEL} (search)"), limits("another")
    assert found["other"][0] == f"{MODEL} (search)"
    assert {name: each[1:] for name, each in found.items()} == {
        name: each[1:] for name, each in plain.items()
    }
    assert found["search"] == plain["search"]
    assert found["search"][0] == MODEL


def test_a_class_may_be_named_like_one_that_stands_in_for_another() -> None:
    fleet = controlled_fleet()
    taken = ServiceClass("bulk (batch)", 2, fleet.service_classes[0].targets)
    fleet = replace(fleet, service_classes=(*fleet.service_classes, taken))
    behind = behind_the_others(fleet, BULK)
    names = [each.name for each in behind.service_classes]
    assert len(names) == len(set(names))
    classes = {each.name: each for each in behind.service_classes}
    assert classes["bulk (batch)"] == taken
    search = next(each for each in behind.servers if each.name == "search")
    assert classes_behind(fleet, BULK)[search.service_class] == "bulk"
    assert classes[search.service_class].priority > 5


def test_unused_names() -> None:
    assert unused_name("a", ()) == "a"
    assert unused_name("a", {"a", "a 2"}) == "a 3"


def test_plans_tell_the_names_of_the_documents() -> None:
    fleet = controlled_fleet()
    fleet = replace(
        fleet, profiles=tuple(replace(each, kv_tokens=400_000) for each in fleet.profiles)
    )
    plan = planned(fleet).plan
    assert plan is not None
    assert {(each.service_class, each.model) for each in plan.allocations} == {
        ("interactive", MODEL),
        ("bulk", MODEL),
    }
    (note,) = (each for each in plan.notes if "KV memory" in each)
    assert f"of {len(fleet.profiles)} profiles" in note
    assert note.count(f"{MODEL} on H100") == 1
    assert not any(word in note for word in ("(search)", "(batch)"))


@pytest.mark.parametrize("cards", [4, 2000])
def test_what_is_left_out_is_told_by_them(cards: int) -> None:
    fleet = controlled_fleet()
    unkept = tuple(
        replace(each, targets=tuple(one for one in each.targets if one.model != MODEL))
        if each.name == "bulk"
        else each
        for each in fleet.service_classes
    )
    plan = planned(replace(fleet, service_classes=unkept), cards=cards).plan
    assert plan is not None
    (one,) = (each for each in plan.unplaced if each.server == "search")
    assert f"give service class bulk a target for model {MODEL}" in one.remedy


def test_each_error_is_told_once_and_by_them() -> None:
    fleet = controlled_fleet()
    late = (PercentileTarget(Latency.TTFT, 95.0, 900.0),)
    fleet = replace(
        fleet,
        service_classes=tuple(
            replace(each, targets=tuple(replace(one, percentiles=late) for one in each.targets))
            for each in fleet.service_classes
        ),
    )
    lines = planned(fleet).failure.split("\n")
    assert len(lines) == len(set(lines)) == 4
    assert not any(word in line for line in lines for word in ("(search)", "(batch)"))
