"""The desk of a loop that runs elsewhere, through its REST service."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib import error, parse, request

from stoker.domain.control.orders import ConflictError, NotThereError
from stoker.domain.errors import InvalidInputError, Problem, StokerError

_TIMEOUT_S = 90.0
_ALLOWED = "an address like http://127.0.0.1:9464, where a loop serves its metrics"

JsonObject = dict[str, Any]


class _Here(request.HTTPRedirectHandler):
    """Follows no address that the answer names: the token is for this one alone."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


_OPENER = request.build_opener(_Here)


class RemoteDesk:
    """Asks and orders a loop at its address.

    Args:
        url: The address that it serves its metrics on.
        token_file: File with the token that it wants; None for none.

    Raises:
        InvalidInputError: The address is none, or the file holds no token.
        OSError: The file cannot be read.
    """

    def __init__(self, url: str, token_file: Path | None) -> None:
        parts = parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise InvalidInputError([Problem("--url", f"{url!r} is no such address", _ALLOWED)])
        self._url = url.rstrip("/")
        self._token = "" if token_file is None else read_token(token_file)

    def status(self) -> JsonObject:
        """Return the last record, and what is ordered."""
        return self._get("status")

    def cycle(self, number: int | None) -> JsonObject:
        """Return a whole record."""
        return self._get(f"cycles/{'last' if number is None else number}")

    def explain(self, server: str, number: int | None) -> JsonObject:
        """Return all that a cycle knew and decided of a server."""
        return self._get(f"explain/{parse.quote(server)}", cycle=number)

    def history(
        self,
        count: int,
        *,
        before: int | None = None,
        since: float | None = None,
        until: float | None = None,
        server: str | None = None,
    ) -> JsonObject:
        """Return a page of cycles."""
        return self._get(
            "history", limit=count, before=before, since=since, until=until, server=server
        )

    def pending(self) -> JsonObject:
        """Return the plan that waits for approval."""
        return self._get("pending")

    def approve(self, plan: str | None, servers: Sequence[str] | None) -> JsonObject:
        """Approve decisions of the plan that waits."""
        return self._order_plan("approve", plan, servers)

    def reject(self, plan: str | None, servers: Sequence[str] | None) -> JsonObject:
        """Reject decisions of the plan that waits."""
        return self._order_plan("reject", plan, servers)

    def pause(self, reason: str) -> JsonObject:
        """Let the loop change nothing until it is resumed."""
        return self._post("pause", {"reason": reason})

    def resume(self) -> JsonObject:
        """Let the loop act again."""
        return self._post("resume", {})

    def trigger(self) -> JsonObject:
        """Begin a cycle now."""
        return self._post("trigger", {})

    def _order_plan(
        self, order: str, plan: str | None, servers: Sequence[str] | None
    ) -> JsonObject:
        if plan is None:
            waiting = self.pending()["plan"]
            plan = "none" if waiting is None else str(waiting["id"])
        body: JsonObject = {} if servers is None else {"servers": list(servers)}
        return self._post(f"{order}/{parse.quote(plan, safe='')}", body)

    def _get(self, path: str, **query: str | float | None) -> JsonObject:
        given = {name: value for name, value in query.items() if value is not None}
        return self._call(f"{path}?{parse.urlencode(given)}" if given else path, None)

    def _post(self, path: str, body: Mapping[str, object]) -> JsonObject:
        return self._call(path, json.dumps(body).encode())

    def _call(self, path: str, body: bytes | None) -> JsonObject:
        url = f"{self._url}/v1/control/{path}"
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        asked = request.Request(url, body, headers)
        try:
            with _OPENER.open(asked, timeout=_TIMEOUT_S) as answer:
                text = answer.read()
        except error.HTTPError as refusal:
            with refusal:
                raise _refused(refusal.code, refusal.read()) from None
        except (OSError, ValueError, HTTPException) as failure:
            reason = getattr(failure, "reason", failure)
            message = f"{self._url} does not answer: {reason}"
            raise InvalidInputError([Problem("--url", message, _ALLOWED)]) from failure
        return _object(text, self._url)


def read_token(path: Path) -> str:
    """Return the token in a file.

    Raises:
        InvalidInputError: There is none in it.
        OSError: It cannot be read.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        token = ""
    if not token or any(each.isspace() for each in token):
        message = f"{path} holds no token"
        raise InvalidInputError([Problem("--token-file", message, "one word of ASCII")])
    return token


def _refused(status: int, text: bytes) -> StokerError:
    """Return the error that a problem document tells of."""
    try:
        document = json.loads(text)
        detail = str(document["detail"])
        problems = [
            Problem(each["path"], each["message"], each["allowed"])
            for each in document.get("errors", ())
        ]
    except (ValueError, KeyError, TypeError):
        message = f"the address answers {status}, and no control loop's answer"
        return InvalidInputError([Problem("--url", message, _ALLOWED)])
    if problems:
        return InvalidInputError(problems)
    if status == HTTPStatus.NOT_FOUND:
        return NotThereError(detail)
    if status == HTTPStatus.CONFLICT:
        return ConflictError(detail)
    if status == HTTPStatus.UNAUTHORIZED:
        return InvalidInputError([Problem("--token-file", detail)])
    return StokerError(detail)


def _object(text: bytes, url: str) -> JsonObject:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        message = f"{url} answers no JSON"
        raise InvalidInputError([Problem("--url", message, _ALLOWED)])
    return found
