"""Replicas of one model behind a router, in one process: they come, serve, drain and go.

A fleet has no clock: every call says what time it is, in ms, and time must not go back. So the
same fleet serves HTTP in real time, runs at ten times its speed, or is played in a test.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Sequence

from emulator.exposition import exposition, gateway_metrics
from emulator.faults import FaultOrder
from emulator.replica import EmulatedReplica, ReplicaState, ServedModel
from emulator.requests import EmulatedRequest, RequestState
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.routing import Router

_ALIVE = (ReplicaState.STARTING, ReplicaState.READY)


class EmulatedFleet:
    """The replicas of one model, and the gateway before them.

    Requests that find no replica ready are held until one is, first come, first served.

    Attributes:
        served: What every replica serves.
        replicas: Those that are there, the oldest first: starting, ready and draining.
    """

    def __init__(
        self,
        served: ServedModel,
        *,
        router: Router = Router.SHORTEST_QUEUE,
        seed: int = 0,
        prefix: str = "",
        hold: bool = True,
    ) -> None:
        """Begin without replicas.

        Args:
            served: What they will serve.
            router: How a request finds one.
            seed: Of the random draws of routing and of error rates.
            prefix: What the names of replicas begin with; the model's name where it is empty.
            hold: Whether requests wait while no replica is ready; else they fail.
        """
        self.served = served
        self.replicas: list[EmulatedReplica] = []
        self._router = router
        self._draws = random.Random(seed)
        self._prefix = prefix or _name_of(served.name)
        self._hold = hold
        self._held: deque[EmulatedRequest] = deque()
        self._attempts: Counter[str] = Counter({"success": 0, "failure": 0})
        self._turn = 0
        self._made = 0

    @property
    def wanted(self) -> int:
        """Replicas that are to stay: starting and ready ones."""
        return sum(replica.state in _ALIVE for replica in self.replicas)

    @property
    def ready(self) -> int:
        """Replicas that serve."""
        return sum(replica.accepts for replica in self.replicas)

    @property
    def held(self) -> int:
        """Requests that wait for a replica to be ready."""
        return len(self._held)

    @property
    def in_system(self) -> int:
        """Requests that have come and not ended."""
        return len(self._held) + sum(replica.loop.in_system for replica in self.replicas)

    @property
    def attempts(self) -> int:
        """Requests that have come."""
        return self._attempts.total()

    def replica(self, name: str) -> EmulatedReplica | None:
        """Return the replica of that name; None where there is none."""
        return next((replica for replica in self.replicas if replica.name == name), None)

    def set_replicas(self, count: int, now_ms: float) -> None:
        """Let there be that many, beside those that drain.

        More are started at once. Of too many, those that still start go first, then the youngest;
        those that serve drain.

        Raises:
            ValueError: Fewer than none.
        """
        if count < 0:
            raise ValueError(f"count is {count} (allowed: 0 or more)")
        self.advance(now_ms)
        for _ in range(count - self.wanted):
            self.add_replica(now_ms)
        staying = [replica for replica in self.replicas if replica.state in _ALIVE]
        surplus = len(staying) - count
        if surplus > 0:
            order = sorted(staying, key=lambda one: (not one.accepts, one.started_ms), reverse=True)
            for replica in order[:surplus]:
                replica.drain(now_ms)
            self._bury()

    def add_replica(
        self, now_ms: float, name: str = "", startup_ms: float | None = None
    ) -> EmulatedReplica:
        """Start one more.

        Args:
            now_ms: The time.
            name: Its name, such as that of a pod; one is made where it is empty.
            startup_ms: Its start-up time; that of the model by default.

        Raises:
            ValueError: There is one of that name.
        """
        self._made += 1
        name = name or f"{self._prefix}-{self._made}"
        if self.replica(name) is not None:
            raise ValueError(f"there is a replica {name} already")
        startup = self.served.startup_ms if startup_ms is None else startup_ms
        replica = EmulatedReplica(
            name, self.served, now_ms, startup_ms=startup, seed=self._draws.getrandbits(32)
        )
        self.replicas.append(replica)
        self.advance(now_ms)
        return replica

    def remove_replica(self, name: str, now_ms: float) -> None:
        """Drain the replica of that name; one that is not there is gone already."""
        replica = self.replica(name)
        if replica is not None:
            replica.drain(now_ms)
            self._bury()

    def next_ms(self) -> float:
        """Return when something happens next; infinite where nothing will by itself."""
        return min((replica.next_ms() for replica in self.replicas), default=float("inf"))

    def advance(self, now_ms: float) -> None:
        """Let time pass: iterations, starts, drains, and held requests that find a replica."""
        while True:
            due = [
                replica.ready_ms
                for replica in self.replicas
                if replica.state is ReplicaState.STARTING and replica.ready_ms <= now_ms
            ]
            if not due:
                break
            # One start after the other, so that held requests meet the replicas of their time.
            at_ms = min(due)
            self._advance(at_ms)
            self._send_held(at_ms)
        self._advance(now_ms)

    def submit(self, request: EmulatedRequest, now_ms: float) -> None:
        """Take a request to one of the replicas, or hold it until there is one."""
        self.advance(now_ms)
        request.sent_ms = now_ms
        ready = [replica for replica in self.replicas if replica.accepts]
        if not ready and not self._hold:
            self._attempts["failure"] += 1
            request.end(RequestState.REFUSED, now_ms, "no replica is ready")
            return
        self._attempts["success"] += 1
        if ready:
            self._route(request, ready).submit(request, now_ms)
        else:
            self._held.append(request)

    def abort(self, request: EmulatedRequest, now_ms: float) -> None:
        """Break off a request whose reader went away."""
        if request.ended:
            return
        if request in self._held:
            self._held.remove(request)
            request.end(RequestState.ABORTED, now_ms, "its reader went away")
            return
        replica = self.replica(request.replica)
        if replica is not None:
            replica.abort(request, now_ms)

    def order(self, order: FaultOrder, now_ms: float) -> list[str]:
        """Carry out an order of faults; return the names of the replicas it reached.

        Raises:
            InvalidInputError: It names a replica that is not there.
        """
        self.advance(now_ms)
        names = [replica.name for replica in self.replicas]
        if order.replicas is not None:
            unknown = [name for name in order.replicas if name not in names]
            if unknown:
                allowed = ", ".join(names) or "none is there"
                raise InvalidInputError(
                    [Problem("replicas", f"no replica {name}", allowed) for name in unknown]
                )
            names = list(order.replicas)
        for replica in self.replicas:
            if replica.name in names:
                replica.order(order, now_ms)
        self._bury()
        return names

    def gateway_metrics(self, now_ms: float) -> bytes:
        """Return the metrics of the gateway as Prometheus text."""
        self.advance(now_ms)
        return exposition(
            gateway_metrics(
                self.served.name,
                self._attempts,
                len(self._held),
                older_names=self.served.older_names,
            )
        )

    def _advance(self, now_ms: float) -> None:
        draining = False
        for replica in self.replicas:
            replica.advance(now_ms)
            draining |= replica.state is ReplicaState.GONE
        if draining:
            self._bury()

    def _bury(self) -> None:
        self.replicas = [one for one in self.replicas if one.state is not ReplicaState.GONE]

    def _send_held(self, now_ms: float) -> None:
        while self._held:
            ready = [replica for replica in self.replicas if replica.accepts]
            if not ready:
                return
            request = self._held.popleft()
            self._route(request, ready).submit(request, now_ms)

    def _route(self, request: EmulatedRequest, ready: Sequence[EmulatedReplica]) -> EmulatedReplica:
        if len(ready) == 1:
            return ready[0]
        if self._router is Router.RANDOM:
            return self._draws.choice(ready)
        if self._router is Router.ROUND_ROBIN:
            self._turn += 1
            return ready[(self._turn - 1) % len(ready)]
        fewest = self._router is Router.SHORTEST_QUEUE
        return min(ready, key=_in_system if fewest else _kv_blocks_wanted)


def _in_system(replica: EmulatedReplica) -> int:
    return replica.loop.in_system


def _kv_blocks_wanted(replica: EmulatedReplica) -> int:
    return replica.loop.kv_blocks_wanted


def _name_of(model: str) -> str:
    """Return a model's name as the name of a pod may be: `meta-llama/Llama-3.1-8B` loses its /."""
    kept = "".join(letter if letter.isalnum() else "-" for letter in model.lower())
    return kept.strip("-") or "replica"
