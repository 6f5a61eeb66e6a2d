"""Servers of unknown load keep what runs for them."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.check import check_plan
from optimizer.planner import plan_fleet
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.errors import PlanCheckError
from stoker.domain.fleet import Fleet
from stoker.domain.reasons import UnplacedReason
from stoker.domain.server import Allocation
from stoker.domain.settings import OptimizerSettings, SaturationPolicy, SolverKind
from stoker.domain.workload import Load
from tests.support.small_fleets import fleets, make_fleet, make_server

GREEDY = OptimizerSettings(
    solver=SolverKind.GREEDY, saturation_policy=SaturationPolicy.PRIORITY_EXHAUSTIVE
)
MILP = OptimizerSettings(saturation_policy=SaturationPolicy.PRIORITY_EXHAUSTIVE)
UNLIMITED = OptimizerSettings(unlimited=True)
RUNNING = make_server("running", load=None, current=Allocation("Cheap", 3, max_batch=7))
OTHER = make_server("other", load=Load(1.0, 128, 256))


def by_name(fleet: Fleet, chosen: OptimizerSettings) -> dict[str, PlannedAllocation]:
    return {item.server: item for item in plan_fleet(fleet, chosen).allocations}


@pytest.mark.parametrize("chosen", [GREEDY, MILP, UNLIMITED])
def test_what_runs_is_listed_and_counted(chosen: OptimizerSettings) -> None:
    plan = plan_fleet(make_fleet(RUNNING, OTHER), chosen)
    kept, placed = plan.allocations
    assert (kept.server, kept.accelerator, kept.replicas, kept.max_batch) == (
        "running",
        "Cheap",
        3,
        7,
    )
    assert (kept.cards, kept.card_type, kept.cost_per_hour, kept.value) == (3, "C", 3.0, 0.0)
    assert not kept.fully_served
    assert (kept.ttft_ms, kept.itl_ms, kept.utilization, kept.blocking) == (None,) * 4
    assert kept.arrival_rate_rps != kept.arrival_rate_rps
    used = {item.card_type: item.used for item in plan.usage}
    assert used["C"] == 3 + (placed.cards if placed.card_type == "C" else 0)
    assert plan.cost_per_hour == pytest.approx(3.0 + placed.cost_per_hour)
    (item,) = plan.unplaced
    assert item.reason is UnplacedReason.LOAD_UNKNOWN
    assert item.detail == "kept as it is, with 3 replicas on Cheap: its load is unknown"
    assert "1 server is kept as it is: its load is unknown (running)" in plan.notes


@pytest.mark.parametrize("chosen", [GREEDY, MILP])
def test_nobody_is_given_its_cards(chosen: OptimizerSettings) -> None:
    alone = by_name(make_fleet(OTHER, cards={"C": 20}), chosen)["other"]
    fits = make_fleet(RUNNING, OTHER, cards={"C": 3 + alone.cards})
    assert by_name(fits, chosen)["other"].fully_served
    short = make_fleet(RUNNING, OTHER, cards={"C": 2 + alone.cards})
    shared = by_name(short, chosen)
    assert shared["running"].replicas == 3
    other = shared.get("other")
    assert other is None or (not other.fully_served and other.cards < alone.cards)


@pytest.mark.parametrize("chosen", [GREEDY, MILP])
def test_more_than_the_capacity_runs(chosen: OptimizerSettings) -> None:
    pinned = dataclasses.replace(OTHER, current=Allocation("Cheap", 1), keep_accelerator=True)
    plan = plan_fleet(make_fleet(RUNNING, pinned, cards={"C": 1}), chosen)
    assert [item.server for item in plan.allocations] == ["running"]
    assert "what is kept takes 3 cards of C, more than the 1 available" in plan.notes
    explained = next(item for item in plan.unplaced if item.server == "other")
    assert "of which 0 are free for it" in explained.detail
    # The cards that the remedy asks for are enough, those that are missing already included.
    missing = int(explained.remedy.split("add at least ")[1].split()[0])
    mended = plan_fleet(make_fleet(RUNNING, pinned, cards={"C": 1 + missing}), chosen)
    assert [item.server for item in mended.unplaced] == ["running"]


def test_nothing_that_runs_is_nothing_kept() -> None:
    for current in (None, Allocation(None, 0), Allocation("Cheap", 0)):
        fleet = make_fleet(make_server("s", load=None, current=current), OTHER)
        plan = plan_fleet(fleet, GREEDY)
        assert [item.server for item in plan.allocations] == ["other"]
        assert not any("kept" in note for note in plan.notes)


def test_an_accelerator_that_the_fleet_lacks_cannot_be_counted() -> None:
    fleet = make_fleet(make_server("s", load=None, current=Allocation("Gone", 2)), OTHER)
    plan = plan_fleet(fleet, GREEDY)
    assert [item.server for item in plan.allocations] == ["other"]
    assert any("what runs for s is not counted" in note and "Gone" in note for note in plan.notes)


def test_without_a_profile_a_replica_is_one_unit() -> None:
    fleet = make_fleet(
        make_server("s", model="unheard", load=None, current=Allocation("Big", 2)), OTHER
    )
    kept = by_name(fleet, GREEDY)["s"]
    assert (kept.cards, kept.cost_per_hour) == (4, 10.0)


def test_more_than_its_maximum_runs() -> None:
    server = dataclasses.replace(RUNNING, max_replicas=1)
    assert by_name(make_fleet(server), GREEDY)["running"].replicas == 3


@pytest.mark.parametrize("change", [{"replicas": 2}, {"accelerator": "Old"}, None])
def test_the_check_finds_what_was_not_kept(change: dict[str, object] | None) -> None:
    fleet = make_fleet(RUNNING, OTHER)
    plan = plan_fleet(fleet, GREEDY)
    kept, *rest = plan.allocations
    changed = [] if change is None else [dataclasses.replace(kept, **change)]  # type: ignore[arg-type]
    broken = dataclasses.replace(plan, allocations=(*changed, *rest))
    with pytest.raises(PlanCheckError, match="running is not kept as it is"):
        check_plan(fleet, broken, unlimited=False, own_predictions=True)


@settings(max_examples=30, deadline=None)
@given(fleet=fleets(), chosen=st.sampled_from([GREEDY, MILP]))
def test_every_plan_keeps_what_runs(fleet: Fleet, chosen: OptimizerSettings) -> None:
    allocations = by_name(fleet, chosen)
    for server in fleet.servers:
        if server.load is None and server.current and server.current.accelerator == "Cheap":
            kept = allocations[server.name]
            assert (kept.accelerator, kept.replicas) == ("Cheap", server.current.replicas)
