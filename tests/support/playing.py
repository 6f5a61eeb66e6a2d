"""Played worlds of the fleet of chat, search and code, cycle by cycle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from stoker.domain.control.choices import ForecastMethod, Mode
from stoker.domain.control.cluster import ReplicaPhase, VariantState, WorkloadRef
from stoker.domain.control.settings import (
    ControlSettings,
    ForecastSettings,
    LoopSettings,
    MetricSettings,
    ServerControl,
    StabilitySettings,
)
from stoker.domain.fleet import Fleet
from tests.support.controlled_fleets import controlled_fleet
from tests.support.gateway_world import GatewayWorld
from tests.support.played_world import PlayedWorld, workload

PERIOD_S = 30.0
STABILITY = StabilitySettings(
    scale_down_window_s=90.0, cooldown_down_s=30.0, cooldown_move_s=300.0, zero_after_s=120.0
)
SETTINGS = ControlSettings(
    loop=LoopSettings(mode=Mode.ACT, period_s=PERIOD_S),
    forecast=ForecastSettings(method=ForecastMethod.LAST, quantile=0.5),
    stability=STABILITY,
    metrics=MetricSettings(window_s=0.0),  # here rates are right from the first moment
)
CHAT, SEARCH, CODE = (workload(name, "H100", 1) for name in ("chat", "search", "code"))
SMALL = workload("chat", "L4", 0)
BUSY = 250.0
"""A rate that takes several replicas of chat on H100."""


def with_rules(**rules: Any) -> ControlSettings:
    return replace(SETTINGS, stability=replace(STABILITY, **rules))


def with_server(**told: Any) -> ControlSettings:
    return replace(SETTINGS, servers={"chat": ServerControl("chat", **told)})


def changed(fleet: Fleet, name: str = "chat", **fields: Any) -> Fleet:
    servers = tuple(
        replace(each, **fields) if each.name == name else each for each in fleet.servers
    )
    return replace(fleet, servers=servers)


def play(
    *variants: VariantState,
    rate: float | Callable[[float], float | None] | None = BUSY,
    settings: ControlSettings = SETTINGS,
    fleet: Fleet | None = None,
    others: Mapping[str, float] | None = None,
    gateway: bool = False,
    **options: Any,
) -> PlayedWorld:
    law = rate if callable(rate) else lambda _: rate
    rates: dict[str, Any] = {"chat": law}
    for name, steady in (others or {}).items():
        rates[name] = steps([steady])
    kind = GatewayWorld if gateway else PlayedWorld
    return kind(fleet or controlled_fleet(), settings, variants, rates, **options)


def go(world: PlayedWorld, cycles: int = 1) -> None:
    loop = world.loop()
    for _ in range(cycles):
        loop.cycle()
        world.advance(PERIOD_S)


def decision(world: PlayedWorld, name: str = "chat") -> dict[str, Any]:
    found: dict[str, Any] = world.records[-1].document["servers"][name]["decision"]
    return found


def needed(rate: float = BUSY) -> int:
    """Replicas of chat on H100 that a rate takes."""
    world = play(replace(CHAT, replicas_wanted=1), rate=rate)
    go(world)
    return world.wanted(CHAT.ref)


def steps(law: list[float | None]) -> Callable[[float], float | None]:
    return lambda seconds: law[int(seconds // 200) % len(law)]


def ready_of(world: PlayedWorld, name: str) -> int:
    refs: list[WorkloadRef] = [
        ref for ref, work in world.workloads.items() if work.state.server == name
    ]
    return sum(world.variant(ref).count(ReplicaPhase.READY) for ref in refs)
