"""A world in memory for the loop: workloads whose pods take time to start, and load by a law."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.loop import Document, Loop, Ports
from controller.memory import Memory
from controller.ports import Permit, always
from controller.record import CycleRecord
from stoker.domain.control.changes import (
    ChangeOutcome,
    ChangeResult,
    Decisions,
    Notice,
    VariantTarget,
)
from stoker.domain.control.cluster import (
    CardStock,
    ClusterState,
    ReplicaPhase,
    ReplicaState,
    VariantState,
    WorkloadRef,
)
from stoker.domain.control.observation import Observation, ServerObservation
from stoker.domain.control.settings import ControlSettings
from stoker.domain.control.signals import Signal, SignalName
from stoker.domain.fleet import Fleet

Rate = Callable[[float], float | None]
"""Arrival rate by time in seconds; None for unknown."""


@dataclass
class PlayedPod:
    """A pod: when it was created and placed, and when it gets ready again after it was not."""

    name: str
    created_at: float
    placed_at: float | None
    again_at: float | None = None


@dataclass
class PlayedWorkload:
    """A workload of the world."""

    state: VariantState
    pods: list[PlayedPod] = field(default_factory=list)


class PlayedWorld:
    """Clock, eyes, hands and everything else that the loop asks for, all in memory."""

    def __init__(
        self,
        fleet: Fleet,
        settings: ControlSettings,
        variants: Sequence[VariantState],
        rates: Mapping[str, Rate],
        *,
        startup_s: float = 60.0,
        cards: Mapping[str, int] | None = None,
        tokens: tuple[float, float] = (200.0, 100.0),
    ) -> None:
        self.time = 1_000_000.0
        self.began = self.time
        self.document = Document(fleet, settings, "1")
        self.startup_s = startup_s
        self.rates = dict(rates)
        self.tokens = tokens
        self.cards = dict(cards or {"H100": 64, "L4": 64})
        self.workloads = {each.ref: PlayedWorkload(replace(each, replicas=())) for each in variants}
        self._names = itertools.count(1)
        self.records: list[CycleRecord] = []
        self.intended: list[CycleRecord] = []
        self.memory = Memory()
        self.leads = True
        self.approves: frozenset[str] = frozenset()
        self.refuses: dict[WorkloadRef, ChangeOutcome] = {}
        self.extra_signals: dict[str, dict[SignalName, Signal]] = {}
        self.reporting: dict[str, float] = {}
        self.blind_cluster = False
        self.problem = ""
        self.notices: list[Notice] = []
        self._place(start=True)

    # Clock

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time - self.began

    def wait(self, seconds: float) -> bool:
        self.advance(seconds)
        return False

    def advance(self, seconds: float) -> None:
        self.time += seconds
        self._place()

    # Documents, lock, journal, approvals, announcer

    def read(self) -> Document:
        return self.document

    def holds(self) -> bool:
        return self.leads

    def intend(self, record: CycleRecord) -> None:
        self.intended.append(record)

    def write(self, record: CycleRecord, memory: Memory) -> None:
        self.records.append(record)
        self.memory = memory

    def approved(self, record: CycleRecord) -> frozenset[str]:
        return self.approves

    def announce(
        self, decisions: Decisions, results: Sequence[ChangeResult], notices: Sequence[Notice]
    ) -> None:
        self.notices += notices

    # Eyes

    def observe(self, fleet: Fleet, deadline: float) -> Observation:
        self._place()
        return Observation(
            self.time,
            {server.name: self._seen(server.name) for server in fleet.servers},
            None if self.blind_cluster else self.cluster(),
        )

    def cluster(self) -> ClusterState:
        variants = tuple(self.variant(ref) for ref in self.workloads)
        stocks = {}
        for name, total in self.cards.items():
            held = sum(
                len([pod for pod in work.pods if pod.placed_at is not None])
                * (work.state.cards_per_replica or 0)
                for work in self.workloads.values()
                if work.state.card_type == name
            )
            stocks[name] = CardStock(name, total, held, 0)
        return ClusterState(self.time, variants, stocks)

    def variant(self, ref: WorkloadRef) -> VariantState:
        work = self.workloads[ref]
        return replace(work.state, replicas=tuple(self._replica(pod) for pod in work.pods))

    # Hands

    def apply(
        self, targets: Sequence[VariantTarget], *, dry_run: bool, permit: Permit = always
    ) -> tuple[ChangeResult, ...]:
        return tuple(self._apply(target, permit) for target in targets)

    def _apply(self, target: VariantTarget, permit: Permit) -> ChangeResult:
        work = self.workloads[target.ref]
        before = work.state.replicas_wanted
        forbidden = permit()
        if forbidden:
            return ChangeResult(target, ChangeOutcome.FAILED, before, forbidden)
        refused = self.refuses.get(target.ref)
        if refused is not None:
            return ChangeResult(target, refused, before)
        work.state = replace(work.state, replicas_wanted=target.replicas)
        self._place()
        return ChangeResult(target, ChangeOutcome.APPLIED, before)

    # The world itself

    def loop(self) -> Loop:
        ports = Ports(self, self, self, self, self, self, self, self)
        return Loop(ports, self.document, self.memory)

    def wanted(self, ref: WorkloadRef) -> int:
        return self.workloads[ref].state.replicas_wanted

    def ready(self, ref: WorkloadRef) -> int:
        return self.variant(ref).count(ReplicaPhase.READY)

    def _replica(self, pod: PlayedPod) -> ReplicaState:
        if pod.placed_at is None:
            return ReplicaState(
                pod.name, ReplicaPhase.PENDING, "", pod.created_at, reason="no node has the cards"
            )
        ready_at = pod.placed_at + self.startup_s
        if pod.again_at is not None:
            ready_at = max(ready_at, pod.again_at)
        phase = ReplicaPhase.READY if ready_at <= self.time else ReplicaPhase.STARTING
        return ReplicaState(
            pod.name,
            phase,
            "node",
            pod.created_at,
            pod.placed_at,
            ready_at if phase is ReplicaPhase.READY else None,
        )

    def _place(self, *, start: bool = False) -> None:
        for work in self.workloads.values():
            while len(work.pods) > work.state.replicas_wanted:
                work.pods.pop()
            while len(work.pods) < work.state.replicas_wanted:
                name = f"{work.state.ref.name}-{next(self._names)}"
                work.pods.append(PlayedPod(name, self.time, None))
        for work in self.workloads.values():
            for pod in work.pods:
                cards = work.state.cards_per_replica or 0
                if pod.placed_at is None and self._free(work.state.card_type) >= cards:
                    pod.placed_at = self.time - (self.startup_s + 600 if start else 0)

    def _free(self, card_type: str) -> int:
        held = sum(
            (work.state.cards_per_replica or 0)
            for work in self.workloads.values()
            if work.state.card_type == card_type
            for pod in work.pods
            if pod.placed_at is not None
        )
        return self.cards.get(card_type, 0) - held

    def _seen(self, name: str) -> ServerObservation:
        law = self.rates.get(name)
        rate = None if law is None else law(self.monotonic())
        signals: dict[SignalName, Signal] = {}
        if rate is not None:
            query = "sum(rate(vllm:request_success_total[60s]))"
            signals[SignalName.ARRIVAL_RATE] = Signal.known(rate, 1.0, query)
            ready = sum(
                self.ready(ref) for ref, work in self.workloads.items() if work.state.server == name
            )
            told = self.reporting.get(name, ready)
            signals[SignalName.REPORTING] = Signal.known(told, 1.0, query)
            if rate > 0:
                signals[SignalName.INPUT_TOKENS] = Signal.known(self.tokens[0], 1.0, query)
                signals[SignalName.OUTPUT_TOKENS] = Signal.known(self.tokens[1], 1.0, query)
            elif ready:  # pods that serve nobody say so
                for idle in (SignalName.RUNNING, SignalName.WAITING):
                    signals[idle] = Signal.known(0.0, 1.0, f"vllm:num_requests_{idle.value}")
        signals.update(self.extra_signals.get(name, {}))
        return ServerObservation(name, signals, engine="vllm")


def workload(
    server: str, accelerator: str, replicas: int, *, cards: int = 1, card_type: str = ""
) -> VariantState:
    """A workload to begin with."""
    return VariantState(
        WorkloadRef("models", f"{server}-{accelerator.lower()}"),
        server,
        accelerator,
        replicas,
        cards_per_replica=cards,
        card_type=card_type or accelerator,
    )
