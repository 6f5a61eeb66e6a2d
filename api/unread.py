"""Bodies that an answer leaves unread: read and dropped, so that the client sees the answer.

Most clients write their whole body before they read anything. A server that answers early (413
is told by the declared length alone) and closes with bytes still arriving makes the client's
system throw the answer away, and the client reports a broken connection (RFC 9112, section 9.6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from litestar.types.asgi_types import ReceiveMessage

MOST_BYTES = 512 * 2**20
"""Most bytes of a body that are read only to be dropped."""

PATIENCE_S = 30.0
"""Longest time to read them in, in seconds."""


def dropping_unread_bodies(
    app: ASGIApp, *, most_bytes: int = MOST_BYTES, patience_s: float = PATIENCE_S
) -> ASGIApp:
    """Return an application that answers as another does, and then reads bodies to their end.

    The answer is sent whole before anything is dropped; only its end is told afterwards, which is
    what lets the server close. Where bytes may be left, it says ``Connection: close``.

    Args:
        app: The application.
        most_bytes: Most bytes that are dropped; beyond it the connection is closed on them.
        patience_s: Longest time for that, in seconds.
    """

    async def read_to_the_end(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or not _sends_body(scope["headers"]):
            await app(scope, receive, send)
            return
        unread = not _waits_for_leave(scope["headers"])
        begun = False

        async def receive_noting_the_end() -> ReceiveMessage:
            nonlocal unread, begun
            message = await receive()
            begun = True
            unread = _more_follows(message)
            return message

        async def drop() -> None:
            dropped = 0
            while unread and dropped <= most_bytes:
                message = await receive_noting_the_end()
                if message["type"] == "http.request":
                    dropped += len(message.get("body", b""))

        async def send_and_drop(message: Message) -> None:
            if message["type"] == "http.response.start" and (unread or not begun):
                closing = [(b"connection", b"close")]
                await send({**message, "headers": [*message["headers"], *closing]})
                return
            if message["type"] != "http.response.body" or message["more_body"] or not unread:
                await send(message)
                return
            await send({"type": message["type"], "body": message["body"], "more_body": True})
            with suppress(TimeoutError):  # a client this slow finds the connection closed
                await asyncio.wait_for(drop(), patience_s)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        await app(scope, receive_noting_the_end, send_and_drop)

    return read_to_the_end


def _sends_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
        for name, value in headers
    )


def _waits_for_leave(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the client sends its body only when told to, so that there is none to drop."""
    return any(name == b"expect" and value.lower() == b"100-continue" for name, value in headers)


def _more_follows(message: ReceiveMessage) -> bool:
    return message["type"] == "http.request" and message.get("more_body", False)
