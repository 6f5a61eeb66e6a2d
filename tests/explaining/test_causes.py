"""What two plans tell of how they were made is told as a cause, and nothing else is made up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data.explanation_format import difference_to_document
from data.plan_format import plan_to_document
from data.plan_reading import parse_plan
from optimizer.explaining.difference import compare_plans
from optimizer.explaining.difference_words import difference_words
from optimizer.planner import plan_fleet
from stoker.domain.accelerator import PowerCurve
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.limits import Headroom, Limits, Objective, ObjectiveName, Objectives
from stoker.domain.plan import Plan
from stoker.domain.plan_difference import Cause, CauseKind, PlanDifference, ServerChange
from stoker.domain.pools import Pool
from stoker.domain.settings import SolverKind
from tests.support.explained import REFERENCE
from tests.support.small_fleets import BIG, CHEAP, LOAD, OLD, make_fleet, make_server

HOT, COLD = PowerCurve(300.0, 600.0, 700.0, 0.6), PowerCurve(20.0, 40.0, 50.0, 0.6)
FLEET = replace(
    make_fleet(
        make_server("a"),
        make_server("b", load=replace(LOAD, arrival_rate_rps=9.0)),
        accelerators=(replace(BIG, power=COLD), replace(CHEAP, power=HOT), replace(OLD, power=HOT)),
    ),
    settings=REFERENCE,
)
EAST = (Pool("east", "C", 20), Pool("west", "C", 20), Pool("big", "B", 8))


def written(fleet: Fleet) -> Plan:
    return parse_plan(plan_to_document(plan_fleet(fleet)))


def difference(before: Fleet, after: Fleet) -> PlanDifference:
    return compare_plans(written(before), written(after))


def pooled(*pools: Pool) -> Fleet:
    counts = {kind: sum(p.cards for p in pools if p.card_type == kind) for kind in ("B", "C")}
    return replace(FLEET, pools=pools, capacity=tuple(Capacity(k, n) for k, n in counts.items()))


def test_replicas_that_stand_elsewhere_are_a_change() -> None:
    east, west, big = EAST
    before = pooled(east, replace(west, quota=0), big)
    after = pooled(replace(east, quota=0), west, big)
    found = difference(before, after)
    assert [(item.server, item.change) for item in found.servers] == [("a", ServerChange.PLACED)]
    closed, opened = (
        Cause(CauseKind.POOL, "20", "0", "east"),
        Cause(CauseKind.POOL, "0", "20", "west"),
    )
    assert found.causes == (closed, opened)
    assert all(item.causes == found.causes for item in found.servers)
    words = difference_words(found)
    assert any(" in east → " in line and " in west (0 USD/h)" in line for line in words)
    assert any("because the cards of pool east changed: 20 → 0; " in line for line in words)
    document = difference_to_document(found)["servers"]
    assert isinstance(document, dict)
    assert set(document["a"]["before"]["pools"]) == {"east"}
    assert set(document["a"]["after"]["pools"]) == {"west"}
    assert difference(before, before).servers == ()


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        (
            {"limits": Limits(budget_per_hour=3.0)},
            Cause(CauseKind.LIMIT, "none", "3", "budget_per_hour"),
        ),
        (
            {"objectives": Objectives((Objective(ObjectiveName.ENERGY),))},
            Cause(CauseKind.OBJECTIVES, "cost", "energy"),
        ),
        ({"limits": Limits(headroom=Headroom(surge=2.5))}, Cause(CauseKind.SURGE, "1", "2.5")),
    ],
    ids=["limit", "objectives", "surge"],
)
def test_how_plans_were_made_is_a_cause(changes: dict[str, object], cause: Cause) -> None:
    found = difference(FLEET, replace(FLEET, **changes))  # type: ignore[arg-type]
    assert found.servers
    assert cause in found.causes
    for item in found.servers:
        assert cause in item.causes
        assert not {each.kind for each in item.causes} & {CauseKind.LOAD, CauseKind.OTHERS}
    text = "\n".join(difference_words(found))
    assert f"changed: {cause.before} → {cause.after}" in text
    assert "others changed" not in text


def test_more_load_beside_a_surge_is_told_as_both() -> None:
    servers = (
        replace(FLEET.servers[0], load=replace(LOAD, arrival_rate_rps=12.0)),
        FLEET.servers[1],
    )
    after = replace(FLEET, servers=servers, limits=Limits(headroom=Headroom(surge=2.5)))
    found = {item.server: item for item in difference(FLEET, after).servers}
    kinds = {name: {cause.kind for cause in item.causes} for name, item in found.items()}
    assert {CauseKind.LOAD, CauseKind.SURGE} <= kinds["a"]
    assert CauseKind.LOAD not in kinds["b"]


def test_another_method_is_a_cause() -> None:
    few = replace(FLEET, capacity=(Capacity("B", 2), Capacity("C", 3)))
    greedy = replace(few, settings=replace(REFERENCE, solver=SolverKind.GREEDY))
    found = difference(few, greedy)
    assert found.causes == (Cause(CauseKind.METHOD, "milp-exact", "greedy"),)
    assert all(found.causes[0] in item.causes for item in found.servers)


def test_others_are_not_told_where_no_other_changed() -> None:
    before = written(FLEET)
    after = written(
        replace(FLEET, profiles=tuple(x for x in FLEET.profiles if x.accelerator != "Cheap"))
    )
    one = replace(
        after, allocations=(after.allocations[0], *before.allocations[1:]), cost_per_hour=0.0
    )
    (item,) = compare_plans(before, one).servers
    assert item.change is ServerChange.MOVED
    assert item.causes == (Cause(CauseKind.UNTOLD),)
    assert (
        "something changed that plans do not tell"
        in difference_words(compare_plans(before, one))[-1]
    )
