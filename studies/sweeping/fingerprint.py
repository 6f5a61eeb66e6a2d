"""Content hashes of fleets and of points, by which a sweep tells what it was begun with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum

from stoker.domain.fleet import Fleet
from studies.sweeping.grid import Study
from studies.sweeping.server_changes import ProfileChange


def fleet_hash(fleet: Fleet) -> str:
    """Return the hash of everything that a fleet says, names and sources included."""
    return _hash(_plain(fleet))


def points_hash(study: Study) -> str:
    """Return the hash of what varies and of the points, in their order."""
    names = [parameter.name for parameter in study.parameters]
    content: list[object] = [
        names,
        [[str(value) for value in point.values] for point in study.points],
    ]
    # What is in a document counts, not what it is called alone.
    content += [
        _plain(parameter.change.given)
        for parameter in study.parameters
        if isinstance(parameter.change, ProfileChange)
    ]
    return _hash(content)


def _hash(content: object) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    """Return a value as JSON can say it; floats keep every bit in their shortest form."""
    if is_dataclass(value) and not isinstance(value, type):
        content = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"kind": type(value).__name__, **content}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Mapping):
        return [[_plain(key), _plain(item)] for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, frozenset | set):
        return sorted(json.dumps(_plain(item), sort_keys=True) for item in value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"cannot hash a {type(value).__name__}")
