"""Answers to requests whose body is not read to its end reach the clients that send it all."""

import asyncio
import http.client
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from api.app import create_app
from api.unread import dropping_unread_bodies

PATIENCE_S = 20.0
LIMIT = 1_000_000


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    app = create_app(max_body_bytes=LIMIT)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    host, port = listener.getsockname()
    yield f"http://{host}:{port}"
    server.should_exit = True
    thread.join(PATIENCE_S)
    listener.close()


@pytest.mark.parametrize("size", [LIMIT + 1, 20 * LIMIT])
@pytest.mark.parametrize(
    ("path", "status"), [("/optimizeOne", 413), ("/nowhere", 404), ("/health", 405)]
)
def test_a_client_that_sends_its_whole_body_first_sees_the_answer(
    address: str, path: str, status: int, size: int
) -> None:
    request = urllib.request.Request(address + path, b"x" * size)
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request, timeout=PATIENCE_S)
    assert refusal.value.code == status
    assert refusal.value.headers["content-type"] == "application/problem+json"
    refusal.value.close()


def test_a_client_that_asks_first_is_answered_without_its_body(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as wire:
        wire.sendall(
            b"POST /optimizeOne HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Content-Length: 50000000\r\n\r\n"
        )
        answer = b"".join(iter(lambda: wire.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_connection_is_kept_where_the_body_was_read(address: str) -> None:
    client = http.client.HTTPConnection(address.removeprefix("http://"), timeout=PATIENCE_S)
    try:
        client.connect()
        first = client.sock
        for _ in range(2):
            client.request("POST", "/v1/validate", body=b"{}")
            answer = client.getresponse()
            answer.read()
            assert answer.status == 200
            assert answer.getheader("connection") != "close"
            assert client.sock is first
    finally:
        client.close()


async def _dropped(chunks: int, chunk: bytes, **bounds: Any) -> tuple[int, list[Any]]:
    """Return how many chunks were taken in, and what was sent."""
    taken = 0
    sent: list[Any] = []

    async def receive() -> Any:
        nonlocal taken
        if taken == chunks:
            await asyncio.Event().wait()
        taken += 1
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 413, "headers": []})
        await send({"type": "http.response.body", "body": b"no", "more_body": False})

    scope: Any = {"type": "http", "headers": [(b"transfer-encoding", b"chunked")]}
    await dropping_unread_bodies(refuse, **bounds)(scope, receive, send)
    return taken, sent


def test_dropping_ends_at_the_bound_of_bytes() -> None:
    taken, sent = asyncio.run(_dropped(100, b"x" * 10, most_bytes=55))
    assert taken == 6
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


def test_dropping_ends_at_the_bound_of_time() -> None:
    taken, sent = asyncio.run(_dropped(3, b"x", patience_s=0.05))
    assert taken == 3
    assert [message.get("body") for message in sent] == [None, b"no", b""]
