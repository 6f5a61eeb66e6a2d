"""Request bodies: strict JSON, whatever the content type says.

Clients of Inferno send other content types or none, so the type is not looked at. NaN, Infinity
and numbers beyond a double are not JSON; nesting is bounded because validators recurse.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from litestar.exceptions import SerializationException
from litestar.serialization import decode_json

from api.problems import ProblemType, RequestRefusedError

MAX_DEPTH = 32
"""Deepest nesting of a body; the formats need 8."""


def decode_body(body: bytes) -> object:
    """Return the JSON value of a body.

    Raises:
        RequestRefusedError: 400 for an empty body, for what is no JSON, and for deep nesting.
    """
    if not body.strip():
        raise _malformed("the body is empty; a JSON document is wanted")
    try:
        document: object = decode_json(body)
    except SerializationException as error:
        raise _malformed(f"the body is no JSON: {error}") from error
    except UnicodeDecodeError as error:
        raise _malformed(f"the body is no UTF-8 text: {error.reason}") from error
    except RecursionError as error:
        raise _too_deep() from error
    _check_depth(document)
    return document


def decode_object(body: bytes) -> dict[str, object]:
    """Return the JSON object of a body.

    Raises:
        RequestRefusedError: 400 as `decode_body`, or for JSON that is no object.
    """
    return as_object(decode_body(body))


def as_object(document: object) -> dict[str, object]:
    """Return a decoded document that must be a JSON object.

    Raises:
        RequestRefusedError: 400 for any other value.
    """
    if not isinstance(document, dict):
        raise _malformed(f"the body is {_described(document)}; a JSON object is wanted")
    return document


def _check_depth(document: object) -> None:
    level: list[object] = [document]
    for _ in range(MAX_DEPTH + 1):
        level = [child for node in level for child in _containers_in(node)]
        if not level:
            return
    raise _too_deep()


def _containers_in(node: object) -> Iterator[object]:
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return (child for child in children if isinstance(child, dict | list))


def _described(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _malformed(detail: str) -> RequestRefusedError:
    return RequestRefusedError(HTTPStatus.BAD_REQUEST, ProblemType.MALFORMED_BODY, detail)


def _too_deep() -> RequestRefusedError:
    return _malformed(f"the body is nested deeper than {MAX_DEPTH} levels")
