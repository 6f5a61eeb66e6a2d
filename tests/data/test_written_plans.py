"""Plans read back: all that a document tells of pools, limits and configurations."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.plan_format import plan_to_document
from data.plan_reading import parse_plan, read_plan
from optimizer.planner import plan_fleet
from stoker.domain.accelerator import PowerCurve
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Headroom, Limits, Objective, ObjectiveName, Objectives, Survival
from stoker.domain.plan import Plan
from stoker.domain.pools import Pool, PoolWishes, PriceKind, QuotaGroup
from stoker.domain.server import Allocation
from stoker.domain.settings import Analysis, OptimizerSettings
from tests.support.configured_fleets import TP1, TP2, configured_fleet, profile, server
from tests.support.small_fleets import BIG, CHEAP, OLD, fleets, make_fleet, make_server

CURVE = PowerCurve(100.0, 250.0, 300.0, 0.6)
POOLS = (
    Pool("b-x", "B", 8, "r", "x", node_cards=(4, 4)),
    Pool("c-x", "C", 20, "r", "x", "one", PriceKind.RESERVED, 0.5),
    Pool("c-z", "C", 20, "r", "z", None, PriceKind.SPOT, 0.3, interruptions_per_hour=0.1),
)


@st.composite
def pooled_fleets(draw: st.DrawFn) -> Fleet:
    fleet = draw(fleets(most_servers=3))
    wishes = {item.name: PoolWishes(spread_zones=draw(st.integers(1, 2))) for item in fleet.servers}
    powered = tuple(replace(item, power=CURVE) for item in (BIG, CHEAP, OLD))
    return replace(
        fleet,
        accelerators=draw(st.sampled_from([powered, (BIG, CHEAP, OLD)])),
        capacity=(),
        pools=tuple(replace(pool, quota_group="q") for pool in POOLS),
        quotas=(QuotaGroup("q", draw(st.sampled_from([6, 40]))),),
        wishes=wishes,
        limits=Limits(
            budget_per_hour=draw(st.sampled_from([None, 5.0, 20.0])),
            max_replicas=draw(st.sampled_from([None, 3])),
            max_changes=draw(st.sampled_from([None, 2])),
            headroom=Headroom(draw(st.sampled_from([1.0, 1.25])), draw(st.sampled_from(HEADROOM))),
        ),
        objectives=Objectives(tuple(Objective(name) for name in draw(st.sampled_from(ORDERS)))),
        settings=OptimizerSettings(analysis=Analysis.REFERENCE),
    )


HEADROOM = (None, Survival.REPLICA)
ORDERS = ((ObjectiveName.COST,), (ObjectiveName.CHANGES, ObjectiveName.COST))


def written(plan: Plan) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(plan_to_document(plan), allow_nan=False))
    return document


def rounded(items: tuple[Any, ...]) -> list[Any]:
    """Return parts of a plan with figures as documents have them, of twelve digits."""
    return [
        {
            name: pytest.approx(value, rel=1e-11) if isinstance(value, float) else value
            for name, value in asdict(item).items()
        }
        for item in items
    ]


@given(fleet=pooled_fleets())
@settings(max_examples=15, deadline=None)
def test_plans_over_pools_survive_the_file(fleet: Fleet) -> None:
    plan = plan_fleet(fleet)
    document = written(plan)
    again = parse_plan(document)
    assert written(again) == document
    assert again.surge == plan.surge
    assert [(x.name, x.limit, x.unit) for x in again.limits] == [
        (x.name, x.limit, x.unit) for x in plan.limits
    ]
    assert [(x.name, x.unit) for x in again.objectives] == [
        (x.name, x.unit) for x in plan.objectives
    ]
    assert rounded(plan.pools) == [asdict(item) for item in again.pools]
    for old, new in zip(plan.allocations, again.allocations, strict=True):
        assert rounded(old.placements) == [asdict(item) for item in new.placements]
        assert old.spare_replicas == new.spare_replicas


def test_power_limits_and_objectives_are_read() -> None:
    fleet = replace(
        make_fleet(make_server("a"), accelerators=(replace(CHEAP, power=CURVE),)),
        capacity=(),
        pools=(Pool("c", "C", 20),),
        limits=Limits(budget_per_hour=20.0, power_w=9000.0),
        objectives=Objectives((Objective(ObjectiveName.ENERGY),)),
    )
    plan = plan_fleet(fleet, OptimizerSettings(analysis=Analysis.REFERENCE))
    again = parse_plan(written(plan))
    (item,) = again.allocations
    assert item.placements[0].pool == "c"
    assert item.power_w is not None
    assert item.idle_power_w is not None
    assert item.power_w > item.idle_power_w > 0
    assert [(x.name, x.unit) for x in again.limits] == [("budget_per_hour", ""), ("power_w", "W")]
    assert again.objectives[0].name == "energy"
    assert again.pools[0].used == item.cards


def test_configurations_survive_the_file() -> None:
    way = {**TP2, "disaggregated": {}}
    served = server("a", serving=["disaggregated"])
    for fleet in (
        configured_fleet([profile(TP1), profile(TP2)], server("a", max_batch=[32])),
        configured_fleet([profile(way)], served),
    ):
        plan = plan_fleet(fleet)
        document = written(plan)
        (old,), (new,) = plan.allocations, parse_plan(document).allocations
        assert written(parse_plan(document)) == document
        told = ("configuration", "parallel", "serving", "sliced", "replicas", "cards")
        assert [getattr(old, name) for name in told] == [getattr(new, name) for name in told]
        assert rounded(old.pools) == [asdict(item) for item in new.pools]


@pytest.mark.parametrize(
    ("place", "wrong", "words"),
    [
        (("pools", "c", "price_kind"), "free", "pools.c.price_kind"),
        (("allocations", "a", "placements", 0, "price_kind"), "free", "placements[0].price_kind"),
        (("allocations", "a", "placements", 0, "replicas"), -1, "placements[0].replicas"),
        (("limits", "budget_per_hour", "used"), "much", "limits.budget_per_hour.used"),
        (("surge",), 0, "surge"),
    ],
)
def test_what_is_wrong_is_named(place: tuple[str | int, ...], wrong: object, words: str) -> None:
    fleet = replace(
        make_fleet(make_server("a", current=Allocation("Cheap", 1))),
        capacity=(),
        pools=(Pool("c", "C", 20), Pool("b", "B", 8)),
        limits=Limits(budget_per_hour=20.0),
    )
    document = written(plan_fleet(fleet, OptimizerSettings(analysis=Analysis.REFERENCE)))
    inner: Any = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = wrong
    with pytest.raises(InvalidInputError, match=re.escape(words)):
        parse_plan(document)


def test_a_file_that_holds_no_plan_says_what_writes_one(tmp_path: Path) -> None:
    table = tmp_path / "plan.json"
    table.write_text("server  accelerator  replicas\nchat    H100         3\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="stoker solve FLEET --format json --output FILE"):
        read_plan(table)
