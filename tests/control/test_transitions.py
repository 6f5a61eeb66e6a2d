"""Moves on a real API server with its controllers: at no moment is too little ready.

The loop, the copies of the cluster and the writes are the real ones; loads are told. Cycles are run
one after another without waiting for anything, with a clock that leaps, so that each sees the
cluster in whatever state the one before left it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

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
from stoker.domain.accelerator import Accelerator
from stoker.domain.control.changes import ChangeResult, Decisions, VariantTarget
from stoker.domain.control.cluster import ReplicaPhase
from stoker.domain.control.observation import Observation, ServerObservation
from stoker.domain.control.settings import (
    ClusterSettings,
    ControlSettings,
    ForecastMethod,
    ForecastSettings,
    LoopSettings,
    Mode,
    StabilitySettings,
    TransitionKind,
    TransitionSettings,
)
from stoker.domain.control.signals import Signal, SignalName
from stoker.domain.fleet import Capacity, Fleet
from tests.support.controlled_fleets import controlled_fleet
from tests.support.real_cluster import RealCluster, eventually

RATE_RPS = 30.0
OLD, NEW = "chat-old", "chat-new"
BEFORE, WANTED = 4, 2
"""Replicas that run at first, and those that the plan asks for on the other accelerator."""

LEAP_S = 30.0
STARTUP_S = 0.3
BIG, SMALL = "big", "small"


def fleet() -> Fleet:
    """Chat alone, on cards that no other test has; the cheaper replica takes two of them."""
    found = controlled_fleet()
    return replace(
        found,
        accelerators=(
            Accelerator("H100", BIG, 1, 3.0, 80.0),
            Accelerator("L4", SMALL, 2, 0.7, 48.0),
        ),
        capacity=(Capacity(BIG, 8), Capacity(SMALL, 8)),
        profiles=tuple(
            each
            for each in found.profiles
            if each.accelerator != "2xH100" and each.model == found.servers[0].model
        ),
        service_classes=tuple(
            replace(each, targets=each.targets[:1]) for each in found.service_classes[:1]
        ),
        servers=found.servers[:1],
    )


@dataclass
class Told:
    """Eyes that see the real cluster, and the load that they are told."""

    eyes: FleetObserver
    signals: dict[SignalName, Signal]

    def observe(self, fleet: Fleet, deadline: float) -> Observation:
        seen = self.eyes.observe(fleet, deadline)
        return replace(seen, servers={"chat": ServerObservation("chat", self.signals)})


@dataclass
class Meddled:
    """Hands before which somebody else acts once."""

    hands: Scaler
    meddle: Callable[[], None] | None = None

    def apply(self, targets: Sequence[VariantTarget], *, dry_run: bool) -> tuple[ChangeResult, ...]:
        if self.meddle is not None:
            meddle, self.meddle = self.meddle, None
            meddle()
        return self.hands.apply(targets, dry_run=dry_run)


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
        self.hands = Meddled(Scaler(self.cluster.admin, "stoker"))
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

    def announce(self, decisions: Decisions, results: Sequence[ChangeResult]) -> None:
        pass

    # What tests do

    def new_loop(self) -> Loop:
        ports = Ports(self, self, self.told, self.hands, self, self, self, self)
        return Loop(ports, self.document, self.memory)

    def crash(self, *, forget: bool) -> None:
        """End the loop and begin another, that remembers what was written down, or nothing."""
        self.memory = Memory() if forget else memory_from_text(memory_to_text(self.memory))
        self.loop = self.new_loop()

    def cycle(self, leap_s: float = LEAP_S) -> dict[str, Any]:
        record = self.loop.cycle()
        self.leapt_s += leap_s
        time.sleep(0.05)
        return record.document

    def until(self, holds: Callable[[], bool], after: Callable[[], None] = lambda: None) -> None:
        """Run cycles until something holds."""

        def holds_now() -> bool:
            if holds():
                return True
            self.cycle(leap_s=1.0)
            after()
            return False

        eventually(holds_now)

    def sizes(self) -> tuple[int, int]:
        """Replicas that both workloads ask for."""
        return self.wanted(OLD), self.wanted(NEW)

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


MOVED, STAYED = (0, WANTED), (BEFORE, 0)


@pytest.mark.parametrize("kind", [TransitionKind.ROLLING, TransitionKind.BLUE_GREEN])
def test_the_new_ones_are_ready_before_the_old_ones_go(
    real_cluster: RealCluster, kind: TransitionKind
) -> None:
    with moving(real_cluster, kind=kind) as world:
        world.until(lambda: world.sizes() == MOVED and world.ready() == MOVED)
        world.cycle()
        # Once it is there it stays there, and nothing more is written.
        written = len(world.outcomes())
        world.cycle()
        assert (world.sizes(), len(world.outcomes())) == (MOVED, written)
        assert set(world.outcomes()) <= {"applied", "conflict", "unchanged"}


def test_a_surge_that_cannot_be_scheduled_waits_for_a_node(real_cluster: RealCluster) -> None:
    # Four free cards, but on four nodes: no replica of two cards fits any of them.
    with moving(real_cluster, small_nodes=(1, 1, 1, 1)) as world:
        world.until(lambda: world.wanted(NEW) == WANTED)
        for _ in range(5):
            world.cycle(leap_s=1.0)
            assert world.sizes() == (BEFORE, WANTED)
        assert world.decision()["held"] == ["in_transition"]
        assert "0 of 2 new replicas are ready" in world.decision()["reason"]
        world.add_node(SMALL, 4)
        world.until(lambda: world.sizes() == MOVED and world.ready() == MOVED)


def test_a_surge_that_is_never_scheduled_is_taken_back(real_cluster: RealCluster) -> None:
    with moving(real_cluster, small_nodes=(1, 1, 1, 1), ready_timeout_s=300.0) as world:
        world.until(lambda: world.wanted(NEW) == WANTED)

        def pending() -> bool:
            cluster = world.told.observe(world.document.fleet, time.monotonic() + 60).cluster
            assert cluster is not None
            return any(
                replica.phase is ReplicaPhase.PENDING and "nodes are available" in replica.reason
                for each in cluster.variants
                for replica in each.replicas
            )

        eventually(pending)
        world.leapt_s += 301.0
        record = world.cycle()
        reason = record["servers"]["chat"]["decision"]["reason"]
        assert "not ready after 300 s" in reason
        assert "nodes are available" in reason  # in the scheduler's own words
        world.until(lambda: world.sizes() == STAYED)


def test_a_canary_that_breaks_a_target_goes_back(real_cluster: RealCluster) -> None:
    with moving(
        real_cluster, kind=TransitionKind.CANARY, canary_steps=(0.5, 1.0), canary_hold_s=3600.0
    ) as world:
        world.until(lambda: bool(world.records) and "watched" in world.decision()["reason"])
        world.until(lambda: world.ready() == (2, 1))
        world.told.signals[SignalName.TTFT_MEAN] = Signal.known(2000.0, 1.0, "gateway")
        world.until(lambda: world.sizes() == STAYED and world.ready() == STAYED)
        assert any(
            "2.50 of its target" in each.document["servers"]["chat"]["decision"]["reason"]
            for each in world.records
        )


def test_a_canary_that_does_well_goes_all_the_way(real_cluster: RealCluster) -> None:
    with moving(
        real_cluster, kind=TransitionKind.CANARY, canary_steps=(0.5, 1.0), canary_hold_s=90.0
    ) as world:
        world.told.signals[SignalName.TTFT_MEAN] = Signal.known(100.0, 1.0, "gateway")
        world.until(
            lambda: world.sizes() == MOVED and world.ready() == MOVED,
            after=lambda: setattr(world, "leapt_s", world.leapt_s + LEAP_S),
        )


@pytest.mark.parametrize("forget", [False, True], ids=["recalls", "forgets"])
@pytest.mark.parametrize("kind", [TransitionKind.ROLLING, TransitionKind.CANARY])
def test_a_loop_that_crashes_after_every_step_gets_there(
    real_cluster: RealCluster, kind: TransitionKind, forget: bool
) -> None:
    # Nobody who forgets knows how long a canary was watched.
    hold_s = 0.0 if forget else 5.0
    with moving(real_cluster, kind=kind, canary_steps=(0.5, 1.0), canary_hold_s=hold_s) as world:
        world.until(
            lambda: world.sizes() == MOVED and world.ready() == MOVED,
            after=lambda: world.crash(forget=forget),
        )
        world.cycle()
        world.crash(forget=forget)
        world.cycle()
        assert world.sizes() == MOVED


@pytest.mark.parametrize("forget", [False, True], ids=["recalls", "forgets"])
def test_a_move_called_back_leaves_as_much_as_there_was(
    real_cluster: RealCluster, forget: bool
) -> None:
    with moving(
        real_cluster, kind=TransitionKind.CANARY, canary_steps=(0.5, 1.0), canary_hold_s=3600.0
    ) as world:
        world.until(lambda: world.ready() == (2, 1))
        left = BEFORE
        if forget:
            # How many there were is not known any more; as many stay as the load needs.
            world.crash(forget=True)
            left, world.enough = 2, 2 / BEFORE
        world.annotate(NEW, {ABORT: "true"})
        world.until(lambda: world.sizes() == (left, 0) and world.ready() == (left, 0))
        assert "asked to go back" in world.decision()["reason"]
        # While it is asked for, no other move begins.
        world.leapt_s += 3600.0
        world.cycle()
        world.cycle()
        assert world.wanted(NEW) == 0


def test_somebody_else_who_scales_meanwhile_is_not_overwritten(real_cluster: RealCluster) -> None:
    with moving(real_cluster) as world:
        world.until(lambda: world.wanted(NEW) == WANTED)
        eventually(lambda: world.ready() == (BEFORE, WANTED))

        def meddle() -> None:
            world.cluster.apps.patch_namespaced_deployment_scale(
                OLD, world.namespace, {"spec": {"replicas": BEFORE + 1}}
            )

        world.hands.meddle = meddle
        record = world.cycle()
        assert [each["outcome"] for each in record["changes"]] == ["conflict"]
        assert world.wanted(OLD) == BEFORE + 1
        world.until(lambda: world.sizes() == MOVED and world.ready() == MOVED)
