"""A server of a real cluster that is to move, and everything that tests do to it.

The loop, the copies of the cluster and the writes are the real ones; loads are told. Cycles are run
one after another without waiting for anything, with a clock that leaps, so that each sees the
cluster in whatever state the one before left it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from actuator.kubernetes.scaling import Scaler
from collector.kubernetes.api import ApiServer
from collector.kubernetes.mirror import Mirror
from collector.kubernetes.state import KINDS
from collector.observer import FleetObserver
from controller.loop import Document, Loop, Ports
from controller.memory import Memory
from controller.recall import memory_from_text, memory_to_text
from controller.record import CycleRecord
from controller.transition import ABORT
from demos.cluster.nodes import GpuNode
from stoker.domain.control.changes import (
    ChangeResult,
    Decisions,
    Notice,
)
from stoker.domain.control.choices import ForecastMethod, Mode
from stoker.domain.control.cluster import ReplicaPhase
from stoker.domain.control.settings import (
    ClusterSettings,
    ControlSettings,
    ForecastSettings,
    LoopSettings,
    MetricSettings,
    StabilitySettings,
    TransitionSettings,
)
from stoker.domain.control.signals import Signal, SignalName
from tests.support.moving_fleet import BIG, SMALL, fleet
from tests.support.moving_parts import Crash, Told, TouchyHands
from tests.support.real_cluster import RealCluster, eventually

RATE_RPS = 30.0
OLD, NEW = "chat-old", "chat-new"
BEFORE, WANTED = 4, 2
"""Replicas that run at first, and those that the plan asks for on the other accelerator."""

MOVED, STAYED = (0, WANTED), (BEFORE, 0)
"""Replicas of both at the end, and at the start."""

LEAP_S = 30.0
_CYCLES_TO_SEE = 3
_PATIENCE_S = 150.0
"""A move has many steps, and the machine may be busy."""
STARTUP_S = 0.3


@dataclass
class Moving:
    """A server of a real cluster on its way from one workload to another."""

    cluster: RealCluster
    namespace: str
    mirror: Mirror
    settings: ControlSettings
    nodes: list[str] = field(default_factory=list)
    records: list[CycleRecord] = field(default_factory=list)
    leapt_s: float = 0.0
    memory: Memory = field(default_factory=Memory)
    least: float = float("inf")
    enough: float = 1.0
    forgetful: bool = False
    cycles: int = 0
    problem: str = ""

    def __post_init__(self) -> None:
        known = {
            SignalName.ARRIVAL_RATE: RATE_RPS,
            SignalName.INPUT_TOKENS: 200.0,
            SignalName.OUTPUT_TOKENS: 100.0,
        }
        self.told = Told(
            FleetObserver(None, self.mirror, self.settings, self.now, time.monotonic),
            {name: Signal.known(value, 1.0, "gateway") for name, value in known.items()},
        )
        self.hands = TouchyHands(Scaler(self.cluster.admin, "stoker"))
        self.document = Document(fleet(), self.settings, "1")
        self.loop = self.new_loop()

    # Clock, documents, lock, journal, approvals, announcer

    def now(self) -> float:
        return time.time() + self.leapt_s

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> bool:
        return False

    def read(self) -> Document:
        return self.document

    def holds(self) -> bool:
        return True

    def intend(self, record: CycleRecord) -> None:
        pass

    def write(self, record: CycleRecord, memory: Memory) -> None:
        self.records.append(record)
        self.memory = memory

    def approved(self, record: CycleRecord) -> frozenset[str]:
        return frozenset()

    def announce(
        self, decisions: Decisions, results: Sequence[ChangeResult], notices: Sequence[Notice]
    ) -> None:
        pass

    # What tests do

    def new_loop(self) -> Loop:
        ports = Ports(self, self, self.told, self.hands, self, self, self, self)
        return Loop(ports, self.document, self.memory)

    def crash(self) -> None:
        """End the loop and begin another, with what was written down last, or nothing."""
        written = Memory() if self.forgetful else memory_from_text(memory_to_text(self.memory))
        self.memory = written
        self.loop = self.new_loop()

    def crash_often(self) -> None:
        """Crash between cycles, as often as lets a new loop see for as long as it has to."""
        if self.cycles % _CYCLES_TO_SEE == 0:
            self.crash()

    def cycle(self, leap_s: float = LEAP_S) -> dict[str, Any]:
        self.cycles += 1
        record = self.loop.cycle()
        self.leapt_s += leap_s
        time.sleep(0.05)
        return record.document

    def until(self, holds: Callable[[], bool], after: Callable[[], None] = lambda: None) -> None:
        """Run cycles until something holds; where one dies, a new loop goes on."""

        def holds_now() -> bool:
            if holds():
                return True
            try:
                self.cycle(leap_s=1.0)
            except Crash:
                self.crash()
            after()
            return False

        try:
            eventually(holds_now, _PATIENCE_S)
        except AssertionError:
            told = [each.document["servers"]["chat"]["decision"] for each in self.records[-3:]]
            raise AssertionError(
                f"asked for {self.sizes()}, ready {self.ready()}, written {self.hands.written}, "
                f"died {self.hands.died}, told {told}"
            ) from None

    def sizes(self) -> tuple[int, int]:
        """Replicas that both workloads ask for."""
        return self.wanted(OLD), self.wanted(NEW)

    def arrived(self, sizes: tuple[int, int]) -> bool:
        """Whether both ask for so many, and so many are ready."""
        return self.sizes() == sizes and self.ready() == sizes

    def wanted(self, name: str) -> int:
        scale = self.cluster.apps.read_namespaced_deployment_scale(name, self.namespace)
        return int(scale.spec.replicas or 0)

    def ready(self) -> tuple[int, int]:
        """Replicas of both that are ready, by the copies."""
        observed = self.told.eyes.observe(self.document.fleet, time.monotonic() + 60)
        if observed.cluster is None:
            return 0, 0
        by_name = {each.ref.name: each for each in observed.cluster.variants}
        return tuple(  # type: ignore[return-value]
            by_name[name].count(ReplicaPhase.READY) if name in by_name else 0 for name in (OLD, NEW)
        )

    def carried(self) -> float:
        """The share of the load that is carried, at most that which both ends carry."""
        old, new = self.ready()
        return old / BEFORE + min(new, WANTED) / WANTED

    def decision(self) -> dict[str, Any]:
        found: dict[str, Any] = self.records[-1].document["servers"]["chat"]["decision"]
        return found

    def outcomes(self) -> list[str]:
        return [each["outcome"] for record in self.records for each in record.document["changes"]]

    def annotate(self, name: str, annotations: Mapping[str, str]) -> None:
        self.cluster.apps.patch_namespaced_deployment(
            name, self.namespace, {"metadata": {"annotations": dict(annotations)}}
        )

    def abort(self, *, asked: bool = True) -> None:
        """Ask for the move to be taken back, or no longer ask for it."""
        self.annotate(NEW, {ABORT: "true" if asked else "false"})

    def add_node(self, card_type: str, cards: int) -> None:
        name = f"{self.namespace}-{card_type}-{len(self.nodes)}"
        self.nodes.append(name)
        self.cluster.kubelet.add_node(GpuNode(name, self.product(card_type), cards))

    def product(self, card_type: str) -> str:
        return product(self.namespace, card_type)


def product(namespace: str, card_type: str) -> str:
    return f"{card_type}-of-{namespace}"


@contextmanager
def moving(
    cluster: RealCluster, small_nodes: Sequence[int] = (4,), **transition: Any
) -> Iterator[Moving]:
    """Four ready replicas on big cards, none on small ones, which the plan would rather have."""
    namespace = cluster.namespace()
    settings = ControlSettings(
        loop=LoopSettings(mode=Mode.ACT, period_s=60.0, deadline_s=60.0),
        metrics=MetricSettings(window_s=0.5),  # what a loop that forgot all watches before it acts
        forecast=ForecastSettings(method=ForecastMethod.LAST, quantile=0.5),
        stability=StabilitySettings(scale_down_window_s=86_400.0),  # moves alone take replicas
        transition=TransitionSettings(**transition),
        cluster=ClusterSettings(
            namespaces=(namespace,),
            product_labels={product(namespace, each): each for each in (BIG, SMALL)},
        ),
    )
    with Mirror(ApiServer(cluster.admin), KINDS, [namespace], time.monotonic) as mirror:
        world = Moving(cluster, namespace, mirror, settings)
        world.add_node(BIG, BEFORE + 1)
        for cards in small_nodes:
            world.add_node(SMALL, cards)
        for name, accelerator, card_type, replicas, gpus in (
            (OLD, "H100", BIG, BEFORE, 1),
            (NEW, "L4", SMALL, 0, 2),
        ):
            labels = {
                "stoker.dev/managed": "true",
                "stoker.dev/server": "chat",
                "stoker.dev/accelerator": accelerator,
            }
            cluster.deploy(
                namespace,
                name,
                replicas=replicas,
                gpus=gpus,
                product=world.product(card_type),
                labels=labels,
                startup_s=STARTUP_S,
            )
        try:
            eventually(lambda: world.ready() == (BEFORE, 0) and cards_seen(world, len(small_nodes)))
            with watched(world):
                yield world
            assert world.least >= world.enough - 1e-9, (
                f"only {world.least:.2f} of the load was carried"
            )
        finally:
            for name in world.nodes:
                cluster.kubelet.remove_node(name)


def cards_seen(world: Moving, small_nodes: int) -> bool:
    observed = world.told.eyes.observe(world.document.fleet, time.monotonic() + 60)
    assert observed.cluster is not None
    stocks = observed.cluster.cards or {}
    return stocks[BIG].total > 0 and (stocks[SMALL].total > 0 or not small_nodes)


@contextmanager
def watched(world: Moving) -> Iterator[None]:
    """Note the smallest share of the load that was carried at any moment."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            world.least = min(world.least, world.carried())
            ended.wait(0.01)

    thread = threading.Thread(target=watch, name="watch-capacity")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
