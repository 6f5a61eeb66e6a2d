"""Plans and workloads are matched by accelerator and configuration, and by nothing less."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.case import Situation
from controller.decide import decide
from controller.load import MeasuredLoad
from controller.memory import Memory
from controller.planning import plan_now
from stoker.domain.control.changes import Direction, HoldReason
from stoker.domain.control.cluster import ClusterState, VariantState, WorkloadRef
from stoker.domain.fleet import Fleet
from stoker.domain.profile import TokenWorkParameters
from stoker.domain.workload import Load
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload
from tests.support.playing import SMALL, decision, go, needed, play, with_rules

RATE = 250.0
SLOW, FAST = "bf16", "fp8"


def two_ways() -> Fleet:
    """The fleet with a slow and a fast configuration of the model of chat and search on H100."""
    fleet = controlled_fleet()
    profiles = []
    for item in fleet.profiles:
        if (item.model, item.accelerator) == ("org/chat-8b", "H100"):
            profiles.append(replace(item, configuration=SLOW))
            quick = TokenWorkParameters(alpha_ms=3.0, beta_ms=0.01, gamma_ms=0.00002)
            profiles.append(replace(item, configuration=FAST, parameters=quick))
        else:
            profiles.append(item)
    return replace(fleet, profiles=tuple(profiles))


def chat(configuration: str, replicas: int, name: str = "") -> VariantState:
    ref = WorkloadRef("models", name or f"chat-{configuration}")
    return replace(workload("chat", "H100", replicas), ref=ref, configuration=configuration)


def after(*variants: VariantState, cycles: int = 8, rate: float = RATE) -> PlayedWorld:
    settings = with_rules(cooldown_move_s=0.0)
    world = play(*variants, rate=rate, fleet=two_ways(), settings=settings)
    go(world, cycles)
    return world


SLOW_NEED = needed(RATE)


def test_a_workload_is_not_sized_by_the_profile_of_another_configuration() -> None:
    slow = chat(SLOW, SLOW_NEED)
    world = after(slow)
    assert world.wanted(slow.ref) == SLOW_NEED


def test_it_grows_by_its_own_profile() -> None:
    slow = chat(SLOW, 1)
    assert after(slow).wanted(slow.ref) == SLOW_NEED


def test_another_configuration_on_the_same_accelerator_is_moved_to() -> None:
    slow, fast = chat(SLOW, SLOW_NEED), chat(FAST, 0)
    world = after(slow, fast, cycles=12)
    assert world.wanted(slow.ref) == 0
    assert 0 < world.wanted(fast.ref) < SLOW_NEED
    sizes = {
        each["replicas"]
        for record in world.records
        for each in record.document["servers"]["chat"]["decision"]["targets"]
        if each["workload"] == str(fast.ref)
    }
    assert max(sizes) == world.wanted(fast.ref)  # never as many as the slow ones were


def test_where_it_may_not_move_it_grows_where_it_is() -> None:
    slow, fast = chat(SLOW, 1), chat(FAST, 0)
    world = play(slow, fast, rate=RATE, fleet=two_ways())
    world.memory = world.memory.with_server(
        "chat", replace(world.memory.server("chat"), moved_at=world.time)
    )
    go(world, 2)
    assert (world.wanted(slow.ref), world.wanted(fast.ref)) == (SLOW_NEED, 0)


def test_servers_of_one_model_are_each_planned_with_their_own() -> None:
    slow = chat(SLOW, 1)
    search = replace(workload("search", "H100", 2), configuration=FAST)
    world = play(
        slow,
        search,
        rate=RATE,
        fleet=two_ways(),
        others={"search": 20.0},
        settings=with_rules(cooldown_move_s=0.0),
    )
    go(world, 8)
    assert (world.wanted(slow.ref), world.wanted(search.ref)) == (SLOW_NEED, 1)


def test_without_a_label_the_only_configuration_is_meant() -> None:
    fleet = controlled_fleet()
    named = tuple(replace(each, configuration="only") for each in fleet.profiles)
    plain = workload("chat", "H100", 1)
    world = play(plain, rate=RATE, fleet=replace(fleet, profiles=named))
    go(world)
    assert world.wanted(plain.ref) == SLOW_NEED


@pytest.mark.parametrize("label", ["", "int4"])
def test_one_that_cannot_be_told_is_held_and_says_why(label: str) -> None:
    running = chat(label, 6, "chat")
    world = after(running)
    assert world.wanted(running.ref) == 6
    told = decision(world)
    assert told["held"] == ["no_profile"]
    for words in ("Deployment models/chat", "stoker.dev/configuration", SLOW, FAST):
        assert words in told["reason"]


def test_one_that_cannot_be_told_and_does_not_run_is_in_nobodys_way() -> None:
    slow, other = chat(SLOW, 1), chat("int4", 0)
    world = after(slow, other)
    assert (world.wanted(slow.ref), world.wanted(other.ref)) == (SLOW_NEED, 0)


def test_two_workloads_that_run_the_same_are_left_alone() -> None:
    one, two = chat("", 2, "chat"), chat("", 1, "chat-v2")
    world = play(one, two, SMALL, rate=RATE, settings=with_rules(cooldown_move_s=0.0))
    go(world, 8)
    assert (world.wanted(one.ref), world.wanted(two.ref), world.wanted(SMALL.ref)) == (2, 1, 0)
    told = decision(world)
    for words in ("Deployment models/chat ", "Deployment models/chat-v2", "stoker.dev/managed"):
        assert words in told["reason"]
    assert told["held"] == ["no_workload"]
    (problem,) = world.records[-1].document["problems"]
    assert "chat-v2" in str(problem)


def test_what_both_run_is_kept_from_others() -> None:
    one, two = chat("", 2, "chat"), chat("", 2, "chat-v2")
    code = workload("code", "H100", 1)
    world = play(one, two, code, rate=2.0, others={"code": 500.0}, cards={"H100": 6, "L4": 0})
    go(world, 2)
    placed = world.records[-1].document["plan"]["allocations"]
    assert placed["chat"]["replicas"] == 4
    assert world.wanted(code.ref) <= 2


@pytest.mark.parametrize(
    ("accelerator", "configuration", "words"),
    [
        ("H100", FAST, "no workload of it runs H100 fp8: one with stoker.dev/configuration=fp8"),
        ("L4", "", "no workload of it runs L4"),
    ],
)
def test_a_plan_for_what_there_is_not_is_held_and_says_what_is_missing(
    accelerator: str, configuration: str, words: str
) -> None:
    settings, fleet = with_rules(cooldown_move_s=0.0), two_ways()
    state = ClusterState(0.0, (chat(SLOW, 4),), None)
    loads = {"chat": MeasuredLoad(Load(RATE, 200.0, 100.0))}
    plan = plan_now(fleet, {"chat": Load(RATE, 200.0, 100.0)}, state, {}, 30.0).plan
    assert plan is not None
    (placed,) = (each for each in plan.allocations if each.server == "chat")
    assert (placed.accelerator, placed.configuration) == ("H100", SLOW)
    other = replace(placed, accelerator=accelerator, configuration=configuration, replicas=1)
    asked = replace(plan, allocations=(other,))
    situation = Situation(0.0, fleet, asked, "", state, loads, {}, settings)
    decided = decide(situation, Memory())[0]["chat"]
    assert (decided.direction, decided.targets) == (Direction.HOLD, ())
    assert decided.held == (HoldReason.NO_WORKLOAD,)
    assert decided.reason.startswith(words)
