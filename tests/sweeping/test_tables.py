"""Parquet and CSV hold the same cells, and CSV needs no extra."""

import csv
import io
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import BufferReader, parquet

from studies.sweeping.rows import Cell, Column, Row
from studies.sweeping.tables import MissingExtraError, to_csv, to_parquet

COLUMNS = (Column("point", "integer"), Column("cost, USD", "number"), Column("why", "text"))
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), min_size=1)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "point": st.none() | st.integers(-(2**62), 2**62),
            "cost, USD": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "why": st.none() | texts,
        }
    ),
    max_size=4,
)


def from_csv(text: str) -> list[dict[str, Cell]]:
    kinds = {"integer": int, "number": float, "text": str}
    read = {column.name: kinds[column.kind] for column in COLUMNS}
    lines = csv.DictReader(io.StringIO(text, newline=""))
    return [{n: read[n](cell) if cell else None for n, cell in line.items()} for line in lines]


@settings(max_examples=60, deadline=None)
@given(rows)
def test_parquet_and_csv_say_the_same(made: list[Row]) -> None:
    table = parquet.read_table(BufferReader(to_parquet(COLUMNS, made)))
    assert table.column_names == [column.name for column in COLUMNS]
    assert table.to_pylist() == [dict(row) for row in made]
    assert from_csv(to_csv(COLUMNS, made)) == [dict(row) for row in made]


def test_without_pyarrow_parquet_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'stoker\[distributed\]'"):
        to_parquet(COLUMNS, [])
    assert to_csv(COLUMNS, []) == 'point,"cost, USD",why\n'
