"""A loop that emits sizes, and somebody else who follows them late, in part, or never."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from prometheus_client.core import Metric

from controller.loop import Loop, Ports
from controller.metrics import ControlMetrics
from stoker.cli.control_wiring import Emitting
from stoker.domain.control.choices import Actuation, ForecastMethod, Mode
from stoker.domain.control.cluster import VariantState, WorkloadRef
from stoker.domain.control.settings import (
    ClusterSettings,
    ControlSettings,
    ForecastSettings,
    LoopSettings,
    StabilitySettings,
)
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload

PERIOD_S = 30.0
SETTINGS = ControlSettings(
    loop=LoopSettings(mode=Mode.ACT, period_s=PERIOD_S),
    cluster=ClusterSettings(actuation=Actuation.EMIT),
    forecast=ForecastSettings(method=ForecastMethod.LAST),
)
CHAT = workload("chat", "H100", 1)
DESIRED = ("stoker_workload_desired_replicas", "inferno_desired_replicas", "wva_desired_replicas")
Follower = Callable[["HandsOff"], None]


@dataclass
class HandsOff:
    """A loop that emits, and what somebody else makes of it after each cycle."""

    world: PlayedWorld
    follower: Follower
    loop: Loop = field(init=False)
    metrics: ControlMetrics = field(default_factory=lambda: ControlMetrics(compatible=True))
    desired: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin, or begin again with what was remembered."""
        world = self.world
        ports = Ports(world, world, world, Emitting(), world, world, world, world)
        self.loop = Loop(ports, world.document, world.memory)

    def go(self, cycles: int = 1) -> list[float]:
        """Run cycles, and return what was desired in each."""
        for _ in range(cycles):
            self.metrics.told(self.loop.cycle())
            gauges = {self.gauge(name) for name in DESIRED}
            (size,) = gauges  # all names say the same
            self.desired.append(size)
            self.follower(self)
            self.world.advance(PERIOD_S)
        return self.desired[-cycles:]

    def gauge(self, name: str, ref: WorkloadRef = CHAT.ref) -> float:
        (value,) = (
            sample.value
            for sample in self.samples()[name].samples
            if ref.name in sample.labels.values()
        )
        return value

    def samples(self) -> dict[str, Metric]:
        return {family.name: family for family in self.metrics.collect()}

    def scale(self, replicas: int, ref: WorkloadRef = CHAT.ref) -> None:
        """Write replicas as the outside scaler does."""
        work = self.world.workloads[ref]
        work.state = replace(work.state, replicas_wanted=replicas)

    def counted(self, direction: str, prefix: str = "wva") -> float:
        return sum(
            sample.value
            for sample in self.samples()[f"{prefix}_replica_scaling"].samples
            if sample.labels["direction"] == direction
        )


def never(_: HandsOff) -> None:
    """Nobody follows."""


def at_once(off: HandsOff) -> None:
    off.scale(int(off.gauge(DESIRED[0])))


def late(cycles: int) -> Follower:
    """One that reads what was desired some cycles ago."""

    def follow(off: HandsOff) -> None:
        if len(off.desired) > cycles:
            off.scale(int(off.desired[-1 - cycles]))

    return follow


def by_steps(step: int, most: int = 1000) -> Follower:
    """One that goes a step a cycle, and not beyond its own bound."""

    def follow(off: HandsOff) -> None:
        now, goal = off.world.wanted(CHAT.ref), min(int(off.desired[-1]), most)
        off.scale(now + max(-step, min(step, goal - now)))

    return follow


def hands_off(
    follower: Follower,
    rate: Callable[[float], float | None] = lambda _: 600.0,
    stability: StabilitySettings | None = None,
    variants: tuple[VariantState, ...] = (CHAT,),
    settings: ControlSettings = SETTINGS,
) -> HandsOff:
    settings = replace(settings, stability=stability or StabilitySettings())
    world = PlayedWorld(controlled_fleet(), settings, variants, {"chat": rate})
    return HandsOff(world, follower)
