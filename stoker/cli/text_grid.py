"""Tables of thousands of rows: columns laid out once, each line made once.

Rich's own tables measure and wrap every cell several times, which takes a second for every
thousand rows; here a row costs what writing it costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.cells import cell_len, chop_cells
from rich.text import Text

Styled = tuple[str, str]
"""A piece of text and its style."""

Cell = tuple[Styled, ...]
"""The lines of a cell."""

GAP = 2
_RULE = "─"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, and whether it is set to the right."""

    heading: Cell
    right: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows of cells under columns.

    Attributes:
        columns: The columns.
        rows: One cell a column.
        sections: Indices of rows that an empty line stands before.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    sections: frozenset[int] = frozenset()

    def natural_widths(self) -> list[int]:
        """Return the width of each column in which nothing has to be folded."""
        return [
            max(
                cell_len(line)
                for cell in (column.heading, *(row[index] for row in self.rows))
                for line, _ in cell
            )
            for index, column in enumerate(self.columns)
        ]

    def lines(self, widths: Sequence[int]) -> list[Text]:
        """Return the lines of the table; text wider than its column is folded, never cut."""
        bold = tuple(tuple((line, "bold") for line, _ in column.heading) for column in self.columns)
        lines = self._row(bold, widths)
        lines.append(Text(_RULE * total_width(widths), style="dim", no_wrap=True))
        for index, row in enumerate(self.rows):
            if index in self.sections:
                lines.append(Text(""))
            lines += self._row(row, widths)
        return lines

    def _row(self, cells: Sequence[Cell], widths: Sequence[int]) -> list[Text]:
        folded = [_folded(cell, width) for cell, width in zip(cells, widths, strict=True)]
        lines = []
        for pieces in zip_longest(*folded, fillvalue=("", "")):
            line = Text(no_wrap=True, overflow="ignore", end="\n")
            for column, width, (text, style) in zip(self.columns, widths, pieces, strict=True):
                blank = " " * (width - cell_len(text))
                line.append(blank if column.right else "")
                line.append(text, style or None)
                line.append("" if column.right else blank)
                line.append(" " * GAP)
            line.rstrip()
            lines.append(line)
        return lines


def total_width(widths: Sequence[int]) -> int:
    """Return the columns of the terminal that a table of these column widths takes."""
    return sum(widths) + GAP * (len(widths) - 1)


def _folded(cell: Cell, width: int) -> list[Styled]:
    lines: list[Styled] = []
    for text, style in cell:
        if cell_len(text) <= width:
            lines.append((text, style))
        else:
            lines += [(piece, style) for piece in chop_cells(text, width)]
    return lines
