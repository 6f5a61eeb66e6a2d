"""A server moves for what pods can do there, not for a limit that may be written later."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.planning import Planned, plan_now
from stoker.domain.control.choices import Mode
from stoker.domain.control.cluster import CardStock, ClusterState, VariantState
from stoker.domain.control.settings import (
    ClusterSettings,
    ControlSettings,
    LoopSettings,
    StabilitySettings,
)
from stoker.domain.fleet import Fleet
from stoker.domain.settings import Analysis
from stoker.domain.workload import Load
from tests.controller.test_configurations import FAST, SLOW, chat, two_ways
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload
from tests.support.playing import changed

CARDS = {"H100": 200, "L4": 200}
SETTINGS = ControlSettings(
    loop=LoopSettings(mode=Mode.ACT),
    stability=StabilitySettings(
        scale_down_window_s=60.0, cooldown_down_s=0.0, cooldown_move_s=300.0
    ),
    cluster=ClusterSettings(allow_batch_limit=True),
)


def cheap_l4(fleet: Fleet) -> Fleet:
    return replace(
        fleet,
        accelerators=tuple(
            replace(each, cost_per_hour=0.2) if each.name == "L4" else each
            for each in fleet.accelerators
        ),
    )


def moves(fleet: Fleet, here: VariantState, there: VariantState) -> list[bool]:
    """Whether anything runs there, by cycle."""
    world = PlayedWorld(fleet, SETTINGS, [here, there], {"chat": lambda _: 250.0}, cards=CARDS)
    loop = world.loop()
    found = []
    for _ in range(40):
        loop.cycle()
        found.append(world.wanted(there.ref) > 0)
        world.advance(30.0)
    return found


BIG, SMALL = workload("chat", "H100", 9), workload("chat", "L4", 0)


def test_none_is_begun_to_be_taken_back() -> None:
    fleet = cheap_l4(controlled_fleet())
    assert all(moves(fleet, BIG, SMALL))
    assert not any(moves(fleet, BIG, replace(SMALL, max_batch=8)))


def test_nor_to_another_configuration() -> None:
    found = moves(two_ways(), chat(SLOW, 9), chat(FAST, 0))
    assert found == sorted(found)  # there, and not back
    assert found[-1]
    assert not any(moves(two_ways(), chat(SLOW, 9), replace(chat(FAST, 0), max_batch=2)))


def tight(max_batch: int = 256) -> Fleet:
    """A fleet in which a small batch limit carries more within the targets than a large one."""
    fleet = cheap_l4(controlled_fleet())
    return replace(
        fleet,
        settings=replace(fleet.settings, analysis=Analysis.FULL),
        profiles=tuple(
            replace(each, kv_tokens=400_000, max_batch=max_batch) for each in fleet.profiles
        ),
        service_classes=tuple(
            replace(
                each,
                targets=tuple(replace(one, ttft_ms=8000.0, itl_ms=7.5) for one in each.targets),
            )
            for each in fleet.service_classes
        ),
    )


def planned(
    fleet: Fleet, *variants: VariantState, writable: bool = False, accelerator: str = "H100"
) -> tuple[int, int]:
    """Replicas and batch limit of chat, on this accelerator."""
    stocks = {name: CardStock(name, 9000, 0, 0) for name in ("H100", "L4")}
    state = ClusterState(0.0, variants, stocks)
    names = frozenset({"chat"}) if writable else frozenset()
    load = {"chat": Load(200.0, 2000.0, 100.0)}
    found: Planned = plan_now(fleet, load, state, {}, 30.0, writable=names)
    assert found.plan is not None, found.failure
    (one,) = (each for each in found.plan.allocations if each.server == "chat")
    assert one.accelerator == accelerator
    return one.replicas, one.max_batch


TOLD = replace(BIG, max_batch=256)


def test_nothing_is_chosen_that_nobody_writes() -> None:
    auto = changed(tight(), choose_batch=True)
    some = changed(tight(), batch_limits=(4, 256))
    plain = planned(tight(), TOLD)
    for fleet in (auto, some):
        assert planned(fleet, TOLD) == plain
        fewer, limit = planned(fleet, TOLD, writable=True)
        assert fewer < plain[0]
        assert limit < 256
        assert planned(fleet, replace(TOLD, max_batch=None)) == (fewer, limit)


@pytest.mark.parametrize("choice", [{"choose_batch": True}, {"batch_limits": (4, 256)}])
@pytest.mark.parametrize(("price", "goes"), [(0.85, False), (0.5, True)])
def test_what_is_chosen_here_is_compared_with_what_pods_have_there(
    choice: dict[str, Any], price: float, goes: bool
) -> None:
    fleet = alike(changed(tight(), **choice), price)
    here = planned(fleet, TOLD, writable=True)
    there = planned(fleet, TOLD)
    assert (price * there[0] < here[0]) == goes  # by what would be chosen there it always went
    other = replace(SMALL, max_batch=256)
    found = planned(fleet, TOLD, other, writable=True, accelerator="L4" if goes else "H100")
    assert found == (there if goes else here)


def alike(fleet: Fleet, price: float) -> Fleet:
    """The fleet with L4 as good as H100, for a share of its price."""
    others = tuple(each for each in fleet.profiles if each.accelerator != "L4")
    cost = next(each.cost_per_hour for each in fleet.accelerators if each.name == "H100")
    return replace(
        fleet,
        accelerators=tuple(
            replace(each, cost_per_hour=price * cost) if each.name == "L4" else each
            for each in fleet.accelerators
        ),
        profiles=(
            *others,
            *(replace(each, accelerator="L4") for each in others if each.accelerator == "H100"),
        ),
    )
