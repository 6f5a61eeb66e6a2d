"""What is asked of a fleet beside completions: health, metrics, replicas, faults."""

from __future__ import annotations

import json
from dataclasses import asdict

from litestar import Response
from litestar.exceptions import NotFoundException

from emulator.exposition import CONTENT_TYPE
from emulator.faults import read_order
from emulator.fleet import EmulatedFleet
from emulator.real_time import EmulatedClock, RealTime
from emulator.replica import EmulatedReplica, ReplicaState
from emulator.serving import Serving
from stoker.domain.errors import InvalidInputError, Problem

_MOST_REPLICAS = 1000


class Administration:
    """Answers about a fleet, and takes orders for it."""

    def __init__(
        self,
        fleet: EmulatedFleet,
        clock: EmulatedClock,
        real_time: RealTime,
        serving: Serving,
        *,
        lone: bool,
        address: str,
    ) -> None:
        """Set up.

        Args:
            fleet: The fleet.
            clock: Its time.
            real_time: What lets it pass.
            serving: What takes the requests.
            lone: Whether the root is a single replica, not a gateway.
            address: Host and port under which Prometheus finds it, for its discovery.
        """
        self._fleet = fleet
        self._clock = clock
        self._real_time = real_time
        self._serving = serving
        self._lone = lone
        self._address = address

    def replica(self, name: str) -> EmulatedReplica | None:
        """Return a replica by its name; the lone one has none.

        Raises:
            NotFoundException: There is no replica of that name.
        """
        if name:
            found = self._fleet.replica(name)
            if found is None:
                raise NotFoundException(detail=f"no replica {name}")
            return found
        if not self._lone:
            return None
        return self._fleet.replicas[0] if self._fleet.replicas else None

    def health(self, name: str) -> Response[bytes]:
        """Answer whether requests are taken: by a replica, or by any of them."""
        self._fleet.advance(self._clock.now_ms())
        replica = self.replica(name)
        states = self._fleet.replicas if replica is None else [replica]
        well = any(one.state is ReplicaState.READY for one in states)
        return Response(b"", status_code=200 if well and not self._serving.draining else 503)

    def metrics(self, name: str) -> Response[bytes]:
        """Answer with the metrics of a replica, or of the gateway."""
        now_ms = self._clock.now_ms()
        replica = self.replica(name)
        if replica is None:
            text: bytes | None = None if self._lone else self._fleet.gateway_metrics(now_ms)
        else:
            text = replica.metrics(now_ms)
        if text is None:
            return Response(b"", status_code=503)
        return Response(text, media_type=CONTENT_TYPE)

    def models(self) -> dict[str, object]:
        """Return the list of models: the one that is served."""
        served = self._fleet.served
        model = {
            "id": served.name,
            "object": "model",
            "created": 0,
            "owned_by": "stoker-emulate",
            "root": served.name,
            "max_model_len": served.max_model_tokens,
        }
        return {"object": "list", "data": [model]}

    def state(self) -> dict[str, object]:
        """Return the replicas and what they are about."""
        now_ms = self._clock.now_ms()
        self._fleet.advance(now_ms)
        return {
            "now_s": now_ms / 1000.0,
            "model": self._fleet.served.name,
            "wanted": self._fleet.wanted,
            "ready": self._fleet.ready,
            "held": self._fleet.held,
            "replicas": [
                {
                    "name": replica.name,
                    "state": replica.state.value,
                    "running": replica.loop.running,
                    "waiting": replica.loop.waiting,
                    "kv_use": replica.loop.memory.use,
                    "restarts": replica.restarts,
                    "faults": asdict(replica.faults),
                }
                for replica in self._fleet.replicas
            ],
        }

    def scale(self, body: bytes) -> dict[str, object]:
        """Let there be as many replicas as a body says, and return their state.

        Raises:
            InvalidInputError: It says no such number.
        """
        document = _object(body)
        count = document.get("count")
        if isinstance(count, bool) or not isinstance(count, int):
            raise InvalidInputError([Problem("count", f"is {count!r}", "a whole number")])
        if not 0 <= count <= _MOST_REPLICAS:
            allowed = f"0 to {_MOST_REPLICAS:,}"
            raise InvalidInputError([Problem("count", f"is {count:,}", allowed)])
        self._fleet.set_replicas(count, self._clock.now_ms())
        self._real_time.touch()
        return self.state()

    def fault(self, body: bytes) -> dict[str, object]:
        """Carry out an order of faults, and return the state of the replicas.

        Raises:
            InvalidInputError: The order is wrong.
        """
        self._fleet.order(read_order(_object(body)), self._clock.now_ms())
        self._real_time.touch()
        return self.state()

    def targets(self) -> list[dict[str, object]]:
        """Return what Prometheus is to scrape, in the form of its HTTP discovery."""
        alive = [
            replica
            for replica in self._fleet.replicas
            if replica.state in (ReplicaState.READY, ReplicaState.DRAINING)
        ]
        found: list[dict[str, object]] = [
            {
                "targets": [self._address],
                "labels": {
                    "__metrics_path__": "/metrics" if self._lone else _path(replica.name),
                    "pod": replica.name,
                },
            }
            for replica in alive
        ]
        if not self._lone:
            labels = {"__metrics_path__": "/metrics", "pod": "gateway"}
            found.append({"targets": [self._address], "labels": labels})
        return found


def _path(name: str) -> str:
    return f"/replicas/{name}/metrics"


def _object(body: bytes) -> dict[str, object]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError([Problem("", f"is not JSON: {error}", "a JSON object")]) from None
    if not isinstance(document, dict):
        raise InvalidInputError([Problem("", "is not an object", "a JSON object")])
    return document
