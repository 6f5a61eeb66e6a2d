"""Profiles where a server has no workload, or no card: they keep it from nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.planning import plan_now
from stoker.domain.accelerator import Accelerator
from stoker.domain.control.cluster import CardStock, ClusterState, VariantState
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.workload import Load
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import workload
from tests.support.playing import decision, go, play, with_rules

BIG, SMALL = workload("chat", "H100", 2), workload("chat", "L4", 0)
MORE = workload("chat", "A100", 0)


def with_a100() -> Fleet:
    """The fleet with an accelerator that is as good as H100 and costs next to nothing."""
    fleet = controlled_fleet()
    own = (each for each in fleet.profiles if each.accelerator == "H100")
    return replace(
        fleet,
        accelerators=(*fleet.accelerators, Accelerator("A100", "A100", 1, 0.1, 80.0)),
        profiles=(*fleet.profiles, *(replace(each, accelerator="A100") for each in own)),
    )


def planned(*variants: VariantState, cards: dict[str, int], held: str = "") -> Plan:
    """The plan for chat on two H100, with these cards besides; of one type others hold all now."""
    stocks = {
        name: CardStock(name, count, count if name == held else 0, 0)
        for name, count in cards.items()
    }
    stocks["H100"] = CardStock("H100", 2, 2, 0)
    state = ClusterState(0.0, (BIG, *variants), stocks)
    load = {"chat": Load(250.0, 200.0, 100.0)}
    found = plan_now(with_a100(), load, state, {}, 30.0)
    assert found.plan is not None, found.failure
    return found.plan


def test_an_overloaded_server_goes_where_it_has_one() -> None:
    world = play(
        BIG,
        SMALL,
        rate=250.0,
        fleet=with_a100(),
        cards={"H100": 2, "L4": 64, "A100": 64},
        settings=with_rules(cooldown_move_s=0.0),
    )
    go(world, 14)
    assert world.wanted(BIG.ref) == 0
    assert world.wanted(SMALL.ref) > 0
    assert decision(world)["held"] == []


def test_so_does_one_for_which_that_is_cheaper() -> None:
    fleet = with_a100()
    price = {"H100": 3.0, "L4": 0.2, "2xH100": 0.1, "A100": 0.1}
    fleet = replace(
        fleet,
        accelerators=tuple(
            replace(each, cost_per_hour=price[each.name]) for each in fleet.accelerators
        ),
    )
    world = play(
        replace(BIG, replicas_wanted=9),
        SMALL,
        rate=250.0,
        fleet=fleet,
        settings=with_rules(cooldown_move_s=0.0),
    )
    go(world, 12)
    assert world.wanted(BIG.ref) == 0
    assert world.wanted(SMALL.ref) > 0


@pytest.mark.parametrize(("held", "accelerator"), [("", "A100"), ("L4", "A100"), ("A100", "L4")])
def test_a_place_without_a_free_card_leaves_the_others(held: str, accelerator: str) -> None:
    plan = planned(SMALL, MORE, cards={"L4": 64, "A100": 64}, held=held)
    assert {each.accelerator for each in plan.allocations if each.server == "chat"} == {accelerator}


def test_what_is_left_out_tells_where_it_lacks_a_workload() -> None:
    plan = planned(SMALL, cards={"L4": 1, "A100": 64})
    (one,) = (each for each in plan.unplaced if each.server == "chat")
    assert one.detail.endswith("; no workload of it runs 2xH100 or A100")
