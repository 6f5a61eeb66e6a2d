"""What batch servers get of the leftover: on what they run, and with the limits of their pods."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stoker.domain.control.choices import ClassKind, ForecastMethod, Mode
from stoker.domain.control.cluster import VariantState
from stoker.domain.control.settings import (
    ClusterSettings,
    ControlSettings,
    ForecastSettings,
    LoopSettings,
    ServerControl,
    StabilitySettings,
)
from stoker.domain.fleet import Fleet
from stoker.domain.settings import SaturationPolicy
from tests.controller.test_configurations import FAST, SLOW, two_ways
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload
from tests.support.playing import changed

CHAT, SEARCH = workload("chat", "H100", 1), workload("search", "H100", 1)


def played(
    cards: int,
    *variants: VariantState,
    rate: float = 200.0,
    fleet: Fleet | None = None,
    allowed: bool = False,
    chat: VariantState = CHAT,
) -> PlayedWorld:
    """Some cycles of a batch server that needs this rate for an hour, on cards shared with chat."""
    work = ServerControl(
        "search",
        kind=ClassKind.BATCH,
        backlog_tokens=rate * 100.0 * 3600.0,
        deadline=1_000_000.0 + 3600.0,
    )
    settings = ControlSettings(
        loop=LoopSettings(mode=Mode.ACT, period_s=30.0),
        forecast=ForecastSettings(method=ForecastMethod.LAST, startup_s=60.0),
        stability=StabilitySettings(scale_down_window_s=60.0),
        cluster=ClusterSettings(allow_batch_limit=allowed),
        servers={"search": work},
    )
    world = PlayedWorld(
        fleet or controlled_fleet(),
        settings,
        [chat, *variants],
        {"chat": lambda _: 20.0, "search": lambda _: 200.0},
        cards={"H100": cards, "L4": 0},
    )
    loop = world.loop()
    for _ in range(6):
        loop.cycle()
        world.advance(30.0)
    return world


def lateness(world: PlayedWorld) -> str:
    found: str = next(
        each for each in world.records[-1].document["problems"] if each.startswith("batch search")
    )
    return found


@pytest.mark.parametrize("running", [1, 12])
@pytest.mark.parametrize("document", [{}, {"max_batch": 64}, {"batch_limits": (32, 64)}])
def test_it_takes_all_that_is_left_if_its_pods_need_it(
    running: int, document: dict[str, int]
) -> None:
    search = replace(SEARCH, replicas_wanted=running, max_batch=4)
    world = played(16, search, fleet=changed(controlled_fleet(), "search", **document))
    assert world.wanted(search.ref) == 16 - world.wanted(CHAT.ref)
    placed = world.records[-1].document["plan"]["allocations"]["search"]
    assert placed["max_batch"] == 4
    assert not placed["fully_served"]


def test_lateness_is_told_by_what_its_pods_carry() -> None:
    search = replace(SEARCH, replicas_wanted=12, max_batch=4)
    world = played(16, search)
    words = lateness(world)
    placed = world.records[-1].document["plan"]["allocations"]["search"]
    carried = placed["replicas"] * placed["max_rate_rps"]
    assert f"what the others leave carries {carried:.3g}" in words
    assert "all 16 cards of H100 would carry" in words
    assert "the deadline cannot be met" in words


def test_it_runs_on_what_it_has_a_workload_for() -> None:
    slow = replace(SEARCH, replicas_wanted=2, configuration=SLOW)
    chat = replace(CHAT, configuration=SLOW)
    world = played(4, slow, chat=chat, rate=600.0, fleet=two_ways())
    assert world.wanted(slow.ref) == 3
    assert world.records[-1].document["servers"]["search"]["decision"]["held"] == []
    only = played(4, SEARCH, rate=600.0)
    assert lateness(world) == lateness(only)  # nothing is told of the configuration it lacks


def test_half_a_service_is_no_reason_to_change_the_configuration() -> None:
    slow = replace(SEARCH, replicas_wanted=2, configuration=SLOW)
    fast = replace(SEARCH, replicas_wanted=0, configuration=FAST)
    fast = replace(fast, ref=replace(fast.ref, name="search-fp8"))
    world = played(4, slow, fast, rate=1500.0, fleet=two_ways())
    assert (world.wanted(slow.ref), world.wanted(fast.ref)) == (3, 0)


def test_it_is_named_as_in_the_documents() -> None:
    search = replace(SEARCH, replicas_wanted=2, max_batch=4)
    world = played(8, search, chat=replace(CHAT, max_batch=100))
    assert world.memory.plan is not None
    assert {each.model for each in world.memory.plan.allocations} == {"org/chat-8b"}


@pytest.mark.parametrize("policy", list(SaturationPolicy))
def test_what_the_plan_gives_it_in_part_is_not_taken_back(policy: SaturationPolicy) -> None:
    fleet = controlled_fleet()
    fleet = replace(fleet, settings=replace(fleet.settings, saturation_policy=policy))
    search = replace(SEARCH, replicas_wanted=12, max_batch=4)
    world = played(16, search, fleet=fleet)
    assert world.wanted(search.ref) == 16 - world.wanted(CHAT.ref)
    plan = world.memory.plan
    assert plan is not None
    used = {each.card_type: each.used for each in plan.usage}
    assert used["H100"] == sum(each.cards for each in plan.allocations) == 16
