"""From files to decoded documents: encoding, syntax, size and duplicate keys."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from data.problems import Finding
from data.wording import Loc, shown
from data.yaml_reader import UnreadableError, integer, read_yaml
from stoker.domain.errors import InvalidInputError, Problem

DEEPEST = 32
"""Levels of nesting that a document may have; the formats need 8."""

LARGEST_BYTES = 64 * 1024 * 1024
"""Size that a file may have; 100,000 servers take about 40 MiB."""

_LARGEST_TEXT = "64 MiB"


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded document.

    Attributes:
        value: Mappings, lists, text, numbers, booleans and null.
        findings: Duplicate keys in it.
    """

    value: object
    findings: tuple[Finding, ...] = ()


class _Pairs:
    """An object as the JSON parser saw it, duplicate keys included."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        self.pairs = pairs


def read_document(path: Path) -> Decoded:
    """Return the document of a file: JSON by the ending ``.json``, otherwise YAML.

    Raises:
        InvalidInputError: The file cannot be read or is no document.
    """
    text = read_text(path)
    return decode_json(text, str(path)) if path.suffix == ".json" else decode_yaml(text, str(path))


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, with or without a byte order mark.

    Raises:
        InvalidInputError: It is missing, unreadable, too large or not UTF-8.
    """
    file = str(path)
    try:
        if not path.exists():
            raise _refused(file, "there is no such file")
        if not path.is_file():
            raise _refused(file, "is not a file")
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise _refused(file, f"is {size} bytes long", f"at most {_LARGEST_TEXT}")
        content = path.read_bytes()
    except OSError as error:
        raise _refused(file, f"cannot be read: {error.strerror or error}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(file, f"byte {error.start} is not UTF-8", "text in UTF-8") from error


def decode_yaml(text: str, file: str = "") -> Decoded:
    """Return the document of a YAML text.

    Raises:
        InvalidInputError: It is malformed, with line and column, or empty.
    """
    try:
        value, findings = read_yaml(text, DEEPEST)
    except UnreadableError as error:
        raise _refused(file, error.message, error.allowed) from error
    return Decoded(value, tuple(findings))


def decode_json(text: str, file: str = "") -> Decoded:
    """Return the document of a JSON text.

    Raises:
        InvalidInputError: It is malformed, with line and column, or empty.
    """
    if not text.strip():
        raise _refused(file, "the document is empty")
    try:
        raw = json.loads(text, object_pairs_hook=_Pairs, parse_int=integer)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _refused(file, f"malformed JSON at {where}: {error.msg}") from error
    except RecursionError as error:
        raise _refused(file, "nested too deeply", f"at most {DEEPEST} levels") from error
    findings: list[Finding] = []
    try:
        value = _plain(raw, (), findings)
    except UnreadableError as error:
        raise _refused(file, error.message, error.allowed) from error
    return Decoded(value, tuple(findings))


def _plain(raw: object, loc: Loc, findings: list[Finding]) -> object:
    """Return a parsed JSON value with plain mappings, collecting duplicate keys."""
    if len(loc) > DEEPEST:
        raise UnreadableError("nested too deeply", f"at most {DEEPEST} levels")
    if isinstance(raw, list):
        return [_plain(item, (*loc, index), findings) for index, item in enumerate(raw)]
    if not isinstance(raw, _Pairs):
        return raw
    value: dict[str, object] = {}
    for key, item in raw.pairs:
        if key in value:
            findings.append(
                Finding((*loc, key), f"duplicate key {shown(key)}", "each key once"),
            )
        value[key] = _plain(item, (*loc, key), findings)
    return value


def _refused(file: str, message: str, allowed: str = "") -> InvalidInputError:
    return InvalidInputError([Problem("", message, allowed, file)])
