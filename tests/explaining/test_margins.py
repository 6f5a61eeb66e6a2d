"""What a plan tells of itself: margins, headroom, what binds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from optimizer.explaining.explain import explain_alone, explain_plan
from optimizer.planner import plan_fleet
from stoker.domain.explanation import ChoiceLimit, CountLimit, LatencyMargin
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency
from stoker.domain.server import Allocation
from stoker.domain.slo import PercentileTarget, ServiceClass, SloTarget
from stoker.domain.workload import Load
from tests.support.explained import REFERENCE
from tests.support.small_fleets import LOAD, fleets, make_fleet, make_server


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(fleet=fleets())
def test_headroom_is_the_load_at_which_one_replica_more_is_planned(fleet: Fleet) -> None:
    """On the same accelerator, cards without end, and but for a minimum of replicas."""
    how = replace(REFERENCE, unlimited=True)
    fleet = replace(fleet, settings=how)
    plan = plan_fleet(fleet)
    for item in explain_alone(plan).allocations:
        if item.load_headroom is None or item.accelerator is None:
            continue
        server = next(x for x in fleet.servers if x.name == item.server)
        if server.load is None or server.max_batch == 1:
            continue

        def replicas(
            share: float,
            server_name: str = item.server,
            accelerator: str | None = item.accelerator,
        ) -> int | None:
            heavier = replace(
                fleet,
                servers=tuple(
                    replace(
                        x,
                        load=replace(x.load, arrival_rate_rps=x.load.arrival_rate_rps * share),
                        max_replicas=None,
                    )
                    for x in fleet.servers
                    if x.name == server_name and x.load is not None
                ),
                profiles=tuple(x for x in fleet.profiles if x.accelerator == accelerator),
            )
            found = plan_fleet(heavier).allocations
            return found[0].replicas if found else None

        assert item.load_headroom >= 0
        assert replicas(1 + item.load_headroom - 1e-6) == item.replicas
        assert replicas((1 + item.load_headroom) * (1 + 1e-6)) == item.replicas + 1


def test_margins_are_of_every_promise() -> None:
    promise = SloTarget(
        "m", ttft_ms=1000.0, e2e_ms=30_000.0, percentiles=(PercentileTarget(Latency.ITL, 95, 60),)
    )
    fleet = make_fleet(make_server("s"), classes=(ServiceClass("gold", 1, (promise,)),))
    plan = plan_fleet(fleet)
    (item,) = explain_alone(plan).allocations
    (allocation,) = plan.allocations
    figures = {margin.statistic: margin for margin in item.margins}
    assert list(figures) == ["ttft_ms.mean", "e2e_ms.mean", "itl_ms.p95"]
    assert figures["itl_ms.p95"].predicted_ms == allocation.latencies[Latency.ITL].at(95)
    assert figures["e2e_ms.mean"].predicted_ms == allocation.latencies[Latency.E2E].mean_ms
    for margin in item.margins:
        assert margin.margin_ms is not None
        assert margin.margin_ms >= 0
        assert margin.margin_share == pytest.approx(margin.margin_ms / margin.target_ms)
    assert item.binding == allocation.binding


def test_an_unknown_latency_has_no_margin() -> None:
    assert LatencyMargin("ttft_ms.p95", None, 5.0).margin_ms is None
    assert LatencyMargin("ttft_ms.p95", None, 5.0).margin_share is None
    assert LatencyMargin("ttft_ms.p95", 6.0, 5.0).margin_ms == -1.0


def test_why_there_are_as_many_replicas() -> None:
    idle, few = Load(0.0, 128, 256), replace(LOAD, arrival_rate_rps=0.5)
    running = Allocation("Cheap", 2, cost_per_hour=2.0)
    servers = (
        make_server("load"),
        make_server("minimum", load=few, min_replicas=7),
        make_server("idle", load=idle),
        make_server("warm", load=idle, min_replicas=1),
        make_server("unknown", load=None, current=running),
    )
    fleet = replace(make_fleet(*servers, cards={"B": 40, "C": 40}), settings=REFERENCE)
    found = {x.server: x for x in explain_plan(fleet, plan_fleet(fleet)).allocations}
    assert {name: x.count_limit for name, x in found.items()} == {
        "load": CountLimit.LOAD,
        "minimum": CountLimit.MINIMUM,
        "idle": CountLimit.NOTHING,
        "warm": CountLimit.MINIMUM,
        "unknown": CountLimit.UNKNOWN_LOAD,
    }
    assert found["unknown"].options == ()
    assert found["idle"].load_headroom is None


def test_why_there_is_no_cheaper_accelerator() -> None:
    free = planned_choice(cards={"B": 100, "C": 100})
    assert free == {"a": ChoiceLimit.LEAST_VALUE, "b": ChoiceLimit.LEAST_VALUE}
    short = planned_choice(cards={"B": 100, "C": 2})
    assert set(short.values()) == {ChoiceLimit.LEAST_VALUE, ChoiceLimit.OTHERS}
    kept = make_server("k", keep_accelerator=True, current=Allocation("Big", 1, cost_per_hour=5))
    fleet = replace(make_fleet(kept), settings=REFERENCE)
    (item,) = explain_plan(fleet, plan_fleet(fleet)).allocations
    assert item.choice_limit is ChoiceLimit.ONLY_ONE
    assert item.runner_up is not None
    assert item.runner_up.change.served_change == {1: -1}


def planned_choice(cards: dict[str, int]) -> dict[str, ChoiceLimit | None]:
    fleet = replace(make_fleet(make_server("a"), make_server("b"), cards=cards), settings=REFERENCE)
    explanation = explain_plan(fleet, plan_fleet(fleet))
    for item in explanation.allocations:
        moved = item.choice_limit is ChoiceLimit.OTHERS
        assert (item.preferred is not None) == moved
        if item.preferred is not None:
            assert item.preferred.value < next(
                x.value for x in item.options if x.accelerator == item.accelerator
            )
    return {item.server: item.choice_limit for item in explanation.allocations}
