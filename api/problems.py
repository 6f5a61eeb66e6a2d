"""Errors as RFC 9457 problem details, with a `message` member for clients of Inferno."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import TypeAlias

from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from stoker.domain.control.orders import ConflictError, NotThereError
from stoker.domain.errors import (
    InvalidInputError,
    Problem,
    SolverUnavailableError,
    StokerError,
)

PROBLEM_MEDIA_TYPE = "application/problem+json"

AnyRequest: TypeAlias = Request[object, object, State]

_logger = logging.getLogger(__name__)


class ProblemType(Enum):
    """Kinds of refusal: the slug of the type URI and its title."""

    MALFORMED_BODY = ("malformed-body", "The body is not the JSON that is wanted here")
    INVALID_INPUT = ("invalid-input", "The input was refused")
    INCONSISTENT_STATE = ("inconsistent-state", "The stored system cannot be planned as it stands")
    NOT_FOUND = ("not-found", "No such object")
    NOT_FEASIBLE = ("not-feasible", "Some servers cannot be placed")
    UNAVAILABLE_CHOICE = ("unavailable-choice", "What was chosen is not available here")
    STATELESS = ("stateless", "The service keeps no system between requests")
    NOT_READY = ("not-ready", "Fleets cannot be planned here")
    OVERLOADED = ("overloaded", "Too many computations are waiting")
    CONFLICT = ("conflict", "That does not fit what the loop is at")
    UNAUTHORIZED = ("unauthorized", "A token is wanted")
    FORBIDDEN = ("forbidden", "That is not allowed from there")
    TIME_LIMIT = ("time-limit", "The time limit passed before there was an answer")

    def __init__(self, slug: str, title: str) -> None:
        """Name the kind."""
        self.uri = f"urn:stoker:problem:{slug}"
        self.title = title


@dataclass(slots=True)
class RequestRefusedError(Exception):
    """A request that gets a problem document in answer.

    Attributes:
        status: HTTP status.
        kind: Kind of problem.
        detail: What is wrong, in a sentence; also the `message` member.
        problems: Each thing wrong with the input, where there are several.
        headers: Further headers of the answer.
    """

    status: HTTPStatus
    kind: ProblemType
    detail: str
    problems: tuple[Problem, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the detail."""
        return self.detail


def not_found(detail: str) -> RequestRefusedError:
    """Return the answer for an object that is not there."""
    return RequestRefusedError(HTTPStatus.NOT_FOUND, ProblemType.NOT_FOUND, detail)


def refused_input(
    error: InvalidInputError,
    status: HTTPStatus,
    kind: ProblemType = ProblemType.INVALID_INPUT,
) -> RequestRefusedError:
    """Return the answer for an input with problems, all of them named."""
    first, more = error.problems[0], len(error.problems) - 1
    detail = str(first) if not more else f"{first} (and {more} more: see errors)"
    return RequestRefusedError(status, kind, detail, error.problems)


def problem_documents(problems: Iterable[Problem]) -> list[dict[str, str]]:
    """Return problems as JSON objects: path, message and what is allowed."""
    return [
        {"path": problem.path, "message": problem.message, "allowed": problem.allowed}
        for problem in problems
    ]


def as_refusal(error: StokerError) -> RequestRefusedError:
    """Return the answer for an error of the rooms below that is the client's to mend."""
    if isinstance(error, InvalidInputError):
        return refused_input(error, HTTPStatus.UNPROCESSABLE_ENTITY)
    if isinstance(error, SolverUnavailableError):
        kind = ProblemType.UNAVAILABLE_CHOICE
        return RequestRefusedError(HTTPStatus.BAD_REQUEST, kind, str(error))
    if isinstance(error, NotThereError):
        return not_found(str(error))
    if isinstance(error, ConflictError):
        return RequestRefusedError(HTTPStatus.CONFLICT, ProblemType.CONFLICT, str(error))
    return RequestRefusedError(HTTPStatus.BAD_REQUEST, ProblemType.INVALID_INPUT, str(error))


def handle_refusal(request: AnyRequest, error: RequestRefusedError) -> Response[dict[str, object]]:
    """Answer a refused request."""
    return _response(
        request,
        status=error.status,
        uri=error.kind.uri,
        title=error.kind.title,
        detail=error.detail,
        problems=error.problems,
        headers=error.headers,
    )


def handle_stoker_error(request: AnyRequest, error: StokerError) -> Response[dict[str, object]]:
    """Answer an error of the rooms below that is the client's to mend."""
    return handle_refusal(request, as_refusal(error))


def handle_http_exception(request: AnyRequest, error: HTTPException) -> Response[dict[str, object]]:
    """Answer what the HTTP layer refuses: unknown routes, wrong methods, bodies too large."""
    status = HTTPStatus(error.status_code)
    path, method = request.scope["path"], request.scope["method"]
    details = {
        HTTPStatus.NOT_FOUND: f"there is nothing at {path}; see /openapi.json for what there is",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{method} is not served at {path}",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body is larger than this service reads",
    }
    return _response(
        request,
        status=status,
        uri="about:blank",
        title=status.phrase,
        detail=details.get(status, error.detail),
        headers=error.headers or {},
    )


def handle_bug(request: AnyRequest, error: Exception) -> Response[dict[str, object]]:
    """Answer an unforeseen error: logged with its traceback, told without it."""
    _logger.error("%s %s failed", request.method, request.scope["path"], exc_info=error)
    return _response(
        request,
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        uri="about:blank",
        title=HTTPStatus.INTERNAL_SERVER_ERROR.phrase,
        detail="an error inside Stoker, not in the request; the log has its traceback",
    )


def _response(
    request: AnyRequest,
    *,
    status: HTTPStatus,
    uri: str,
    title: str,
    detail: str,
    problems: tuple[Problem, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> Response[dict[str, object]]:
    document: dict[str, object] = {
        "type": uri,
        "title": title,
        "status": int(status),
        "detail": detail,
        "instance": request.scope["path"],
        "message": detail,
    }
    if problems:
        document["errors"] = problem_documents(problems)
    return Response(
        document,
        status_code=int(status),
        media_type=PROBLEM_MEDIA_TYPE,
        headers=dict(headers or {}),
    )
