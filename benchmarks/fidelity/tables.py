"""Tables that go to the terminal and to a page alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table as RichTable


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; columns after the first `text_columns` are numbers, set to the right."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: int = 1

    def markdown(self) -> str:
        """Return the table as Markdown, without its title."""
        marks = ["---" if i < self.text_columns else "--:" for i in range(len(self.headers))]
        lines = [self.headers, marks, *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def rich(self) -> RichTable:
        """Return the table for a terminal."""
        table = RichTable(title=self.title, title_justify="left")
        for index, header in enumerate(self.headers):
            justify = "left" if index < self.text_columns else "right"
            table.add_column(header, justify="left" if justify == "left" else "right")
        for row in self.rows:
            table.add_row(*row)
        return table


def share(value: float) -> str:
    """Return a share in percent; what is unknown is said to be."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞"
    percent = 100 * value
    return f"{percent:,.1f}%" if abs(percent) < 99.95 else f"{percent:,.0f}%"


def pair(median: float, high: float) -> str:
    """Return median and 90th percentile of an error."""
    return f"{share(median)} / {share(high)}"
