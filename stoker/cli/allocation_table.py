"""Two layouts of the table of allocations: one line a server, or two where it is narrow."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.table import Table
from rich.text import Text

from stoker.cli.allocation_rows import AllocationRow

_SERVICE_STYLE = {
    "full": "green",
    "best effort": "yellow",
    "no load": "dim",
    "not placed": "bold red",
}


def wide_table(rows: Iterable[AllocationRow], currency: str) -> Table:
    """Return the table with one line a server; names are never cut."""
    table = _table()
    table.add_column("Server", no_wrap=True, overflow="ignore")
    table.add_column("Class", no_wrap=True, overflow="ignore")
    table.add_column("Model", no_wrap=True, overflow="ignore")
    table.add_column("Replicas", no_wrap=True, overflow="ignore")
    table.add_column("Batch", justify="right", no_wrap=True)
    table.add_column(f"{currency}/h", justify="right", no_wrap=True)
    table.add_column("TTFT ms", justify="right", no_wrap=True)
    table.add_column("target", no_wrap=True)
    table.add_column("ITL ms", justify="right", no_wrap=True)
    table.add_column("target", no_wrap=True)
    table.add_column("Util.", justify="right", no_wrap=True)
    table.add_column("Blocked", justify="right", no_wrap=True)
    table.add_column("Estimate", no_wrap=True)
    table.add_column("Served", no_wrap=True)
    previous = ""
    for row in rows:
        if row.server:
            if previous and row.service_class != previous:
                table.add_section()
            previous = row.service_class
        table.add_row(
            row.server,
            row.service_class,
            row.model,
            row.hardware,
            row.max_batch,
            row.cost,
            _latency(row.ttft, row.ttft_kept),
            _latency(row.ttft_target, row.ttft_kept),
            _latency(row.itl, row.itl_kept),
            _latency(row.itl_target, row.itl_kept),
            row.utilization,
            row.blocking,
            row.estimate,
            _service(row.service),
        )
    return table


def compact_table(rows: Iterable[AllocationRow], currency: str) -> Table:
    """Return the table with two lines a server; a name too long is folded, never cut."""
    table = _table()
    table.add_column("Server\nclass · model", overflow="fold")
    table.add_column("Replicas\nbatch, estimate", overflow="fold")
    table.add_column(f"{currency}/h\nserved", justify="right")
    table.add_column("TTFT ms\ntarget", justify="right", no_wrap=True)
    table.add_column("ITL ms\ntarget", justify="right", no_wrap=True)
    table.add_column("Util.\nblocked", justify="right", no_wrap=True)
    for row in rows:
        described = f"{row.service_class} · {row.model}" if row.server else ""
        batch = ", ".join(part for part in (row.max_batch, row.estimate) if part)
        table.add_row(
            Text.assemble(row.server, "\n", (described, "dim")),
            Text.assemble(row.hardware, "\n", (batch, "dim")),
            Text.assemble(row.cost, "\n", _service(row.service)),
            Text.assemble(_latency(row.ttft, row.ttft_kept), "\n", (row.ttft_target, "dim")),
            Text.assemble(_latency(row.itl, row.itl_kept), "\n", (row.itl_target, "dim")),
            Text.assemble(row.utilization, "\n", (row.blocking, "dim")),
        )
    return table


def _table() -> Table:
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
        pad_edge=False,
    )


def _latency(text: str, kept: bool | None) -> Text:
    """Colour a latency by whether it keeps its target; the sign beside it says the same."""
    return Text(text, style={True: "green", False: "bold red", None: ""}[kept])


def _service(text: str) -> Text:
    return Text(text, style=_SERVICE_STYLE.get(text, ""))
