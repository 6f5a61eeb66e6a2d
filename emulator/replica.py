"""The life of one emulated replica: it starts, serves, goes wrong on request, drains and goes."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from enum import StrEnum

from emulator.dialect import Dialect, buckets_of
from emulator.engine import IterationLoop
from emulator.exposition import exposition, replica_metrics
from emulator.faults import FaultOrder, Faults
from emulator.meter import Meter
from emulator.requests import EmulatedRequest, RequestState
from simulator import Engine


class ReplicaState(StrEnum):
    """Where a replica is in its life."""

    STARTING = "starting"
    """It loads its model: it takes no requests, and its health check fails."""
    READY = "ready"
    """It serves."""
    DRAINING = "draining"
    """It takes no new requests, finishes those that it has, and goes."""
    GONE = "gone"
    """It is no more."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What every replica of a fleet serves, and how it shows it.

    Attributes:
        name: Name of the model.
        engine: Limits and iteration times.
        dialect: Whose metrics it exports.
        older_names: Older names of metrics, beside those of today.
        startup_ms: Time from its start until it serves.
        drain_ms: Time that a draining replica has to finish; what is left then fails. None for as
            long as it takes.
        max_model_tokens: Most tokens of a request, prompt and output.
        prefix_hit_rate: Share of each prompt that is found in the prefix cache.
    """

    name: str
    engine: Engine
    dialect: Dialect = Dialect.VLLM
    older_names: bool = False
    startup_ms: float = 0.0
    drain_ms: float | None = None
    max_model_tokens: int = 131_072
    prefix_hit_rate: float = 0.0

    def __post_init__(self) -> None:
        """Check the figures.

        Raises:
            ValueError: A time below 0, or a hit rate that is no share.
        """
        if not (self.startup_ms >= 0 and (self.drain_ms is None or self.drain_ms >= 0)):
            raise ValueError("startup_ms and drain_ms must be 0 or more")
        if not 0 <= self.prefix_hit_rate <= 1:
            raise ValueError(f"prefix_hit_rate is {self.prefix_hit_rate} (allowed: 0 to 1)")

    def cached_tokens(self, prompt_tokens: int) -> int:
        """Return how much of a prompt the prefix cache holds; at least one token is computed."""
        return min(int(prompt_tokens * self.prefix_hit_rate), prompt_tokens - 1)


class EmulatedReplica:
    """One replica. Times are ms of the fleet's clock.

    Attributes:
        name: Its name.
        served: What it serves.
        state: Where it is in its life.
        started_ms: When it was started last.
        ready_ms: When it serves, or has begun to.
        faults: What is wrong with it.
        restarts: How often it crashed and started again.
    """

    def __init__(
        self, name: str, served: ServedModel, now_ms: float, *, startup_ms: float, seed: int
    ) -> None:
        self.name = name
        self.served = served
        self.state = ReplicaState.STARTING
        self.started_ms = now_ms
        self.ready_ms = now_ms + startup_ms
        self.faults = Faults()
        self.restarts = 0
        self._startup_ms = startup_ms
        self._faults_end_ms = math.inf
        self._drain_end_ms = math.inf
        self._draws = random.Random(seed)
        self._buckets = buckets_of(served.dialect, served.max_model_tokens)
        self.meter = Meter(self._buckets)
        self.loop = IterationLoop(served.engine, self.meter)

    @property
    def accepts(self) -> bool:
        """Whether it takes new requests."""
        return self.state is ReplicaState.READY

    def next_ms(self) -> float:
        """Return when something happens to it next; infinite where nothing will by itself."""
        if self.state is ReplicaState.GONE:
            return math.inf
        times = [self.loop.next_ms(), self._faults_end_ms]
        if self.state is ReplicaState.STARTING:
            times.append(self.ready_ms)
        if self.state is ReplicaState.DRAINING:
            times.append(self._drain_end_ms)
        return min(times)

    def advance(self, now_ms: float) -> None:
        """Let time pass."""
        if self.state is ReplicaState.GONE:
            return
        if self._faults_end_ms <= now_ms:
            self.loop.play(self._faults_end_ms)
            self._set_faults(Faults(), self._faults_end_ms)
        if self.state is ReplicaState.STARTING:
            if self.ready_ms > now_ms:
                return
            self.state = ReplicaState.READY
        self.loop.play(min(now_ms, self._drain_end_ms))
        if self.state is ReplicaState.DRAINING:
            if self._drain_end_ms <= now_ms:
                self.loop.fail_all(self._drain_end_ms, "the replica ended before it was done")
            if self.loop.in_system == 0:
                self.state = ReplicaState.GONE

    def submit(self, request: EmulatedRequest, now_ms: float) -> None:
        """Take a request, or end it at once where it cannot be taken."""
        self.advance(now_ms)
        request.replica = self.name
        if not self.accepts:
            self.meter.failed()
            request.end(RequestState.REFUSED, now_ms, f"the replica is {self.state.value}")
        elif self.faults.error_rate and self._draws.random() < self.faults.error_rate:
            self.meter.failed()
            request.end(RequestState.FAILED, now_ms, "an error on request")
        else:
            self.meter.arrived += 1
            request.cached_tokens = self.served.cached_tokens(request.prompt_tokens)
            self.loop.submit(request, now_ms)
            if request.state is RequestState.TURNED_AWAY:
                self.meter.failed()

    def abort(self, request: EmulatedRequest, now_ms: float) -> None:
        """Break off a request whose reader went away."""
        if not request.ended:
            self.advance(now_ms)
        if not request.ended:
            self.loop.abort(request, now_ms)
            self.meter.aborted(served=not math.isnan(request.admitted_ms))

    def drain(self, now_ms: float) -> None:
        """Take no more requests, and go when the last one is done."""
        self.advance(now_ms)
        if self.state is ReplicaState.STARTING:
            self.state = ReplicaState.GONE
        elif self.state is ReplicaState.READY:
            self.state = ReplicaState.DRAINING
            drain_ms = self.served.drain_ms
            self._drain_end_ms = math.inf if drain_ms is None else now_ms + drain_ms
            self.advance(now_ms)

    def order(self, order: FaultOrder, now_ms: float) -> None:
        """Carry out an order of faults."""
        self.advance(now_ms)
        self._set_faults(order.applied_to(self.faults), now_ms)
        if order.for_ms is not None:
            self._faults_end_ms = now_ms + order.for_ms
        if order.crash:
            self.crash(now_ms)

    def crash(self, now_ms: float) -> None:
        """Lose all requests and all that was counted, and start again."""
        if self.state is ReplicaState.GONE:
            return
        self.loop.fail_all(now_ms, "the replica crashed")
        self.meter = Meter(self._buckets)
        self.loop = IterationLoop(self.served.engine, self.meter)
        self._apply(now_ms)
        self.restarts += 1
        self.started_ms = now_ms
        self.ready_ms = now_ms + self._startup_ms * self.faults.startup_factor
        self._drain_end_ms = math.inf
        draining = self.state is ReplicaState.DRAINING
        self.state = ReplicaState.GONE if draining else ReplicaState.STARTING

    def metrics(self, now_ms: float) -> bytes | None:
        """Return its metrics as Prometheus text; None where it does not answer."""
        self.advance(now_ms)
        starting = self.state is ReplicaState.STARTING
        if starting or self.state is ReplicaState.GONE or self.faults.drop_metrics:
            return None
        served = self.served
        families = replica_metrics(
            served.dialect, served.name, self.loop, self.meter, older_names=served.older_names
        )
        dropped = self.faults.drop_names
        return exposition(one for one in families if not (dropped and one.name.startswith(dropped)))

    def _set_faults(self, faults: Faults, now_ms: float) -> None:
        slower = faults.startup_factor != self.faults.startup_factor
        self.faults = faults
        self._faults_end_ms = math.inf
        if slower and self.state is ReplicaState.STARTING:
            self.ready_ms = self.started_ms + self._startup_ms * faults.startup_factor
        self._apply(now_ms)

    def _apply(self, now_ms: float) -> None:
        """Let the engine have the faults that are its own."""
        self.loop.slowdown = self.faults.latency_factor
        if self.faults.freeze:
            self.loop.freeze(now_ms)
        else:
            self.loop.thaw(now_ms)
