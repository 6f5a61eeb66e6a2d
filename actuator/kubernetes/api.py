"""The connection to the API server for writes: one call a write, every refusal told apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from stoker.domain.control.changes import ChangeOutcome
from stoker.domain.errors import StokerError

RawObject = dict[str, Any]
"""An object as the API server writes it."""

CONNECT_S = 5.0

_OUTCOMES = {
    401: ChangeOutcome.FORBIDDEN,
    403: ChangeOutcome.FORBIDDEN,
    404: ChangeOutcome.MISSING,
    409: ChangeOutcome.CONFLICT,
}
_CONTESTED = "FieldManagerConflict"


class WriteError(StokerError):
    """The API server did not answer, or refused.

    Attributes:
        outcome: What that makes of the change.
        status: HTTP status; None where there was no answer.
        contested: Whether it was refused because another field manager owns the field.
    """

    def __init__(
        self,
        message: str,
        outcome: ChangeOutcome,
        status: int | None = None,
        *,
        contested: bool = False,
    ) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.status = status
        self.contested = contested


def call(function: Callable[..., Any], *arguments: Any, timeout_s: float, **options: Any) -> Any:
    """Return the object that a function of the client answers with, as it was written.

    Raises:
        WriteError: There was no answer, or a refusal.
    """
    import kubernetes
    import urllib3

    try:
        answer = function(
            *arguments,
            **options,
            _preload_content=False,
            _request_timeout=(min(CONNECT_S, timeout_s), timeout_s),
        )
        status, data = int(answer.status), answer.data
    except kubernetes.client.ApiException as error:
        status, data = int(error.status or 500), error.body or b""
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise WriteError(
            f"no answer from the API server ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]})",
            ChangeOutcome.FAILED,
        ) from error
    if status >= 400:
        outcome = _OUTCOMES.get(status, ChangeOutcome.FAILED)
        words, contested = _refusal(status, data)
        raise WriteError(words, outcome, status, contested=contested)
    try:
        return json.loads(data)
    except ValueError as error:
        raise WriteError(
            f"the API server did not answer in JSON ({error})", ChangeOutcome.FAILED, status
        ) from error


def _refusal(status: int, data: bytes | str) -> tuple[str, bool]:
    """Return the words of a refusal, and whether a field belongs to another manager."""
    words = ""
    causes: list[RawObject] = []
    try:
        told = json.loads(data)
        words = " ".join(str(told.get("message") or "").split())
        causes = (told.get("details") or {}).get("causes") or []
    except (ValueError, AttributeError):
        pass  # a proxy between, say, which answers in its own way
    contested = any(each.get("reason") == _CONTESTED for each in causes)
    return words or f"the API server answered with HTTP status {status}", contested
