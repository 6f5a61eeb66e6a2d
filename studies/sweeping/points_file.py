"""Points that somebody lists: a CSV file with a column a parameter, or a JSON list of objects."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

from stoker.domain.errors import InvalidInputError, Problem


def read_points(path: Path) -> list[dict[str, str]]:
    """Return the points of a file, texts of values by names of parameters.

    Args:
        path: A file whose name ends in ``.csv`` (a header of parameters, a row a point) or
            ``.json`` (a list of objects).

    Raises:
        InvalidInputError: It cannot be read as such.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".json"):
        raise _refused(path, "", "is neither CSV nor JSON by its name", "*.csv or *.json")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(path, "", f"is not UTF-8: {error}", "text in UTF-8") from error
    except OSError as error:
        raise _refused(path, "", error.strerror or "cannot be read", "a file to read") from error
    return _from_csv(path, text) if suffix == ".csv" else _from_json(path, text)


def _from_csv(path: Path, text: str) -> list[dict[str, str]]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise _refused(path, "", f"is not CSV: {error}", "comma-separated values") from error
    if not rows:
        raise _refused(path, "", "holds no header", "a header of parameters, and a row a point")
    header = [name.strip() for name in rows[0]]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise _refused(path, "header", f"names {', '.join(twice)} twice", "each parameter once")
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(header):
            message = f"has {len(row)} values"
            raise _refused(path, f"point {number}", message, f"{len(header)}, as the header")
    return [dict(zip(header, (cell.strip() for cell in row), strict=True)) for row in rows[1:]]


def _from_json(path: Path, text: str) -> list[dict[str, str]]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise _refused(path, "", f"is not JSON: {error}", "a list of objects") from error
    if not isinstance(content, list):
        raise _refused(path, "", "is no list", "a list of objects")
    points: list[dict[str, str]] = []
    for number, item in enumerate(content, start=1):
        where = f"point {number}"
        if not isinstance(item, Mapping):
            raise _refused(path, where, "is no object", '{"load": 2, "solver": "milp"}')
        points.append({str(name): _text(path, f"{where}.{name}", v) for name, v in item.items()})
    return points


def _text(path: Path, where: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return value
    raise _refused(path, where, "is neither a number nor a text", "a number, a text, true or false")


def _refused(path: Path, where: str, message: str, allowed: str) -> InvalidInputError:
    return InvalidInputError([Problem(where, message, allowed, str(path))])
