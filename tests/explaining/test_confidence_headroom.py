"""The range of replicas of plans with spare ones: what would be planned with other times."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optimizer.explaining.confidence import ProfileError
from optimizer.explaining.edits import profile_key, with_slower_profiles
from optimizer.explaining.explain import ExplainOptions, explain_plan
from optimizer.planner import plan_fleet
from stoker.domain.explanation import ReplicaRange
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.limits import Headroom, Limits, Survival
from stoker.domain.pools import Pool, PoolWishes
from stoker.domain.workload import Load
from tests.support.explained import REFERENCE
from tests.support.page_fleets import page_fleet
from tests.support.small_fleets import PROFILES, make_fleet, make_server

POOLS = (
    Pool("x", "B", 40, "r", "x"),
    Pool("y", "B", 40, "r", "y"),
    Pool("z", "B", 40, "r", "z"),
)
WISHES = {"s": PoolWishes(spread_zones=3)}


def headroom_fleet(rate: float, survive: Survival | None, wishes: bool = False) -> Fleet:
    """Return a fleet of one server on one accelerator in three zones."""
    load = Load(arrival_rate_rps=rate, input_tokens=128, output_tokens=256)
    fleet = make_fleet(make_server("s", load=load), profiles=(PROFILES[0],))
    return replace(
        fleet,
        capacity=(Capacity("B", 120),),
        pools=POOLS,
        limits=Limits(headroom=Headroom(survive=survive)),
        wishes=WISHES if wishes else {},
        settings=REFERENCE,
    )


def ranges(fleet: Fleet, error: float) -> dict[str, ReplicaRange]:
    errors = {profile_key(x): ProfileError(error, "asked for") for x in fleet.profiles}
    found = explain_plan(fleet, plan_fleet(fleet), options=ExplainOptions(errors=errors))
    return {
        item.server: item.replica_range
        for item in found.allocations
        if item.replica_range is not None
    }


def planned_with(fleet: Fleet, factor: float) -> dict[str, int]:
    """Return the replicas of a plan whose profiles take so many times as long."""
    factors = {profile_key(item): factor for item in fleet.profiles}
    return {
        item.server: item.replicas
        for item in plan_fleet(with_slower_profiles(fleet, factors)).allocations
    }


@pytest.mark.parametrize("survive", [None, Survival.REPLICA, Survival.ZONE, Survival.NODE])
@pytest.mark.parametrize(("rate", "error"), [(2.0, 0.3), (30.0, 0.1), (90.0, 0.3)])
def test_the_range_is_what_would_be_planned(
    survive: Survival | None, rate: float, error: float
) -> None:
    fleet = headroom_fleet(rate, survive)
    (plan,) = plan_fleet(fleet).allocations
    off = ranges(fleet, error)["s"]
    assert off.fewest == planned_with(fleet, 1 - error)["s"]
    assert off.most == planned_with(fleet, 1 + error)["s"]
    unit = plan.cost_per_hour / plan.replicas
    assert off.short_cost_per_hour == pytest.approx(unit * (off.most - plan.replicas))
    assert off.spare_cost_per_hour == pytest.approx(unit * (plan.replicas - off.fewest))


def test_spare_replicas_are_not_too_many() -> None:
    """Three zones are asked for, and one replica is needed: with any profile there are three."""
    fleet = headroom_fleet(2.0, None, wishes=True)
    off = ranges(fleet, 0.05)["s"]
    assert (off.fewest, off.most) == (3, 3)
    assert (off.short_cost_per_hour, off.spare_cost_per_hour) == (0.0, 0.0)


def test_common_replicas_have_their_spare_ones_too() -> None:
    fleet = page_fleet("pools.md")
    found = ranges(fleet, 0.02)
    assert {name: (item.fewest, item.most) for name, item in found.items()} == {
        "chat": (2, 2),
        "mail": (2, 2),
        "reports": (4, 4),
    }
    assert all(item.spare_cost_per_hour == 0.0 for item in found.values())
    assert all(item.short_cost_per_hour == 0.0 for item in found.values())
