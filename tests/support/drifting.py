"""Engines that get slower and fast again under the loop, played by the simulator."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from stoker.domain.control.choices import Mode
from stoker.domain.control.settings import (
    ControlSettings,
    CorrectionSettings,
    ForecastSettings,
    LoopSettings,
    MetricSettings,
)
from stoker.domain.profile import EstimateKind, Provenance
from stoker.domain.settings import Analysis
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import workload
from tests.support.simulated_world import SimulatedWorld

PERIOD_S = 30.0
CHAT = workload("chat", "H100", 4)


def varying(seconds: float) -> float:
    """Load that goes up and down by a third, in half an hour."""
    return 90.0 + 30.0 * math.sin(2 * math.pi * seconds / 1800.0)


def constant(_: float) -> float:
    """Load that never changes."""
    return 90.0


@dataclass(frozen=True, slots=True)
class Drift:
    """What a run showed, a figure a cycle.

    Attributes:
        slowness: How slow the engines were.
        decode: The decode factor that was planned with.
        prefill: The prefill factor that was planned with.
        replicas: Replicas that were asked for.
        worst: Largest mean latency over its target; NaN where none was measured.
    """

    slowness: tuple[float, ...]
    decode: tuple[float, ...]
    prefill: tuple[float, ...]
    replicas: tuple[int, ...]
    worst: tuple[float, ...]


def drift_world(
    slowness: Callable[[float], float],
    rate: Callable[[float], float] = varying,
    correction: CorrectionSettings | None = None,
    kind: EstimateKind = EstimateKind.MEASURED,
) -> SimulatedWorld:
    """Return a world whose engines are as slow as told, with profiles of that kind."""
    fleet = controlled_fleet()
    fleet = replace(
        fleet,
        profiles=tuple(replace(each, provenance=Provenance(kind)) for each in fleet.profiles),
        settings=replace(fleet.settings, analysis=Analysis.FULL),
    )
    settings = ControlSettings(
        loop=LoopSettings(mode=Mode.ACT, period_s=PERIOD_S),
        metrics=MetricSettings(window_s=PERIOD_S),
        forecast=ForecastSettings(),
        correction=correction or CorrectionSettings(),
    )
    return SimulatedWorld(fleet, settings, [CHAT], rate, slowness)


def played(world: SimulatedWorld, slowness: Callable[[float], float], cycles: int) -> Drift:
    """Run cycles, and return what they showed."""
    loop = world.loop()
    fleet = world.document.fleet
    server = next(each for each in fleet.servers if each.name == "chat")
    (target,) = (
        each.target_for(server.model)
        for each in fleet.service_classes
        if each.name == server.service_class
    )
    assert target is not None
    assert target.ttft_ms
    assert target.itl_ms
    found: list[tuple[float, float, float, int, float]] = []
    for _ in range(cycles):
        slower = slowness(world.monotonic())
        loop.cycle()
        factors = {"decode": 1.0, "prefill": 1.0}
        for profile in world.records[-1].document["profiles"]:
            if profile["accelerator"] == "H100":
                factors = {part: told["applied"] for part, told in profile["factors"].items()}
        ttft_ms, itl_ms = world.latencies[-1]
        worst = max(ttft_ms / target.ttft_ms, itl_ms / target.itl_ms)
        row = (slower, factors["decode"], factors["prefill"], world.wanted(CHAT.ref), worst)
        found.append(row)
        world.advance(PERIOD_S)
    slow, decode, prefill, replicas, over = zip(*found, strict=True)
    return Drift(slow, decode, prefill, replicas, over)
