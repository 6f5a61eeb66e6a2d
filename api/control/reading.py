"""What requests to the control loop ask for: query parameters and small bodies, all checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from api.bodies import decode_object
from api.endpoint import Call
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.moments import ALLOWED, moment

MOST_CYCLES = 1000
"""Most cycles on one page of the history."""

USUAL_CYCLES = 20
LONGEST_REASON = 1000
_LARGEST = 2**53
_COUNT = f"a whole number from 1 to {MOST_CYCLES}"
_NUMBER = "a whole number of at least 1"


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """What part of the history is asked for.

    Attributes:
        limit: Most cycles.
        before: Where the page before ended.
        since: Only cycles that began then or later, in seconds since the epoch.
        until: Only cycles that began earlier.
        server: Of which server; None for the cycles as such.
    """

    limit: int
    before: int | None
    since: float | None
    until: float | None
    server: str | None


def history_query(call: Call) -> HistoryQuery:
    """Return what a request for the history asks for.

    Raises:
        InvalidInputError: Everything wrong with its parameters.
    """
    query = _Query(call.query, ("limit", "before", "since", "until", "server"))
    found = HistoryQuery(
        query.whole("limit", MOST_CYCLES, _COUNT) or USUAL_CYCLES,
        query.whole("before", _LARGEST, _NUMBER),
        query.moment("since"),
        query.moment("until"),
        query.text("server"),
    )
    query.finish()
    return found


def cycle_query(call: Call) -> int | None:
    """Return the number of the cycle that a request asks for; None for the last.

    Raises:
        InvalidInputError: It is no number, or there are other parameters.
    """
    query = _Query(call.query, ("cycle",))
    found = query.whole("cycle", _LARGEST, _NUMBER)
    query.finish()
    return found


def cycle_number(text: str) -> int | None:
    """Return the number of a cycle in a path; None for `last`.

    Raises:
        InvalidInputError: It is no such number.
    """
    if text == "last":
        return None
    query = _Query({"cycle": text}, ("cycle",))
    found = query.whole("cycle", _LARGEST, f"{_NUMBER}, or last")
    query.finish()
    return found


def no_query(call: Call) -> None:
    """Refuse parameters where there are none.

    Raises:
        InvalidInputError: There are some.
    """
    _Query(call.query, ()).finish()


def servers_of(call: Call) -> tuple[str, ...] | None:
    """Return the servers that a body names; None for all.

    Raises:
        InvalidInputError: The body is no such object.
    """
    body = _body(call, "servers")
    names = body.get("servers")
    if names is None:
        return None
    if not isinstance(names, list) or not names or not all(isinstance(e, str) for e in names):
        raise InvalidInputError([Problem("servers", "is no such list", "names of servers")])
    return tuple(names)


def reason_of(call: Call) -> str:
    """Return the reason that a body tells; empty for none.

    Raises:
        InvalidInputError: The body is no such object.
    """
    reason = _body(call, "reason").get("reason", "")
    if not isinstance(reason, str) or len(reason) > LONGEST_REASON:
        allowed = f"a text of at most {LONGEST_REASON} characters"
        raise InvalidInputError([Problem("reason", "is no such text", allowed)])
    return reason


def nothing_of(call: Call) -> None:
    """Refuse a body that says something where nothing is to be said.

    Raises:
        InvalidInputError: It does.
    """
    _body(call)


def _body(call: Call, *known: str) -> dict[str, object]:
    body = decode_object(call.body) if call.body.strip() else {}
    problems = [
        Problem(key, "unknown key", ", ".join(known) or "an empty object")
        for key in body
        if key not in known
    ]
    no_query(call)
    if problems:
        raise InvalidInputError(problems)
    return body


class _Query:
    """Query parameters, with what is wrong with them."""

    def __init__(self, query: Mapping[str, str], known: tuple[str, ...]) -> None:
        self._query = query
        self._problems = [
            Problem(name, "unknown parameter", ", ".join(known) or "none")
            for name in query
            if name not in known
        ]

    def text(self, name: str) -> str | None:
        return self._query.get(name)

    def whole(self, name: str, most: int, allowed: str) -> int | None:
        text = self._query.get(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdecimal() and len(text) < 17 and 1 <= int(text) <= most):
            self._problems.append(Problem(name, f"{text!r} is out of bounds", allowed))
            return None
        return int(text)

    def moment(self, name: str) -> float | None:
        text = self._query.get(name)
        if text is None:
            return None
        try:
            # Within a query, a plus is a blank.
            return moment(text.replace(" ", "+") if "T" in text else text)
        except ValueError:
            self._problems.append(Problem(name, f"{text!r} is no time", ALLOWED))
            return None

    def finish(self) -> None:
        if self._problems:
            raise InvalidInputError(self._problems)
