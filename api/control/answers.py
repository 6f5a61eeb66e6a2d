"""What each endpoint of a control loop answers."""

from __future__ import annotations

from http import HTTPStatus

from api.control import reading
from api.control.desk import ControlParts
from api.endpoint import Call, Reply
from api.metrics import TEXT_FORMAT
from api.problems import ProblemType, RequestRefusedError


def status(parts: ControlParts, call: Call) -> Reply:
    """Answer the last cycle, and what is ordered."""
    reading.no_query(call)
    return Reply(parts.desk.status())


def history(parts: ControlParts, call: Call) -> Reply:
    """Answer a page of cycles."""
    asked = reading.history_query(call)
    return Reply(
        parts.desk.history(
            asked.limit,
            before=asked.before,
            since=asked.since,
            until=asked.until,
            server=asked.server,
        )
    )


def cycle(parts: ControlParts, call: Call) -> Reply:
    """Answer a whole record."""
    reading.no_query(call)
    return Reply(parts.desk.cycle(reading.cycle_number(call.path["cycle"])))


def explain(parts: ControlParts, call: Call) -> Reply:
    """Answer all that a cycle knew and decided of a server."""
    return Reply(parts.desk.explain(call.path["server"], reading.cycle_query(call)))


def pending(parts: ControlParts, call: Call) -> Reply:
    """Answer the plan that waits for approval."""
    reading.no_query(call)
    return Reply(parts.desk.pending())


def approve(parts: ControlParts, call: Call) -> Reply:
    """Approve the plan that is named."""
    return Reply(parts.desk.approve(call.path["plan"], reading.servers_of(call)))


def reject(parts: ControlParts, call: Call) -> Reply:
    """Reject the plan that is named."""
    return Reply(parts.desk.reject(call.path["plan"], reading.servers_of(call)))


def pause(parts: ControlParts, call: Call) -> Reply:
    """Pause the loop."""
    return Reply(parts.desk.pause(reading.reason_of(call)))


def resume(parts: ControlParts, call: Call) -> Reply:
    """Resume the loop."""
    reading.nothing_of(call)
    return Reply(parts.desk.resume())


def trigger(parts: ControlParts, call: Call) -> Reply:
    """Begin a cycle now."""
    reading.nothing_of(call)
    return Reply(parts.desk.trigger(), status=HTTPStatus.ACCEPTED)


def health(parts: ControlParts, _: Call) -> Reply:
    """Answer whether cycles follow each other."""
    stalled = parts.stalled()
    if stalled:
        raise RequestRefusedError(HTTPStatus.SERVICE_UNAVAILABLE, ProblemType.NOT_READY, stalled)
    return Reply({"status": "ok"})


def metrics(parts: ControlParts, _: Call) -> Reply:
    """Answer the loop's metrics."""
    return Reply(parts.exposition(), media_type=TEXT_FORMAT)


def openapi(parts: ControlParts, _: Call) -> Reply:
    """Answer the description of all endpoints."""
    return Reply(parts.openapi)
