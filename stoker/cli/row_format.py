"""Formats of commands whose answer is rows."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from studies.sweeping.rows import Column, Row


class RowFormat(StrEnum):
    """Formats of rows."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def rows_document(columns: Sequence[Column], rows: Sequence[Row]) -> dict[str, object]:
    """Return rows as a JSON document: the columns in order, and an object a row."""
    return {
        "columns": [column.name for column in columns],
        "rows": [dict(row) for row in rows],
    }
