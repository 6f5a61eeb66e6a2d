"""Words for values, places and choices in error messages."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Sequence
from itertools import islice

Loc = tuple[str | int, ...]
"""A place in a document: keys and list positions from the top."""

_LONGEST_VALUE = 60
_MOST_CHOICES = 24
_MOST_COMPARED = 500  # similarity is slow to compute, and a document may hold many mistakes


def path_text(loc: Loc) -> str:
    """Return a place as text, e.g. ``servers[3].load.input_tokens``; empty for the top."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if part.isprintable() else json.dumps(part)
            text += f".{key}" if text else key
    return text


def shown(value: object) -> str:
    """Return a value as a message quotes it: as it would be written, and short."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            text = value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}…"
            return f'"{text}"' if text.isprintable() else json.dumps(text)
        case float() if math.isnan(value):
            return "NaN"
        case float() if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        case int() if abs(value) >= 10**_LONGEST_VALUE:
            return f"a whole number of more than {_LONGEST_VALUE} digits"
        case int() | float():
            return str(value)
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
    return f"a value of type {type(value).__name__}"


def nearest(name: str, options: Iterable[str]) -> str | None:
    """Return the option that a mistyped name was most likely meant to be, if any is close."""
    by_folded = {option.casefold(): option for option in islice(options, _MOST_COMPARED)}
    found = difflib.get_close_matches(name.casefold()[:200], by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return the tail of a message that suggests the nearest option; empty where none is."""
    option = nearest(name, options)
    return f"; did you mean {shown(option)}?" if option is not None else ""


def choices(options: Sequence[str]) -> str:
    """Return options as a list in one line, shortened where there are very many."""
    if not options:
        return "none is defined"
    listed = ", ".join(options[:_MOST_CHOICES])
    rest = len(options) - _MOST_CHOICES
    return f"{listed} and {rest} more" if rest > 0 else listed
