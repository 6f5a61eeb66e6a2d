"""Rows of a CSV file as cells by column; what could be read in two ways is refused."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stoker.domain.errors import InvalidInputError, Problem


@dataclass(frozen=True, slots=True)
class CsvRecords:
    """The rows of a file, to be read once.

    Attributes:
        columns: Names in its heading; none of an empty file.
        rows: Number of the line that a row ends in, and its cells by column. Empty cells, and
            those that a short row lacks, are not among them; blank lines are no rows.
    """

    columns: tuple[str, ...]
    rows: Iterator[tuple[int, dict[str, str]]]


def csv_records(lines: Iterable[str], *, file: str = "") -> CsvRecords:
    """Return the rows of CSV lines, opened so that no end of a line is changed.

    Args:
        lines: The lines.
        file: Name of the file, for errors.

    Raises:
        InvalidInputError: Two columns have one name, or the text cannot be taken apart; as rows are
            read, also that one has more cells than there are columns.
    """
    cells = _cells(lines, file)
    _, heading = next(cells, (0, []))
    columns = tuple(heading)
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise InvalidInputError(
            [Problem(name, "names two columns", "each column once", file) for name in twice]
        )
    return CsvRecords(columns, _by_column(columns, cells, file))


def _cells(lines: Iterable[str], file: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, skipinitialspace=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        path, allowed = f"line {reader.line_num}", "fields between commas"
        problem = Problem(path, f"cannot be read: {error}", allowed, file)
        raise InvalidInputError([problem]) from error


def _by_column(
    columns: tuple[str, ...], cells: Iterator[tuple[int, list[str]]], file: str
) -> Iterator[tuple[int, dict[str, str]]]:
    for line, row in cells:
        # A comma too many moves cells: 0,5 for 0.5 would be read as two figures.
        if any(row[len(columns) :]):
            message = f"has {len(row)} cells"
            allowed = f"{len(columns)}, as the heading; decimals with a point"
            raise InvalidInputError([Problem(f"line {line}", message, allowed, file)])
        named = zip(columns, row, strict=False)
        yield line, {name: cell for name, cell in named if name and cell}
