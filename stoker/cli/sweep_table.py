"""Results of a sweep as a table to read: the columns that say most, and no others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stoker.cli.figures import UNKNOWN, count_of, money, share
from studies.sweeping.pareto import PLACE, ParetoResults, Place
from studies.sweeping.rows import FAILED, Cell, Column, Row

_MARGINS = ("worst_ttft_margin", "worst_itl_margin", "worst_e2e_margin")
_LARGEST_REST = 0.0005
"""Gap below which a plan is as good as proven, for the eye."""


def sweep_report(columns: Sequence[Column], rows: Sequence[Row]) -> RenderableType:
    """Return the table of a sweep, with the reasons of points that failed below it."""
    parameters = parameter_names(columns)
    currency = next((str(row["currency"]) for row in rows if row["currency"]), "cost")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in parameters:
        table.add_column(Text(name), justify="right", overflow="fold")
    table.add_column("status")
    for name in (f"{currency}/h", "gap", "served", "by priority", "req/s served", "replicas"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("cards", justify="right")
    table.add_column("worst margin", justify="right")
    for row in rows:
        beside = row.get(PLACE) in (Place.DOMINATED, Place.INCOMPLETE)
        cells = (*(Text(_own(row[name])) for name in parameters), *plan_cells(columns, row))
        table.add_row(*cells, style="dim" if beside else "")
    parts: list[RenderableType] = [table]
    parts += [_failure(row, parameters) for row in rows if row["status"] == FAILED]
    return Group(*parts)


def pareto_report(results: ParetoResults) -> RenderableType:
    """Return the table of a frontier, and what is proven of it."""
    note = Text(f"\n{results.claim}")
    return Group(sweep_report(results.columns, results.rows), note)


def parameter_names(columns: Sequence[Column]) -> tuple[str, ...]:
    """Return the names of what was varied: the columns between the point and its status."""
    names = [column.name for column in columns]
    return tuple(names[1 : names.index("status")])


def plan_cells(columns: Sequence[Column], row: Row) -> tuple[Text, ...]:
    """Return the cells of what a plan says."""
    if row["status"] == FAILED:
        return (Text(FAILED, style="red"), *(Text("") for _ in range(8)))
    priorities = [item.name for item in columns if item.name.startswith("served_priority_")]
    margins = [float(row[name] or 0.0) for name in _MARGINS if row[name] is not None]
    missed = _number(row["served"]) < _number(row["servers"])
    return (
        Text(str(row["status"])),
        Text(_shown(row["cost_per_hour"], money)),
        Text(_shown(row["gap"], _gap)),
        Text(f"{row['served']}/{row['servers']}", style="yellow" if missed else ""),
        Text(" ".join(str(row[name]) for name in priorities)),
        Text(_shown(row["served_rps"], lambda value: f"{value:,.4g}")),
        Text(f"{row['replicas']:,}"),
        Text(f"{row['cards_used']:,}"),
        Text(share(min(margins)) if margins else UNKNOWN),
    )


def _failure(row: Row, parameters: Sequence[str]) -> Text:
    where = ", ".join(f"{name}={_own(row[name])}" for name in parameters)
    return Text(f"failed at {where}: {row['reason']}", style="red")


def failed_words(rows: Sequence[Row]) -> str:
    """Return how many points failed; empty where none did."""
    failed = sum(row["status"] == FAILED for row in rows)
    return f"{count_of(failed, 'point')} of {len(rows):,} failed" if failed else ""


def _own(cell: Cell) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _number(cell: Cell) -> float:
    return float(cell) if isinstance(cell, int | float) else 0.0


def _shown(cell: Cell, words: Callable[[float], str]) -> str:
    return words(float(cell)) if isinstance(cell, int | float) else UNKNOWN


def _gap(gap: float) -> str:
    return "0" if gap < 1e-6 else f"{gap:.2%}" if gap >= _LARGEST_REST else f"{gap:.1e}"
