"""The application that serves a control loop: its metrics, what it did, and orders to it."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from litestar import Litestar, Response
from litestar.exceptions import HTTPException

from api.control.access import Access, Caller
from api.control.desk import ControlDesk, ControlParts
from api.control.endpoints import CONTROL_ENDPOINTS
from api.endpoint import Place
from api.openapi import openapi_document
from api.problems import (
    AnyRequest,
    ProblemType,
    RequestRefusedError,
    handle_bug,
    handle_http_exception,
    handle_refusal,
    handle_stoker_error,
)
from api.routing import handler
from api.unread import dropping_unread_bodies
from api.work import WorkGate
from stoker import __version__
from stoker.domain.errors import StokerError

MAX_BODY_BYTES = 2**20
_AT_ONCE = 2
_WAITING = 64
_LIMIT_S = 60.0

_DESCRIPTION = (
    "What the loop does, and orders to it. Errors are problem details (RFC 9457). With a token, "
    "all under /v1 wants it (`Authorization: Bearer TOKEN`); without one, orders are taken from "
    "the loopback alone."
)


def create_control_app(
    desk: ControlDesk,
    exposition: Callable[[], bytes],
    *,
    token: Callable[[], str] | None = None,
    stalled: Callable[[], str] = lambda: "",
) -> Litestar:
    """Return the REST service of a control loop as an ASGI application.

    Args:
        desk: The desk of the loop; called from threads.
        exposition: Returns the loop's metrics in Prometheus' text format.
        token: Returns the token that requests must carry, as it is now; may raise `OSError`. None
            where none is wanted.
        stalled: Returns why the loop is held to stand still; empty where it runs.
    """
    access = Access(token)
    questions = WorkGate("question", at_once=_AT_ONCE, waiting=_WAITING, limit_s=_LIMIT_S)
    parts = ControlParts(
        desk,
        exposition,
        stalled,
        openapi_document(
            CONTROL_ENDPOINTS,
            version=__version__,
            summary="Watches and orders a control loop.",
            description=_DESCRIPTION,
        ),
    )
    gates = {Place.QUESTION: questions}

    async def admit(request: AnyRequest) -> None:
        client = request.client
        headers = {name.lower(): value for name, value in request.headers.items()}
        caller = Caller("" if client is None else client.host, headers)
        access.check(request.scope["path"], caller, writes=request.method != "GET")

    app = Litestar(
        [handler(endpoint, parts, gates.get(endpoint.place)) for endpoint in CONTROL_ENDPOINTS],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=MAX_BODY_BYTES,
        before_request=admit,
        on_shutdown=[questions.close],
        exception_handlers={
            RequestRefusedError: handle_refusal,
            StokerError: handle_stoker_error,
            HTTPException: handle_http_exception,
            OSError: _handle_records,
            Exception: handle_bug,
        },
    )
    # Around the routing, not in a middleware: a path that is not served has a body too.
    app.asgi_handler = dropping_unread_bodies(app.asgi_handler)
    return app


def _handle_records(request: AnyRequest, error: OSError) -> Response[dict[str, object]]:
    """Answer that the records of the loop cannot be read now."""
    words = error.strerror or str(error)
    refusal = RequestRefusedError(HTTPStatus.SERVICE_UNAVAILABLE, ProblemType.NOT_READY, words)
    return handle_refusal(request, refusal)
