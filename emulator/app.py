"""The HTTP faces of a fleet: OpenAI's endpoints, health, metrics, and orders to it.

A lone replica stands at the root, as a model server does. Of several, each stands under
``/replicas/NAME``, and the root is the gateway before them.
"""

from __future__ import annotations

import asyncio

from litestar import Litestar, Response, get, post, put
from litestar.handlers import HTTPRouteHandler

from emulator.administration import Administration
from emulator.fleet import EmulatedFleet
from emulator.real_time import EmulatedClock, RealTime
from emulator.serving import AnyRequest, Reply, Serving, refusal
from stoker.domain.errors import InvalidInputError

_MOST_BYTES = 32 * 2**20
_LOOK_S = 0.02


class EmulatorServer:
    """Serves a fleet over HTTP.

    Attributes:
        app: The application.
    """

    def __init__(
        self,
        fleet: EmulatedFleet,
        clock: EmulatedClock,
        real_time: RealTime,
        *,
        lone: bool,
        address: str = "",
    ) -> None:
        """Set up.

        Args:
            fleet: The fleet.
            clock: Its time.
            real_time: What lets it pass.
            lone: Whether the root is a single replica, not a gateway.
            address: Host and port under which Prometheus finds it, for its discovery.
        """
        self._fleet = fleet
        self._clock = clock
        self._real_time = real_time
        self._serving = Serving(fleet, clock, real_time)
        administration = Administration(
            fleet, clock, real_time, self._serving, lone=lone, address=address
        )
        self.app = Litestar(
            _handlers(self._serving, administration),
            openapi_config=None,
            logging_config=None,
            request_max_body_size=_MOST_BYTES,
            on_startup=[real_time.start],
            on_shutdown=[real_time.stop],
        )

    async def drain(self, limit_s: float) -> None:
        """Refuse new requests, and return when the running ones have ended, or after a time."""
        self._serving.draining = True
        now_ms = self._clock.now_ms()
        for replica in list(self._fleet.replicas):
            replica.drain(now_ms)
        end_s = asyncio.get_running_loop().time() + limit_s
        while self._fleet.in_system and asyncio.get_running_loop().time() < end_s:
            self._fleet.advance(self._clock.now_ms())
            self._real_time.touch()
            await asyncio.sleep(_LOOK_S)


def _handlers(serving: Serving, administration: Administration) -> list[HTTPRouteHandler]:
    """Return the routes."""

    @post(["/v1/completions", "/replicas/{name:str}/v1/completions"], status_code=200)
    async def completions(request: AnyRequest) -> Reply:
        return await serving.complete(request, _name(request), chat=False)

    @post(["/v1/chat/completions", "/replicas/{name:str}/v1/chat/completions"], status_code=200)
    async def chat_completions(request: AnyRequest) -> Reply:
        return await serving.complete(request, _name(request), chat=True)

    @get(["/v1/models", "/replicas/{name:str}/v1/models"])
    async def models(request: AnyRequest) -> Response[dict[str, object]]:
        administration.replica(_name(request))
        return Response(administration.models())

    @get(["/health", "/replicas/{name:str}/health"])
    async def health(request: AnyRequest) -> Response[bytes]:
        return administration.health(_name(request))

    @get(["/metrics", "/replicas/{name:str}/metrics"])
    async def metrics(request: AnyRequest) -> Response[bytes]:
        return administration.metrics(_name(request))

    @get("/replicas")
    async def replicas() -> Response[dict[str, object]]:
        return Response(administration.state())

    @put("/replicas")
    async def scale(request: AnyRequest) -> Response[dict[str, object]]:
        return Response(administration.scale(await request.body()))

    @post("/faults", status_code=200)
    async def faults(request: AnyRequest) -> Response[dict[str, object]]:
        return Response(administration.fault(await request.body()))

    @get("/targets")
    async def targets() -> Response[list[dict[str, object]]]:
        return Response(administration.targets())

    handlers: list[HTTPRouteHandler] = [
        completions,
        chat_completions,
        models,
        health,
        metrics,
        replicas,
        scale,
        faults,
        targets,
    ]
    for handler in (scale, faults):
        handler.exception_handlers = {InvalidInputError: _invalid}
    return handlers


def _name(request: AnyRequest) -> str:
    """Return the replica that a path names; empty for the root."""
    return str(request.path_params.get("name", ""))


def _invalid(_: AnyRequest, error: InvalidInputError) -> Response[bytes]:
    message = "; ".join(str(problem) for problem in error.problems)
    return refusal(message, "BadRequestError", 400)
