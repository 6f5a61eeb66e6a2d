"""Lines that hold one JSON value each: reading one, and showing values in messages.

Pure functions; reading files is the caller's.
"""

from __future__ import annotations

import json

from stoker.domain.errors import InvalidInputError, Problem

_SHOWN_LENGTH = 60


def decode_line(line: bytes) -> object:
    """Return the JSON value of one line of a file; None where the line is blank.

    Args:
        line: The line in UTF-8, with or without its end.

    Raises:
        InvalidInputError: The line is not one JSON value, or null.
    """
    try:
        text = line.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise _malformed(f"is not UTF-8 text: {error.reason} at byte {error.start}") from None
    if not text:
        return None
    try:
        document: object = json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise _malformed(f"is not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise _malformed("is nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise _malformed(f"cannot be read: {error}") from None
    if document is None:
        raise _malformed("is null")
    return document


def shown(value: object) -> str:
    """Return a value as JSON for a message, cut where it is long."""
    try:
        return cut(json.dumps(value))
    except (RecursionError, TypeError, ValueError):
        return f"a {type(value).__name__} that is too large to show"


def cut(text: str) -> str:
    """Return a text for a message, cut where it is long."""
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 3] + "..."


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse an object that names a key twice; JSON would silently keep the last."""
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [key for key, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise InvalidInputError([Problem(cut(repeated), "is given more than once")])
    return result


def _malformed(message: str) -> InvalidInputError:
    return InvalidInputError([Problem("", message, "one JSON object a line")])
