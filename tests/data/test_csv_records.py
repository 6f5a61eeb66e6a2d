"""CSV of traces and of demand: what could be read in two ways is refused, by line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from data.csv_records import csv_records
from data.demand_rows import read_demand_rows, read_trace_demand
from data.simulation_lines import TraceRows, parse_trace
from stoker.domain.errors import InvalidInputError

TRACE = "arrival_s,in_tokens,out_tokens"
DEMAND = "hour,server,arrival_rate_rps"


def trace_of(path: Path) -> TraceRows:
    with path.open(encoding="utf-8", newline="") as lines:
        return parse_trace(lines, file=str(path))


READERS: list[tuple[str, str, Callable[[Path], object]]] = [
    (TRACE, "0.5,10,5", trace_of),
    (TRACE, "0.5,10,5", lambda path: read_trace_demand(path, "a")),
    (DEMAND, "0,a,5", read_demand_rows),
]


@pytest.mark.parametrize(("heading", "row", "read"), READERS)
def test_what_could_be_read_in_two_ways_is_refused(
    tmp_path: Path, heading: str, row: str, read: Callable[[Path], object]
) -> None:
    path = tmp_path / "rows.csv"

    def refused(text: str, message: str) -> None:
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InvalidInputError, match=message):
            read(path)

    last = heading.rpartition(",")[2]
    refused(f"{heading},{last}\n{row},7\n", f"{last}: names two columns")
    # A decimal comma: 5,7 is not 5 with something to pass over.
    refused(f"{heading}\n{row}\n{row},7\n", r"line 3: has 4 cells \(allowed: 3")
    refused(f"{heading},prompt\n{row},{'x' * 200_000}\n", "line 2: cannot be read: field larger")


@pytest.mark.parametrize(("heading", "row", "read"), READERS)
def test_what_can_be_read_in_one_way_is_taken(
    tmp_path: Path, heading: str, row: str, read: Callable[[Path], object]
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"{heading}\n{row}\n", encoding="utf-8")
    plain = read(path)
    spaced = f"{heading},note,\n\n{row},x,,,\n\n".replace(",", ", ")
    path.write_text(spaced, encoding="utf-8")
    assert read(path) == plain


def test_rows_are_cells_by_column_with_the_line_they_end_in() -> None:
    records = csv_records(["a,b,c\n", "\n", '1,"x\n', 'y",\n', "2\n"])
    assert records.columns == ("a", "b", "c")
    assert list(records.rows) == [(4, {"a": "1", "b": "x\ny"}), (5, {"a": "2"})]
    assert csv_records([]).columns == ()


def test_an_end_of_a_line_within_a_cell_is_part_of_it() -> None:
    assert list(csv_records(["a\r\n", '"x\r\n', 'y"\r\n']).rows) == [(3, {"a": "x\r\ny"})]


def test_a_trace_names_what_is_wrong_with_a_row() -> None:
    with pytest.raises(InvalidInputError, match=r"line 2: is 1, 10, nothing"):
        parse_trace([TRACE, "1,10"])
    with pytest.raises(InvalidInputError, match=r"input tokens from 0 to 1,000,000,000"):
        parse_trace([TRACE, "1,2000000000,3"])
