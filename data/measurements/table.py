"""Rows of measured operating points as CSV: a column a field, an empty cell for what is unknown."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence

from data.measurements.draft import Draft

_NEEDED = ("in_tokens", "out_tokens")

_TEXTS = frozenset(
    (
        "model",
        "gpu",
        "engine",
        "precision",
        "load_kind",
        "arrival",
        "quality",
        "source",
        "id",
        "notes",
    )
)
"""Columns that stay text, even where it looks like a number."""


def is_table(header: Sequence[str]) -> bool:
    """Return whether a CSV with this first line holds rows of operating points."""
    return all(name in [column.strip() for column in header] for name in _NEEDED)


def table_drafts(lines: Sequence[str]) -> Iterator[Draft]:
    """Yield a draft for each row of a CSV with a heading line."""
    reader = csv.reader(lines)
    columns: list[str] = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        where = f"line {reader.line_num}"
        if not columns:
            columns = [cell.strip() for cell in cells]
        elif len(cells) != len(columns):
            message = f"has {len(cells)} values under {len(columns)} headings"
            yield Draft.unreadable(where, message, "one value a heading")
        else:
            row = zip(columns, cells, strict=True)
            yield Draft(where, {name: _value(name, cell.strip()) for name, cell in row})


def _value(name: str, cell: str) -> object:
    if not cell:
        return None
    if name in _TEXTS:
        return cell
    if cell.lower() in ("true", "false"):
        return cell.lower() == "true"
    try:
        number = float(cell)
    except ValueError:
        return cell
    return number if math.isfinite(number) else cell
