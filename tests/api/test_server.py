"""The service as it runs: uvicorn on a free port of the loopback, asked over real sockets."""

import json
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from api import examples
from api.app import create_app
from data.fleets import read_fleet
from data.inferno import fleet_to_system

PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    app = create_app(stateful=True, max_body_bytes=1_000_000)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.started
    host, port = listener.getsockname()
    yield f"http://{host}:{port}"
    server.should_exit = True
    thread.join(PATIENCE_S)
    listener.close()
    assert not thread.is_alive()


def test_a_fleet_is_planned_over_the_wire(address: str) -> None:
    with httpx.Client(base_url=address, timeout=PATIENCE_S) as client:
        assert client.get("/ready").json() == {"status": "ready"}
        plan = client.post("/v1/plan", json={"fleet": "small"}).json()
        assert plan["status"] == "optimal"
        system = fleet_to_system(read_fleet("small"))
        answer = client.post("/optimizeOne", content=json.dumps(system))
        assert set(answer.json()["allocations"]) == set(plan["allocations"])


def test_a_name_with_slashes_is_found(address: str) -> None:
    with httpx.Client(base_url=address) as client:
        name = "meta-llama/Llama-3.1-8B"
        body = {**examples.PERFORMANCE, "name": name}
        assert client.post("/setModels", json={"models": [body]}).status_code == 200
        assert client.get("/getModel/meta-llama%2FLlama-3.1-8B").json()["models"][0]["name"] == name


def test_a_body_too_large_is_refused_over_the_wire(address: str) -> None:
    with httpx.Client(base_url=address) as client:
        assert client.post("/v1/plan", content=b" " * 1_000_001).status_code == 413


@pytest.mark.parametrize(
    "head",
    [
        b"POST /optimizeOne HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /optimizeOne HTTP/1.1\r\nHost: x\r\nContent-Length: two\r\n\r\n",
        b"GET /getServer/%ff%fe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /getServer/%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"NONSENSE\r\n\r\n",
    ],
)
def test_raw_nonsense_is_a_client_error(address: str, head: bytes) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as wire:
        wire.sendall(head)
        status = wire.recv(100).split(b" ", 2)[1]
    assert status[:1] == b"4"
