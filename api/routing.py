"""Endpoints as routes of the HTTP library."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.serialization import encode_json

from api.endpoint import Call, EndpointOn, Parts, Reply
from api.paths import names_in, routed
from api.problems import AnyRequest
from api.work import WorkGate


def handler(endpoint: EndpointOn[Parts], parts: Parts, gate: WorkGate | None) -> HTTPRouteHandler:
    """Return the route of an endpoint.

    Args:
        endpoint: The endpoint.
        parts: What it works with.
        gate: Where it computes; None for the event loop.
    """

    async def handle(request: AnyRequest) -> Response[object]:
        names = names_in(endpoint.path, request.path_params)
        if names is None:
            raise NotFoundException
        call = Call(
            path=names,
            query=dict(request.query_params),
            body=await request.body() if endpoint.body is not None else b"",
        )
        if gate is None:
            return _response(endpoint.answer(parts, call))
        return await gate.run(lambda: _response(endpoint.answer(parts, call)))

    return route(endpoint, handle)


def route(
    endpoint: EndpointOn[Any], handle: Callable[[AnyRequest], Awaitable[Response[object]]]
) -> HTTPRouteHandler:
    """Return the route of an endpoint that a function answers."""
    decorate = get if endpoint.method == "GET" else post
    address, name = routed(endpoint.path), endpoint.operation_id
    return decorate(address, status_code=endpoint.success, name=name)(handle)


def _response(reply: Reply) -> Response[object]:
    content = reply.content if isinstance(reply.content, bytes) else encode_json(reply.content)
    # As a header, to which no second charset is added.
    return Response(content, status_code=reply.status, headers={"content-type": reply.media_type})
