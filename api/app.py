"""The application: endpoints, limits, errors and metrics around litestar's routing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from http import HTTPStatus

from litestar import Litestar, Response
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.types import Message, Scope

from api.catalogue_routes import CATALOGUE_ENDPOINTS
from api.diffing import DIFF_ENDPOINT
from api.endpoint import Endpoint, Place
from api.explaining import EXPLAIN_ENDPOINT
from api.horizons import HORIZON_ENDPOINT
from api.inferno_changes import CHANGE_ENDPOINTS
from api.inferno_reads import READ_ENDPOINTS
from api.inferno_solves import OPTIMIZE_ONE_ENDPOINT
from api.metrics import Metrics
from api.native import NATIVE_ENDPOINTS
from api.openapi import openapi_document
from api.operations import OPERATIONS_ENDPOINTS
from api.paths import template
from api.placements import PLACEMENT_ENDPOINT
from api.planning import Planner, Planning
from api.problems import (
    AnyRequest,
    ProblemType,
    RequestRefusedError,
    handle_bug,
    handle_http_exception,
    handle_refusal,
    handle_stoker_error,
)
from api.routing import handler, route
from api.services import Services
from api.store import SystemStore
from api.unread import dropping_unread_bodies
from api.work import WorkGate
from data.catalogue import load_catalogue
from optimizer.planner import plan_fleet
from stoker import __version__
from stoker.domain.errors import StokerError

MAX_BODY_BYTES = 32 * 2**20
TIME_LIMIT_S = 60.0
MAX_CONCURRENT_SOLVES = 2

_GRACE_S = 15.0
"""Beyond the solver's own limit: reading, predicting candidates, checking and writing."""

_WAITING_SOLVES_EACH = 8
_QUESTIONS_AT_ONCE = 2
_WAITING_QUESTIONS = 256


def create_app(
    *,
    stateful: bool = False,
    store: SystemStore | None = None,
    max_body_bytes: int = MAX_BODY_BYTES,
    time_limit_s: float = TIME_LIMIT_S,
    max_concurrent_solves: int = MAX_CONCURRENT_SOLVES,
    planner: Planner = plan_fleet,
    clock: Callable[[], float] = time.perf_counter,
) -> Litestar:
    """Return the REST service as an ASGI application.

    Args:
        stateful: Whether the Inferno verbs that change the stored system are served.
        store: The stored system; None for an empty one of its own.
        max_body_bytes: Largest body that is read, in bytes; larger ones get 413.
        time_limit_s: Longest solve in seconds; requests may ask for less.
        max_concurrent_solves: Most solves at a time; eight times as many may wait, and more get
            503 with a Retry-After.
        planner: Plans a fleet.
        clock: Monotonic seconds, to time solves with.
    """
    solves = WorkGate(
        "solve",
        at_once=max_concurrent_solves,
        waiting=_WAITING_SOLVES_EACH * max_concurrent_solves,
        limit_s=time_limit_s + _GRACE_S,
    )
    questions = WorkGate(
        "question", at_once=_QUESTIONS_AT_ONCE, waiting=_WAITING_QUESTIONS, limit_s=time_limit_s
    )
    metrics = Metrics(lambda: solves.held)
    endpoints = served_endpoints(stateful=stateful)
    services = Services(
        planning=Planning(planner, time_limit_s, metrics, clock),
        store=SystemStore() if store is None else store,
        metrics=metrics,
        catalogue=load_catalogue(),
        openapi=openapi_document(endpoints, version=__version__),
    )
    gates = {Place.SOLVE: solves, Place.QUESTION: questions}
    handlers = [handler(endpoint, services, gates.get(endpoint.place)) for endpoint in endpoints]
    if not stateful:
        handlers += [_stateless_handler(endpoint) for endpoint in CHANGE_ENDPOINTS]

    shown_paths = {template(endpoint.path): endpoint.path for endpoint in endpoints}

    async def count_answer(message: Message, scope: Scope) -> None:
        if message["type"] == "http.response.start" and scope["type"] == ScopeType.HTTP:
            route = scope.get("path_template") or "unmatched"
            route = shown_paths.get(route, route)
            metrics.answered(route, scope["method"], message["status"])

    app = Litestar(
        handlers,
        openapi_config=None,
        logging_config=None,
        request_max_body_size=max_body_bytes,
        before_send=[count_answer],
        on_shutdown=[solves.close, questions.close],
        exception_handlers={
            RequestRefusedError: handle_refusal,
            StokerError: handle_stoker_error,
            HTTPException: handle_http_exception,
            Exception: handle_bug,
        },
    )
    # Around the routing, not in a middleware: a path that is not served has a body too.
    app.asgi_handler = dropping_unread_bodies(app.asgi_handler)
    return app


def served_endpoints(*, stateful: bool) -> Sequence[Endpoint]:
    """Return all endpoints of a service, in the order of their documentation."""
    return (
        *NATIVE_ENDPOINTS,
        EXPLAIN_ENDPOINT,
        DIFF_ENDPOINT,
        HORIZON_ENDPOINT,
        PLACEMENT_ENDPOINT,
        *CATALOGUE_ENDPOINTS,
        *OPERATIONS_ENDPOINTS,
        OPTIMIZE_ONE_ENDPOINT,
        *READ_ENDPOINTS,
        *(CHANGE_ENDPOINTS if stateful else ()),
    )


def _stateless_handler(endpoint: Endpoint) -> HTTPRouteHandler:
    async def handle(request: AnyRequest) -> Response[object]:
        raise RequestRefusedError(
            HTTPStatus.NOT_FOUND,
            ProblemType.STATELESS,
            f"{request.scope['path']} changes a stored system, and this service was started "
            "without --stateful; send the whole system to /optimizeOne instead",
        )

    return route(endpoint, handle)
