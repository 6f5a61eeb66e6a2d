"""Emulated model servers on loopback, for as long as a test needs them."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn

from emulator.app import EmulatorServer
from emulator.fleet import EmulatedFleet
from emulator.real_time import EmulatedClock, RealTime
from emulator.replica import ServedModel
from simulator import Engine
from stoker.domain.profile import TokenWorkParameters

PARAMETERS = TokenWorkParameters(20.0, 0.1, 0.001)
ENGINE = Engine(PARAMETERS, max_batch=64, kv_tokens=200_000)
PATIENCE_S = 120.0


@dataclass
class Running:
    """A server that runs in a thread of its own.

    Attributes:
        port: Where it listens.
        fleet: What it serves.
        clock: Its time.
        emulator: The server.
        loop: The event loop of its thread.
    """

    port: int
    fleet: EmulatedFleet
    clock: EmulatedClock
    emulator: EmulatorServer
    loop: asyncio.AbstractEventLoop | None = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: object = None, raw: bytes | None = None
    ) -> tuple[int, bytes]:
        """Send a request; return status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            text = raw if raw is not None else (None if body is None else json.dumps(body))
            connection.request(method, path, text)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def json(self, method: str, path: str, body: object = None) -> dict[str, object]:
        status, content = self.ask(method, path, body)
        assert status == 200, content
        document = json.loads(content)
        assert isinstance(document, dict)
        return document

    def wait_until_healthy(self, path: str = "/health") -> None:
        end = time.monotonic() + PATIENCE_S
        while self.ask("GET", path)[0] != 200:
            assert time.monotonic() < end
            time.sleep(0.02)


@contextmanager
def emulated_server(
    served: ServedModel | None = None,
    *,
    replicas: int = 1,
    speed: float = 1.0,
    lone: bool = True,
) -> Iterator[Running]:
    """Run an emulated server until the block ends."""
    fleet = EmulatedFleet(served or ServedModel("m", ENGINE), hold=not lone)
    clock = EmulatedClock(time.monotonic, speed)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    emulator = EmulatorServer(
        fleet, clock, RealTime(fleet, clock), lone=lone, address=f"127.0.0.1:{port}"
    )
    fleet.set_replicas(replicas, clock.now_ms())
    config = uvicorn.Config(
        emulator.app, log_level="error", access_log=False, ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    running = Running(port, fleet, clock, emulator)

    async def serve() -> None:
        running.loop = asyncio.get_running_loop()
        await server.serve(sockets=[listener])

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    end = time.monotonic() + PATIENCE_S
    while not server.started:
        assert time.monotonic() < end
        time.sleep(0.01)
    try:
        yield running
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        listener.close()
        assert not thread.is_alive()
