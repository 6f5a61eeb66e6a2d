"""What a fleet loses on its way into another format, found by reading it back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import TypeGuard

from stoker.cli.figures import count_of
from stoker.domain.fleet import Fleet

_ROUNDING = 1e-12
_SHOWN = 3


def losses(before: Fleet, after: Fleet) -> tuple[str, ...]:
    """Return what differs after a conversion, one sentence a field, in the order of the fleet.

    Numbers that differ by rounding of the last digits count as equal.

    Args:
        before: The fleet as it was.
        after: The same fleet, written in the other format and read back.
    """
    by_field: dict[str, list[str]] = {}
    for field, place, change in _differences(before, after, "", ""):
        by_field.setdefault(field, []).append(f"{place}{change}")
    return tuple(_sentence(field, changes) for field, changes in by_field.items())


def _sentence(field: str, changes: list[str]) -> str:
    shown = "; ".join(changes[:_SHOWN])
    rest = len(changes) - _SHOWN
    more = f"; and {count_of(rest, 'more place')}" if rest > 0 else ""
    return f"{field}: {shown}{more}"


def _differences(
    before: object, after: object, field: str, place: str
) -> Iterator[tuple[str, str, str]]:
    """Yield field, named place and change of every value that differs."""
    if _same(before, after):
        return
    if _is_value(before) and type(before) is type(after):
        for part in fields(before):  # type: ignore[arg-type]
            inner = f"{field}.{part.name}" if field else part.name
            yield from _differences(
                getattr(before, part.name), getattr(after, part.name), inner, place
            )
    elif _is_section(before) and _is_section(after):
        yield from _item_differences(before, after, field, place)
    else:
        yield field, place, f"{_words(before)} becomes {_words(after)}"


def _item_differences(
    before: tuple[object, ...], after: tuple[object, ...], field: str, place: str
) -> Iterator[tuple[str, str, str]]:
    old, new = _by_name(before), _by_name(after)
    for name, item in old.items():
        where = f"{place}{name}: "
        if name in new:
            yield from _differences(item, new[name], field, where)
        else:
            yield field, where, "left out"
    for name in new.keys() - old.keys():
        yield field, f"{place}{name}: ", "added"


def _by_name(items: tuple[object, ...]) -> Mapping[str, object]:
    """Name items; of several that are named alike, those after the first by configuration too."""
    named: dict[str, object] = {}
    for index, item in enumerate(items):
        name = _name(item, index)
        if name in named:
            name = f"{name} ({getattr(item, 'configuration', '') or index})"
        named[name] = item
    return named


def _name(item: object, index: int) -> str:
    """Name an item by what identifies it: its name, or its model and accelerator, or its type."""
    for keys in (("name",), ("model", "accelerator"), ("model",), ("card_type",)):
        if all(hasattr(item, key) for key in keys):
            return " on ".join(str(getattr(item, key)) for key in keys)
    return f"[{index}]"


def _same(before: object, after: object) -> bool:
    if isinstance(before, float) and isinstance(after, float):
        return math.isclose(before, after, rel_tol=_ROUNDING)
    return before == after


def _is_value(value: object) -> bool:
    return is_dataclass(value) and not isinstance(value, type)


def _is_section(value: object) -> TypeGuard[tuple[object, ...]]:
    """Whether something is a tuple of values that are told one by one."""
    return isinstance(value, tuple) and all(map(_is_value, value))


def _words(value: object) -> str:
    if value is None or value in ("", ()):
        return "none"
    if isinstance(value, tuple):
        return ", ".join(map(_words, value))
    if _is_value(value):
        return type(value).__name__
    return str(value) if not isinstance(value, float) else f"{value:g}"
