"""The endpoints of a control loop: what it did, what waits, and orders to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias

from api.control import answers, examples, reading, schemas
from api.control.desk import ControlParts
from api.endpoint import Call, Content, EndpointOn, Parameter, Place, Reply
from api.metrics import TEXT_FORMAT
from api.schema_building import object_of

Answer: TypeAlias = Callable[[ControlParts, Call], Reply]


@dataclass(frozen=True, slots=True)
class ControlEndpoint(EndpointOn[ControlParts]):
    """An endpoint of the service of a control loop."""


_REFUSED = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_ORDER_REFUSED = (*_REFUSED, HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT)


_SERVER = Parameter("server", "A server of the fleet.", "chat")
_PLAN = Parameter("plan", "Identity of the plan that was seen.", "3f2a9c0d41be")
_WHOLE: dict[str, object] = {"type": "integer", "minimum": 1}
_CYCLE = Parameter("cycle", "Number of the cycle; the last if left.", 12, _WHOLE, "query")
_MOMENT = {"type": "string", "format": "date-time"}
_HISTORY = (
    Parameter(
        "limit",
        "Most cycles of the page.",
        20,
        {"type": "integer", "minimum": 1, "maximum": reading.MOST_CYCLES},
        "query",
    ),
    Parameter("before", "`next` of the page before.", 120, _WHOLE, "query"),
    Parameter("since", "Cycles from then on.", "2026-12-01T06:00:00Z", _MOMENT, "query"),
    Parameter("until", "Cycles before then.", "2026-12-01T18:00:00Z", _MOMENT, "query"),
    Parameter(
        "server",
        "Explain this server in each cycle, instead of the cycles in short.",
        "chat",
        {"type": "string", "minLength": 1},
        "query",
    ),
)


def _asked(
    path: str,
    answer: Answer,
    summary: str,
    reply: Content,
    parameters: tuple[Parameter, ...] = (),
    description: str = "",
) -> ControlEndpoint:
    return ControlEndpoint(
        method="GET",
        path=f"/v1/control/{path}",
        answer=answer,
        place=Place.QUESTION,
        tag="What the loop does",
        summary=summary,
        description=description,
        parameters=parameters,
        reply=reply,
        refusals=_REFUSED,
    )


def _ordered(
    path: str,
    answer: Answer,
    summary: str,
    body: Content,
    reply: Content,
    *,
    parameters: tuple[Parameter, ...] = (),
    description: str = "",
    success: HTTPStatus = HTTPStatus.OK,
) -> ControlEndpoint:
    return ControlEndpoint(
        method="POST",
        path=f"/v1/control/{path}",
        answer=answer,
        place=Place.QUESTION,
        tag="Orders to the loop",
        summary=summary,
        description=description,
        parameters=parameters,
        body=body,
        reply=reply,
        refusals=_ORDER_REFUSED,
        success=success,
    )


def _operation(
    path: str, answer: Answer, summary: str, reply: Content, description: str = ""
) -> ControlEndpoint:
    return ControlEndpoint(
        method="GET",
        path=path,
        answer=answer,
        place=Place.EVENT_LOOP,
        tag="Operations",
        summary=summary,
        description=description,
        reply=reply,
    )


_SERVERS = Content(
    "Whose decisions; all of the plan where it is left out.",
    schemas.SERVERS,
    {"all": {}, "some": {"servers": ["chat"]}},
    required=False,
)
_NOTHING = Content("Nothing.", schemas.NOTHING, {"nothing": {}}, required=False)

CONTROL_ENDPOINTS: tuple[ControlEndpoint, ...] = (
    _asked(
        "status",
        answers.status,
        "The last cycle",
        Content("Its whole record, and what is ordered.", schemas.STATUS, {}),
    ),
    _asked(
        "history",
        answers.history,
        "Cycles, the newest first",
        Content("A page of them.", schemas.HISTORY, {"page": examples.HISTORY}),
        _HISTORY,
        "Pages follow each other by `before`: new cycles do not move them.",
    ),
    _asked(
        "cycles/{cycle}",
        answers.cycle,
        "One cycle",
        Content("Its whole record, as in the lines of JSON.", schemas.RECORD, {}),
        (Parameter("cycle", "Its number, or `last`.", "last"),),
    ),
    _asked(
        "explain/{server}",
        answers.explain,
        "How a size came about",
        Content(
            "Signals with ages and queries, forecast, plan, decision and changes.",
            schemas.EXPLANATION,
            {},
        ),
        (_SERVER, _CYCLE),
    ),
    _asked(
        "pending",
        answers.pending,
        "The plan that waits for approval",
        Content("It, if one waits.", schemas.PENDING, {"waiting": examples.PENDING}),
        description=(
            "Its `id` is that of the changes that it would make: it stays while the loop decides "
            "the very same, and is another one as soon as anything differs."
        ),
    ),
    _ordered(
        "approve/{plan}",
        answers.approve,
        "Approve the plan that was seen",
        _SERVERS,
        Content("What was approved.", schemas.APPROVED, {"approved": examples.APPROVED}),
        parameters=(_PLAN,),
        description=(
            "A cycle begins at once and carries it out, if it still decides the same. 409 where "
            "another plan waits by now, or none."
        ),
    ),
    _ordered(
        "reject/{plan}",
        answers.reject,
        "Reject the plan that was seen",
        _SERVERS,
        Content("What was rejected.", schemas.REJECTED, {"rejected": examples.REJECTED}),
        parameters=(_PLAN,),
        description="It waits no more while the loop decides the very same.",
    ),
    _ordered(
        "pause",
        answers.pause,
        "Change nothing for now",
        Content(
            "Why.",
            schemas.REASON,
            {"told": {"reason": "Maintenance of the nodes."}, "nothing": {}},
            required=False,
        ),
        Content("Since when.", schemas.PAUSE, {"paused": examples.PAUSED}),
        description=(
            "The loop goes on to measure and to plan, and keeps the Lease. It stays paused when it "
            "is started again with the same records."
        ),
    ),
    _ordered(
        "resume",
        answers.resume,
        "Act again, as far as the mode allows",
        _NOTHING,
        Content("Nothing is paused.", schemas.PAUSE, {"resumed": {"paused": None}}),
    ),
    _ordered(
        "trigger",
        answers.trigger,
        "Begin a cycle now",
        _NOTHING,
        Content(
            "The cycle after which it comes; while one runs, the next begins when it is over.",
            schemas.TRIGGERED,
            {"triggered": {"after_cycle": 11}},
        ),
        success=HTTPStatus.ACCEPTED,
    ),
    _operation(
        "/health",
        answers.health,
        "Whether cycles follow each other",
        Content("They do.", object_of({"status": {"const": "ok"}}), {"ok": {"status": "ok"}}),
        "503 where none was over for ten periods, for a liveness probe.",
    ),
    _operation(
        "/metrics",
        answers.metrics,
        "Metrics for Prometheus",
        Content(
            "Those of the loop.",
            {"type": "string"},
            {"excerpt": "# TYPE stoker_leader gauge\nstoker_leader 1.0\n"},
            media_type=TEXT_FORMAT,
        ),
    ),
    _operation(
        "/openapi.json",
        answers.openapi,
        "This description",
        Content("An OpenAPI 3.1 document.", {"type": "object"}, {"it": {"openapi": "3.1.0"}}),
    ),
)
