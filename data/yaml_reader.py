"""YAML as a strict superset of JSON: no aliases, no tags, no duplicate keys, no surprises.

Plain scalars follow the core schema of YAML 1.2: ``NO``, ``on`` and dates stay text, ``1e3`` is
a number. Keys are always text. Aliases are refused, for a short document can unfold to any size
through them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from data.problems import Finding
from data.wording import Loc, shown

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")
NUMBER_LIKE = re.compile(f"(?:{_INTEGER.pattern}|{_FLOAT.pattern})\\Z")
"""Text that must be quoted to stay text, beyond what YAML 1.1 would quote."""

_PLAIN_TAGS = {
    "!",
    "tag:yaml.org,2002:str",
    "tag:yaml.org,2002:map",
    "tag:yaml.org,2002:seq",
}


class UnreadableError(Exception):
    """A text that cannot be read as a document at all."""

    def __init__(self, message: str, allowed: str = "") -> None:
        """Keep what is wrong, with line and column where they are known."""
        self.message = message
        self.allowed = allowed
        super().__init__(message)


@dataclass(slots=True)
class _Open:
    """A list or mapping being read; `key` waits for its value."""

    value: list[object] | dict[str, object]
    loc: Loc
    key: str | None = None
    lines: dict[str, int] = field(default_factory=dict)


def read_yaml(text: str, deepest: int) -> tuple[object, list[Finding]]:
    """Return the value of a YAML document and its duplicate keys.

    Args:
        text: The document.
        deepest: Levels of nesting allowed.

    Raises:
        UnreadableError: It is malformed, empty, more than one document, too deeply nested, or
            uses aliases, tags or keys that are no text.
    """
    builder = _Builder(deepest)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UnreadableError(f"malformed YAML{where}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise UnreadableError(f"malformed YAML: {' '.join(str(error).split())}") from error
    if not builder.started:
        raise UnreadableError("the document is empty")
    return builder.result, builder.findings


class _Builder:
    """Builds a value from the parser's events, without recursion."""

    def __init__(self, deepest: int) -> None:
        self.result: object = None
        self.findings: list[Finding] = []
        self.started = False
        self._deepest = deepest
        self._stack: list[_Open] = []

    def take(self, event: Event) -> None:
        match event:
            case DocumentStartEvent():
                if self.started:
                    raise UnreadableError(
                        f"a second document starts at {_position(event)}",
                        "one document a file; a directory holds several",
                    )
                self.started = True
            case AliasEvent():
                raise UnreadableError(
                    f"alias *{event.anchor} at {_position(event)}: aliases are not allowed",
                    "the value itself, written out",
                )
            case MappingStartEvent() | SequenceStartEvent():
                self._open(event)
            case MappingEndEvent() | SequenceEndEvent():
                self._stack.pop()
            case ScalarEvent():
                self._scalar(event)

    def _open(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        _check_tag(event)
        value: list[object] | dict[str, object]
        value = {} if isinstance(event, MappingStartEvent) else []
        parent = self._stack[-1] if self._stack else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            raise UnreadableError(f"a key at {_position(event)} is no text", "text as a key")
        if len(self._stack) >= self._deepest:
            raise UnreadableError(
                f"nested too deeply at {_position(event)}", f"at most {self._deepest} levels"
            )
        loc = self._add(value)
        self._stack.append(_Open(value, loc))

    def _scalar(self, event: ScalarEvent) -> None:
        _check_tag(event)
        parent = self._stack[-1] if self._stack else None
        if parent is None or not isinstance(parent.value, dict) or parent.key is not None:
            self._add(_scalar_value(event))
            return
        key = event.value
        line = _line(event)
        if key in parent.lines:
            self.findings.append(
                Finding(
                    (*parent.loc, key),
                    f"duplicate key {shown(key)}: lines {parent.lines[key]} and {line}",
                    "each key once",
                )
            )
        parent.lines[key] = line
        parent.key = key

    def _add(self, value: object) -> Loc:
        """Put a value into the innermost open list or mapping; return where that is."""
        if not self._stack:
            self.result = value
            return ()
        parent = self._stack[-1]
        if isinstance(parent.value, list):
            parent.value.append(value)
            return (*parent.loc, len(parent.value) - 1)
        key = parent.key or ""
        parent.value[key] = value
        parent.key = None
        return (*parent.loc, key)


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _position(event: Event) -> str:
    column = event.start_mark.column + 1 if event.start_mark else 0
    return f"line {_line(event)}, column {column}"


def _check_tag(event: MappingStartEvent | SequenceStartEvent | ScalarEvent) -> None:
    if event.tag is not None and event.tag not in _PLAIN_TAGS:
        raise UnreadableError(
            f"tag {shown(event.tag)} at {_position(event)}: tags are not allowed",
            "plain values",
        )


def _scalar_value(event: ScalarEvent) -> object:
    """Return the value of a scalar by the core schema; quoted and tagged ones are text."""
    text: str = event.value
    if not event.implicit[0]:
        return text
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _INTEGER.fullmatch(text):
        return integer(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITY.fullmatch(text):
        return float("-inf") if text.startswith("-") else float("inf")
    if _NAN.fullmatch(text):
        return float("nan")
    return text


def integer(text: str) -> int | float:
    """Return a whole number; infinite where it has more digits than Python converts."""
    try:
        return int(text)
    except ValueError:
        return float("-inf") if text.startswith("-") else float("inf")
