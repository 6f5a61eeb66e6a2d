"""For those who run the service: health, readiness, metrics and the description of itself."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from api.endpoint import Call, Content, Endpoint, JsonSchema, Place, Reply
from api.metrics import TEXT_FORMAT
from api.problems import ProblemType, RequestRefusedError
from api.readiness import unready_parts
from api.schema_building import object_of
from api.services import Services


def health(_: Services, __: Call) -> Reply:
    """Answer that the process serves."""
    return Reply({"status": "ok"})


def ready(_: Services, __: Call) -> Reply:
    """Answer whether fleets can be planned.

    Raises:
        RequestRefusedError: 503 with the reasons why not.
    """
    reasons = unready_parts()
    if reasons:
        detail = "; ".join(reasons)
        raise RequestRefusedError(HTTPStatus.SERVICE_UNAVAILABLE, ProblemType.NOT_READY, detail)
    return Reply({"status": "ready"})


def metrics(services: Services, _: Call) -> Reply:
    """Answer all metrics in Prometheus' text format."""
    return Reply(services.metrics.exposition(), media_type=TEXT_FORMAT)


def openapi(services: Services, _: Call) -> Reply:
    """Answer the description of all endpoints."""
    return Reply(services.openapi)


_OBJECT: JsonSchema = {"type": "object"}


def _get(
    path: str,
    answer: Callable[[Services, Call], Reply],
    summary: str,
    reply: Content,
    *,
    place: Place = Place.EVENT_LOOP,
    description: str = "",
) -> Endpoint:
    return Endpoint(
        method="GET",
        path=path,
        answer=answer,
        place=place,
        tag="Operations",
        summary=summary,
        description=description,
        reply=reply,
    )


OPERATIONS_ENDPOINTS = (
    _get(
        "/health",
        health,
        "Whether the process serves",
        Content("It does.", object_of({"status": {"const": "ok"}}), {"ok": {"status": "ok"}}),
    ),
    _get(
        "/ready",
        ready,
        "Whether fleets can be planned",
        Content(
            "They can.",
            object_of({"status": {"const": "ready"}}),
            {"ready": {"status": "ready"}},
        ),
        place=Place.QUESTION,
        description="Solves a model of one variable and reads the built-in fleets; 503 if not.",
    ),
    _get(
        "/metrics",
        metrics,
        "Metrics for Prometheus",
        Content(
            "Requests by route, method and status; solve seconds; plans by status; solves in "
            "flight.",
            {"type": "string"},
            {
                "excerpt": "# TYPE stoker_plans_total counter\n"
                'stoker_plans_total{status="optimal"} 3.0\n'
            },
            media_type=TEXT_FORMAT,
        ),
    ),
    _get(
        "/openapi.json",
        openapi,
        "This description",
        Content("An OpenAPI 3.1 document.", _OBJECT, {"excerpt": {"openapi": "3.1.0"}}),
    ),
    _get(
        "/schema",
        openapi,
        "This description",
        Content("An OpenAPI 3.1 document.", _OBJECT, {"excerpt": {"openapi": "3.1.0"}}),
    ),
)
