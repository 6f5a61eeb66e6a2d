"""Two plans compared."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from data.explanation_format import difference_to_document
from optimizer.explaining.difference import compare_plans
from optimizer.planner import plan_fleet
from stoker.cli.difference_report import cause_words, difference_report
from stoker.cli.output import plain_text
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.plan_difference import Cause, CauseKind, ServerChange
from stoker.domain.settings import Analysis, OptimizerSettings
from stoker.domain.sharing import SharingGroup
from tests.support.explained import REFERENCE, names_served
from tests.support.small_fleets import LOAD, fleets, make_fleet, make_server


def of(*rates: float, cards: dict[str, int] | None = None) -> Fleet:
    servers = [
        make_server(f"s{index}", load=replace(LOAD, arrival_rate_rps=rate))
        for index, rate in enumerate(rates)
    ]
    return replace(make_fleet(*servers, cards=cards or {"B": 50, "C": 100}), settings=REFERENCE)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(before=fleets(), after=fleets())
def test_differences_add_up(before: Fleet, after: Fleet) -> None:
    first = plan_fleet(replace(before, settings=REFERENCE))
    second = plan_fleet(replace(after, settings=REFERENCE))
    found = compare_plans(first, second)
    assert sum(item.cost_change for item in found.servers) == pytest.approx(
        second.cost_per_hour - first.cost_per_hour
    )
    assert set(found.newly_served) == names_served(second) - names_served(first)
    assert set(found.no_longer_served) == names_served(first) - names_served(second)
    names = {x.name for x in (*before.servers, *after.servers)}
    assert len(found.servers) + found.unchanged == len(names)
    back = compare_plans(second, first)
    assert {x.server for x in back.servers} == {x.server for x in found.servers}
    assert plain_text(difference_report(found))


def test_a_plan_differs_in_nothing_from_itself() -> None:
    plan = plan_fleet(of(4.0, 2.0))
    found = compare_plans(plan, plan)
    assert (found.servers, found.unchanged, found.causes, found.cards) == ((), 2, (), {})
    assert "nothing changes" in plain_text(difference_report(found))


def test_more_load_is_told_as_the_cause_of_more_replicas() -> None:
    found = compare_plans(plan_fleet(of(4.0, 2.0)), plan_fleet(of(9.0, 2.0)))
    (item,) = found.servers
    assert item.server == "s0"
    assert item.change in (ServerChange.RESIZED, ServerChange.MOVED)
    assert item.causes == (Cause(CauseKind.LOAD, "4", "9"),)
    assert found.unchanged == 1
    text = plain_text(difference_report(found))
    assert "because its load changed: 4 → 9 requests/s" in text


def test_servers_come_and_go() -> None:
    one, two = of(4.0), of(4.0, 2.0)
    (new,) = compare_plans(plan_fleet(one), plan_fleet(two)).servers
    (gone,) = compare_plans(plan_fleet(two), plan_fleet(one)).servers
    assert (new.change, gone.change) == (ServerChange.ADDED, ServerChange.REMOVED)
    assert new.cost_change == pytest.approx(-gone.cost_change)


def test_fewer_cards_are_told_where_a_server_is_lost() -> None:
    found = compare_plans(plan_fleet(of(4.0)), plan_fleet(of(4.0, cards={"B": 0, "C": 0})))
    (item,) = found.servers
    assert item.change is ServerChange.LOST
    assert {cause.of for cause in item.causes} == {"B", "C"}
    assert found.no_longer_served == ("s0",)
    back = compare_plans(plan_fleet(of(4.0, cards={"B": 0, "C": 0})), plan_fleet(of(4.0)))
    assert back.servers[0].change is ServerChange.SERVED


def test_price_targets_and_speed_are_told() -> None:
    fleet = of(30.0, cards={"B": 0, "C": 100})
    dearer = replace(
        fleet,
        accelerators=tuple(
            replace(x, cost_per_hour=2 * x.cost_per_hour) for x in fleet.accelerators
        ),
    )
    (item,) = compare_plans(plan_fleet(fleet), plan_fleet(dearer)).servers
    assert item.change is ServerChange.CHANGED
    assert {cause.kind for cause in item.causes} == {CauseKind.PRICE}
    looser = replace(
        fleet,
        service_classes=tuple(
            replace(x, targets=tuple(replace(y, itl_ms=22.0) for y in x.targets))
            for x in fleet.service_classes
        ),
    )
    (item,) = compare_plans(plan_fleet(fleet), plan_fleet(looser)).servers
    assert CauseKind.TARGETS in {cause.kind for cause in item.causes}
    assert "mean ITL 22 ms" in "".join(cause_words(cause) for cause in item.causes)


def test_others_are_told_where_nothing_of_its_own_is_different() -> None:
    fleet = of(0.0, 4.0, cards={"B": 0, "C": 2})
    low = replace(fleet.servers[1], service_class="bronze")
    before = replace(fleet, servers=(fleet.servers[0], low))
    busy = replace(fleet.servers[0], load=LOAD)
    after = replace(fleet, servers=(busy, low))
    found = {x.server: x for x in compare_plans(plan_fleet(before), plan_fleet(after)).servers}
    assert found["s1"].change is ServerChange.LOST
    assert found["s1"].causes == (Cause(CauseKind.OTHERS),)
    assert "its own load, targets and prices are the same" in cause_words(found["s1"].causes[0])


def test_the_analysis_is_told() -> None:
    plan = plan_fleet(of(4.0))
    found = compare_plans(plan, replace(plan, analysis=Analysis.FULL))
    assert found.causes == (Cause(CauseKind.ANALYSIS, "reference", "full"),)


def test_currencies_are_not_mixed() -> None:
    plan = plan_fleet(of(4.0))
    with pytest.raises(InvalidInputError, match="EUR"):
        compare_plans(plan, replace(plan, currency="EUR"))


def sharing(rate: float, *names: str) -> Fleet:
    """Return three servers of one model, some of which may share replicas."""
    fleet = of(rate, 0.4, 0.4, cards={"B": 0, "C": 20})
    groups = (SharingGroup("g", names),) if names else ()
    return replace(fleet, sharing=groups, settings=OptimizerSettings())


def test_who_shares_replicas_is_named_and_their_price_is_no_cause() -> None:
    apart, pair = plan_fleet(sharing(0.4)), plan_fleet(sharing(0.4, "s1", "s2"))
    shared = [item for item in pair.allocations if item.shared_with]
    assert [item.server for item in shared] == ["s1", "s2"]
    found = compare_plans(apart, pair)
    assert [(item.server, item.change) for item in found.servers] == [
        ("s1", ServerChange.SHARED),
        ("s2", ServerChange.SHARED),
    ]
    assert sum(item.cost_change for item in found.servers) == pytest.approx(
        pair.cost_per_hour - apart.cost_per_hour
    )
    # The second pays nothing, as the first does for both: no replica's price has changed.
    assert all(item.causes == (Cause(CauseKind.OTHERS),) for item in found.servers)
    text = plain_text(difference_report(found))
    assert "s2: 1 × Cheap → 1 × Cheap, shared with s1 (" in text
    told = difference_to_document(found)["servers"]
    assert isinstance(told, dict)
    assert (told["s2"]["before"]["shared_with"], told["s2"]["after"]["shared_with"]) == ([], ["s1"])
    back = compare_plans(pair, apart)
    assert "s2: 1 × Cheap, shared with s1 → 1 × Cheap (" in plain_text(difference_report(back))


def test_another_set_is_a_change_and_the_same_one_is_none() -> None:
    pair, other = plan_fleet(sharing(0.4, "s1", "s2")), plan_fleet(sharing(0.4, "s0", "s1"))
    found = {item.server: item for item in compare_plans(pair, other).servers}
    assert {name: item.change for name, item in found.items()} == dict.fromkeys(
        ("s0", "s1", "s2"), ServerChange.SHARED
    )
    text = plain_text(difference_report(compare_plans(pair, other)))
    assert "s1: 1 × Cheap, shared with s2 → 1 × Cheap, shared with s0 (" in text
    again = compare_plans(pair, plan_fleet(sharing(0.4, "s2", "s1")))
    assert again.servers == ()


def test_a_server_that_moves_onto_common_replicas_is_told_with_whom() -> None:
    before = plan_fleet(replace(sharing(0.4), capacity=(Capacity("B", 20), Capacity("C", 0))))
    after = plan_fleet(sharing(0.4, "s1", "s2"))
    found = {item.server: item for item in compare_plans(before, after).servers}
    assert found["s2"].change is ServerChange.MOVED
    text = plain_text(difference_report(compare_plans(before, after)))
    assert "s2: moved from 1 × Big to 1 × Cheap, shared with s1 (" in text
