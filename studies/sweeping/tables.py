"""Results as CSV and as Parquet: the same rows, the same columns, an empty cell for unknown."""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Iterable, Sequence

from stoker.domain.errors import StokerError
from studies.sweeping.rows import Cell, Column, Row

EXTRA = "distributed"
"""Extra that brings Dask and pyarrow."""


class MissingExtraError(StokerError):
    """Something needs a package of an extra that is not installed."""

    def __init__(self, what: str, package: str) -> None:
        """Say what needs which package, and how to get it."""
        super().__init__(
            f"{what} needs {package}, which is not installed here: "
            f"install Stoker with the extra `{EXTRA}` (pip install 'stoker[{EXTRA}]')"
        )


def to_csv(columns: Sequence[Column], rows: Iterable[Row]) -> str:
    """Return rows as CSV; numbers have as many digits as it takes to read them back exactly."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in columns])
    for row in rows:
        writer.writerow([_csv_cell(row[column.name]) for column in columns])
    return text.getvalue()


def _csv_cell(cell: Cell) -> str:
    if cell is None:
        return ""
    return repr(cell) if isinstance(cell, float) else str(cell)


def can_write_parquet() -> bool:
    """Return whether pyarrow is installed."""
    return importlib.util.find_spec("pyarrow") is not None


def to_parquet(columns: Sequence[Column], rows: Sequence[Row]) -> bytes:
    """Return rows as a Parquet file.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("Parquet", "pyarrow") from error
    types = {
        "integer": pyarrow.int64(),
        "number": pyarrow.float64(),
        "text": pyarrow.string(),
    }
    schema = pyarrow.schema([(column.name, types[column.kind]) for column in columns])
    table = pyarrow.table(
        {column.name: [row[column.name] for row in rows] for column in columns}, schema=schema
    )
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())
