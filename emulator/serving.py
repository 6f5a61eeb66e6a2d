"""Completions over HTTP: requests into the fleet, tokens out of it at their times."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

from litestar import Request, Response
from litestar.datastructures import State
from litestar.response import Stream

from emulator.completions import Answer, Asked, BadRequestError, error_body, read_asked
from emulator.fleet import EmulatedFleet
from emulator.reader import Reader
from emulator.real_time import EmulatedClock, RealTime
from emulator.requests import RequestState

AnyRequest = Request[Any, Any, State]  # no users here; the state is not used
Reply = Response[bytes] | Stream

_STATUS = {
    RequestState.TOO_LARGE: (400, "BadRequestError"),
    RequestState.REFUSED: (503, "ServiceUnavailableError"),
    RequestState.TURNED_AWAY: (503, "ServiceUnavailableError"),
    RequestState.ABORTED: (499, "ClientClosedRequest"),
}


class Serving:
    """Answers requests for completions.

    Attributes:
        draining: Whether new requests are refused.
    """

    def __init__(self, fleet: EmulatedFleet, clock: EmulatedClock, real_time: RealTime) -> None:
        self.draining = False
        self._fleet = fleet
        self._clock = clock
        self._real_time = real_time
        self._numbers = itertools.count(1)

    async def complete(self, request: AnyRequest, name: str, *, chat: bool) -> Reply:
        """Answer a request for a completion."""
        served = self._fleet.served
        try:
            asked = read_asked(
                await request.body(),
                chat=chat,
                model=served.name,
                max_model_tokens=served.max_model_tokens,
            )
        except BadRequestError as error:
            return refusal(str(error), "BadRequestError", 400)
        if self.draining:
            return refusal("the server is shutting down", "ServiceUnavailableError", 503)
        target = self._fleet.replica(name) if name else None
        if name and target is None:
            return refusal(f"no replica {name}", "NotFoundError", 404)
        reader = Reader(asked.prompt_tokens, asked.output_tokens, stream=asked.stream)
        now_ms = self._clock.now_ms()
        if target is None:
            self._fleet.submit(reader.request, now_ms)
        else:
            reader.request.sent_ms = now_ms
            target.submit(reader.request, now_ms)
        self._real_time.touch()
        if reader.ended and reader.request.state is not RequestState.DONE:
            return _ending(reader)
        if asked.stream:
            return Stream(
                self._events(asked, reader),
                media_type="text/event-stream",
                headers={"Cache-Control": "no-cache"},
                status_code=200,
            )
        return await self._whole(asked, reader, request)

    async def _whole(self, asked: Asked, reader: Reader, request: AnyRequest) -> Reply:
        gone = asyncio.ensure_future(_disconnected(request))
        ended = asyncio.ensure_future(reader.wait())
        try:
            await asyncio.wait({gone, ended}, return_when=asyncio.FIRST_COMPLETED)
            if reader.request.state is RequestState.DONE:
                await asyncio.sleep(self._clock.seconds_until(reader.request.completion_ms))
        finally:
            gone.cancel()
            ended.cancel()
            self._break_off(reader)
        if reader.request.state is not RequestState.DONE:
            return _ending(reader)
        return Response(self._answer(asked).whole(), media_type="application/json")

    async def _events(self, asked: Asked, reader: Reader) -> AsyncIterator[bytes]:
        """Yield the events of a stream; what is due together goes together."""
        answer = self._answer(asked)
        try:
            sent = 0
            while sent < asked.output_tokens:
                due = await reader.wait()
                if not due and reader.ended:
                    # As a server that breaks down: the stream ends without its end.
                    raise ConnectionResetError(reader.request.reason)
                while due:
                    await asyncio.sleep(self._clock.seconds_until(due[0]))
                    now_ms = self._clock.now_ms()
                    ready = 1
                    while ready < len(due) and due[ready] <= now_ms:
                        ready += 1
                    sent += ready
                    yield b"".join(answer.token() for _ in range(ready))
                    del due[:ready]
            yield answer.closing()
        finally:
            self._break_off(reader)

    def _answer(self, asked: Asked) -> Answer:
        name = f"{'chatcmpl' if asked.chat else 'cmpl'}-{next(self._numbers)}"
        return Answer(asked, name, int(time.time()))

    def _break_off(self, reader: Reader) -> None:
        """Let the engine know that nobody waits any more."""
        if not reader.ended:
            self._fleet.abort(reader.request, self._clock.now_ms())
            self._real_time.touch()


def _ending(reader: Reader) -> Response[bytes]:
    """Return the answer to a request that ended without being done."""
    request = reader.request
    status, kind = _STATUS.get(request.state, (500, "InternalServerError"))
    return refusal(request.reason, kind, status)


def refusal(message: str, kind: str, status: int) -> Response[bytes]:
    """Return an error as these endpoints tell it."""
    return Response(
        error_body(message, kind, status), status_code=status, media_type="application/json"
    )


async def _disconnected(request: AnyRequest) -> None:
    """Return when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
