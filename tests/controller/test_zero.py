"""To zero and back: only where somebody would tell of requests, and only when it is idle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from controller.recall import memory_from_text, memory_to_text
from stoker.domain.control.choices import ForecastMethod
from stoker.domain.control.settings import ControlSettings, ForecastSettings, ServerControl
from stoker.domain.control.signals import Signal, SignalName
from stoker.domain.workload import Load
from tests.support.controlled_fleets import controlled_fleet
from tests.support.gateway_world import GatewayWorld
from tests.support.played_world import PlayedWorld
from tests.support.playing import (
    CHAT,
    PERIOD_S,
    SMALL,
    STABILITY,
    changed,
    decision,
    go,
    play,
    with_server,
)

EMPTY = replace(CHAT, replicas_wanted=0)
TO_ZERO = with_server(scale_to_zero=True)


def until(end_s: float, *, again_s: float = float("inf")) -> Callable[[float], float]:
    """Requests up to a time, and again from another one on."""
    return lambda seconds: 20.0 if seconds < end_s or seconds > again_s else 0.0


def test_to_zero_and_back_only_where_that_is_allowed() -> None:
    for allowed in (False, True):
        settings = with_server(scale_to_zero=allowed)
        world = play(CHAT, rate=until(60, again_s=900), settings=settings, gateway=True)
        go(world, 12)
        assert world.wanted(CHAT.ref) == (0 if allowed else 1)
        assert decision(world)["held"] == []
        go(world, 24)
        assert world.wanted(CHAT.ref) == 1


def test_one_stays_where_pods_alone_would_tell_of_requests() -> None:
    world = play(CHAT, rate=until(60), settings=TO_ZERO)
    go(world, 20)
    assert world.wanted(CHAT.ref) == 1
    assert decision(world)["held"] == ["demand_unseen"]
    world = play(CHAT, rate=until(60), settings=TO_ZERO)
    own = Signal.known(0.0, None, "sum(my_ingress_queue)")
    world.extra_signals["chat"] = {SignalName.WAITING: own}
    go(world, 20)
    assert world.wanted(CHAT.ref) == 0


@pytest.mark.parametrize("method", list(ForecastMethod))
def test_zero_comes_as_soon_as_it_was_idle_long_enough_whatever_tells_the_forecast(
    method: ForecastMethod,
) -> None:
    settings = replace(TO_ZERO, forecast=ForecastSettings(method=method, quantile=0.95))
    rules = replace(STABILITY, zero_after_s=600.0, scale_down_window_s=300.0)
    world = play(
        replace(CHAT, replicas_wanted=3),
        rate=lambda seconds: 150.0 + seconds % 70 if seconds < 1800 else 0.0,
        settings=replace(settings, stability=rules),
        gateway=True,
    )
    idle = [world.wanted(CHAT.ref)]
    go(world, 60)
    while world.monotonic() < 1800 + 540:
        go(world)
        idle.append(world.wanted(CHAT.ref))
    assert min(idle) > 0
    go(world, 2)
    assert world.wanted(CHAT.ref) == 0


def test_a_season_has_replicas_ready_before_the_load_comes_again() -> None:
    """Idle for half of each season: at zero in its midst, and not when the load returns."""
    season_s = 3600.0
    forecast = ForecastSettings(
        method=ForecastMethod.HOLT_WINTERS, season_s=season_s, quantile=0.5, startup_s=120.0
    )
    world = play(
        CHAT,
        rate=lambda seconds: 100.0 if seconds % season_s < season_s / 2 else 0.0,
        settings=replace(TO_ZERO, forecast=forecast),
        gateway=True,
        startup_s=120.0,
    )
    go(world, int(2.75 * season_s / PERIOD_S))
    assert world.wanted(CHAT.ref) == 0
    while world.monotonic() < 3 * season_s:
        go(world)
    assert world.ready(CHAT.ref) >= 1


def test_what_is_in_the_system_is_no_idleness() -> None:
    world = play(CHAT, rate=until(60), settings=TO_ZERO, gateway=True)
    world.extra_signals["chat"] = {SignalName.RUNNING: Signal.known(2.0, 1.0, "running")}
    go(world, 20)
    assert world.wanted(CHAT.ref) == 1
    world.extra_signals["chat"] = {SignalName.RUNNING: Signal.known(0.0, 1.0, "running")}
    go(world, 4)
    assert world.wanted(CHAT.ref) == 0


@pytest.mark.parametrize("missing", [SignalName.RUNNING, SignalName.WAITING])
def test_who_may_be_served_unseen_keeps_a_replica(missing: SignalName) -> None:
    world = play(CHAT, rate=until(60), settings=TO_ZERO, gateway=True)
    world.extra_signals["chat"] = {missing: Signal.unknown("its pods are not scraped")}
    go(world, 40)
    assert world.wanted(CHAT.ref) == 1
    assert decision(world)["held"] == ["partial_reports"]
    assert f"{missing.value} is unknown" in decision(world)["reason"]
    del world.extra_signals["chat"]
    go(world, 4)
    assert world.wanted(CHAT.ref) == 0


@pytest.mark.parametrize("away", [False, True])
def test_time_that_nobody_watched_is_no_idleness(away: bool) -> None:
    """Neither while the rate is unknown, nor while the loop is away, which begins again then."""
    back_s = 900.0

    def law(seconds: float) -> float | None:
        if seconds <= 30:
            return 20.0
        return None if seconds < back_s else 0.0

    rules = replace(STABILITY, zero_after_s=600.0, scale_down_window_s=300.0)
    world = play(CHAT, rate=law, settings=replace(TO_ZERO, stability=rules), gateway=True)
    go(world, 2)
    if away:
        world.memory = memory_from_text(memory_to_text(world.memory))
        world.advance(back_s - world.monotonic())
    while world.monotonic() < back_s + 600:
        go(world)
        assert world.wanted(CHAT.ref) == 1
    go(world, 2)
    assert world.wanted(CHAT.ref) == 0


# From zero


def gateway(settings: ControlSettings, rate: float | None, **told: Any) -> GatewayWorld:
    world = play(EMPTY, rate=rate, settings=settings, gateway=True, **told)
    assert isinstance(world, GatewayWorld)
    return world


def test_the_first_requests_ever_start_a_replica_though_nothing_tells_their_size() -> None:
    world = gateway(TO_ZERO, 5.0)
    go(world)
    assert world.wanted(CHAT.ref) == 1
    assert "to tell how large they are" in decision(world)["reason"]
    go(world, 5)
    assert decision(world)["wanted_replicas"] == 1  # by a plan now


def test_requests_that_wait_at_the_gateway_start_a_replica() -> None:
    world = gateway(TO_ZERO, None)
    go(world, 3)
    assert world.wanted(CHAT.ref) == 0
    assert decision(world)["held"] == ["load_unknown"]
    world.queued = 4.0
    go(world)
    assert world.wanted(CHAT.ref) == 1
    # It must not be taken back while they wait for it to get ready.
    world.rates["chat"] = lambda _: 0.0
    world.startup_s = 1e6
    go(world, 30)
    assert world.wanted(CHAT.ref) == 1


def test_sizes_of_the_document_size_the_first_start_and_never_shrink_anything() -> None:
    fleet = changed(controlled_fleet(), load=Load(1.0, 200.0, 100.0))
    world = gateway(TO_ZERO, 300.0, fleet=fleet)
    go(world)
    assert world.wanted(CHAT.ref) > 1
    blind = replace(CHAT, replicas_wanted=12)
    played = play(blind, rate=5.0, fleet=fleet)
    unknown = Signal.unknown("no metric for it")
    played.extra_signals["chat"] = {
        SignalName.INPUT_TOKENS: unknown,
        SignalName.OUTPUT_TOKENS: unknown,
    }
    go(played, 10)
    assert played.wanted(CHAT.ref) == 12
    assert decision(played)["held"] == ["partial_reports"]
    assert "fleet document" in played.records[-1].document["servers"]["chat"]["load_reason"]


def test_the_cheapest_workload_with_a_free_card_wakes_first() -> None:
    for cards, woken in (({"H100": 4, "L4": 4}, SMALL), ({"H100": 4, "L4": 0}, CHAT)):
        world = play(EMPTY, SMALL, rate=5.0, settings=TO_ZERO, gateway=True, cards=cards)
        go(world)
        assert world.wanted(woken.ref) == 1
        assert world.wanted(CHAT.ref) + world.wanted(SMALL.ref) == 1
    world = play(EMPTY, rate=5.0, settings=TO_ZERO, gateway=True, cards={"H100": 0})
    go(world)
    assert decision(world)["held"] == ["no_capacity"]


@pytest.mark.parametrize(
    ("variant", "control", "size"),
    [
        (replace(EMPTY, paused=True), ServerControl("chat"), 0),
        (replace(EMPTY, min_replicas=3), ServerControl("chat"), 3),
        (EMPTY, ServerControl("chat", min_replicas=2), 2),
    ],
)
def test_a_wake_heeds_bounds_and_pauses(variant: Any, control: ServerControl, size: int) -> None:
    settings = replace(TO_ZERO, servers={"chat": control})
    world = play(variant, rate=5.0, settings=settings, gateway=True)
    go(world)
    assert world.wanted(CHAT.ref) == size


def test_a_server_that_runs_is_not_woken() -> None:
    """Of a running server whose requests have no known size nothing is decided."""
    world: PlayedWorld = play(CHAT, rate=5.0, gateway=True, startup_s=1e6)
    world.workloads[CHAT.ref].pods.clear()
    go(world, 2)
    assert world.wanted(CHAT.ref) == 1
    assert decision(world)["held"] == ["load_unknown"]
