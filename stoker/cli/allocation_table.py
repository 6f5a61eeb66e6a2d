"""Two layouts of the table of allocations: one line a server, or two where it is narrow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from stoker.cli.allocation_rows import AllocationRow
from stoker.cli.text_grid import GAP, Cell, Column, Grid

_SERVICE_STYLE = {
    "full": "green",
    "best effort": "yellow",
    "no load": "dim",
    "not placed": "bold red",
}
_KEPT_STYLE = {True: "green", False: "bold red", None: ""}
_SMALLEST_NAME_WIDTH = 12


def wide_table(rows: Sequence[AllocationRow], currency: str) -> Grid:
    """Return the table with one line a server, and a gap between service classes."""
    return Grid(
        columns=(
            _column("Server"),
            _column("Class"),
            _column("Model"),
            _column("Replicas"),
            _column("Batch", right=True),
            _column(f"{currency}/h", right=True),
            _column("TTFT ms", right=True),
            _column("target"),
            _column("ITL ms", right=True),
            _column("target"),
            _column("Util.", right=True),
            _column("Blocked", right=True),
            _column("Estimate"),
            _column("Served"),
        ),
        rows=tuple(_wide_row(row) for row in rows),
        sections=_class_changes(rows),
    )


def compact_table(rows: Sequence[AllocationRow], currency: str) -> Grid:
    """Return the table with two lines a server."""
    return Grid(
        columns=(
            _column("Server", "class · model"),
            _column("Replicas", "batch, estimate"),
            _column(f"{currency}/h", "served", right=True),
            _column("TTFT ms", "target", right=True),
            _column("ITL ms", "target", right=True),
            _column("Util.", "blocked", right=True),
        ),
        rows=tuple(_compact_row(row) for row in rows),
    )


def compact_widths(table: Grid, width: int) -> list[int]:
    """Return the column widths of a compact table: names give way where the width is short."""
    server, replicas, *figures = table.natural_widths()
    room = width - sum(figures) - GAP * (len(table.columns) - 1)
    if server + replicas > room:
        replicas = min(replicas, max(_SMALLEST_NAME_WIDTH, room // 2))
        server = min(server, max(_SMALLEST_NAME_WIDTH, room - replicas))
    return [server, replicas, *figures]


def _column(*heading: str, right: bool = False) -> Column:
    return Column(tuple((line, "") for line in heading), right)


def _class_changes(rows: Sequence[AllocationRow]) -> frozenset[int]:
    """Return the rows of servers whose class is not that of the server before."""
    servers = [index for index, row in enumerate(rows) if row.server]
    return frozenset(
        index
        for before, index in pairwise(servers)
        if rows[before].service_class != rows[index].service_class
    )


def _wide_row(row: AllocationRow) -> tuple[Cell, ...]:
    ttft, itl = _KEPT_STYLE[row.ttft_kept], _KEPT_STYLE[row.itl_kept]
    return (
        ((row.server, ""),),
        ((row.service_class, ""),),
        ((row.model, ""),),
        ((row.hardware, ""),),
        ((row.max_batch, ""),),
        ((row.cost, ""),),
        ((row.ttft, ttft),),
        ((row.ttft_target, ttft),),
        ((row.itl, itl),),
        ((row.itl_target, itl),),
        ((row.utilization, ""),),
        ((row.blocking, ""),),
        ((row.estimate, ""),),
        ((row.service, _SERVICE_STYLE.get(row.service, "")),),
    )


def _compact_row(row: AllocationRow) -> tuple[Cell, ...]:
    described = f"{row.service_class} · {row.model}" if row.server else ""
    batch = ", ".join(part for part in (row.max_batch, row.estimate) if part)
    return (
        ((row.server, ""), (described, "dim")),
        ((row.hardware, ""), (batch, "dim")),
        ((row.cost, ""), (row.service, _SERVICE_STYLE.get(row.service, ""))),
        ((row.ttft, _KEPT_STYLE[row.ttft_kept]), (row.ttft_target, "dim")),
        ((row.itl, _KEPT_STYLE[row.itl_kept]), (row.itl_target, "dim")),
        ((row.utilization, ""), (row.blocking, "dim")),
    )
