"""What every demonstration does in the end: print, draw, and write its data."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stoker.cli.output import TextFormat, json_text, show, write_text
from stoker.cli.plots import write_figure

RESULT = "result.json"
_WIDTH = 100


@dataclass(slots=True)
class Report:
    """What a demonstration found.

    Attributes:
        title: What it shows.
        data: The figures, as JSON can say them.
        tables: Tables for the reader.
        findings: What the figures mean, a sentence or two each.
        figures: Pictures by file name.
    """

    title: str
    data: dict[str, object]
    tables: Sequence[RenderableType] = ()
    findings: Sequence[str] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)


def publish(report: Report, output: Path, format: str) -> dict[str, object]:
    """Write a report's pictures and data, print it, and return the data.

    Args:
        report: What was found.
        output: Directory for the pictures and `RESULT`.
        format: ``table`` to print tables and findings, ``json`` to print the data.

    Returns:
        The data, with the findings and the names of the pictures.

    Raises:
        ValueError: If the format is another one.
        OSError: If a file cannot be written.
    """
    chosen = TextFormat(format)
    data: dict[str, object] = {
        "title": report.title,
        **report.data,
        "findings": list(report.findings),
        "pictures": list(report.figures),
    }
    output.mkdir(parents=True, exist_ok=True)
    for name, figure in report.figures.items():
        write_figure(figure, output / name)
    text = json_text(data)
    write_text(text, output / RESULT)
    if chosen is TextFormat.JSON:
        write_text(text)
    else:
        show(_page(report, output), _WIDTH)
    return data


def _page(report: Report, output: Path) -> RenderableType:
    parts: list[RenderableType] = [Text(report.title, style="bold"), Text("")]
    for table in report.tables:
        parts += [table, Text("")]
    parts += [Padding(Text(f"• {finding}"), (0, 0, 0, 2)) for finding in report.findings]
    names = ", ".join([*report.figures, RESULT])
    return Group(*parts, Text(""), Text(f"Written to {output}: {names}", style="dim"))


def numbers_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table whose first column is text and whose others are numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def run(main: Callable[[Path, str], dict[str, object]], name: str) -> None:
    """Run a demonstration as a script: ``--output DIR``, ``--format table|json``."""
    parser = argparse.ArgumentParser(prog=name)
    parser.add_argument("--output", type=Path, default=Path("demo-output") / name, metavar="DIR")
    parser.add_argument("--format", choices=[item.value for item in TextFormat], default="table")
    given = parser.parse_args()
    main(given.output, given.format)
