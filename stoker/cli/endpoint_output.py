"""What a campaign of measurements found, as a table and as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.table import Table

from stoker.cli.figures import duration_ms
from stoker.cli.fit_output import fit_document

if TYPE_CHECKING:
    from profiler.endpoint import Campaign, Verdict
    from profiler.fit import FitResult


def endpoint_document(campaign: Campaign, verdict: Verdict, result: FitResult) -> dict[str, object]:
    """Return verdict, fit and rows."""
    from data.measurements.row_writing import row_document

    doubt = campaign.doubt
    return {
        "verdict": verdict.value,
        "uncertainty": doubt if doubt is not None and math.isfinite(doubt) else None,
        "fit": fit_document(result),
        "rows": [row_document(row) for row in campaign.rows],
    }


def rows_table(campaign: Campaign) -> Table:
    """Return the points measured, with what the fit predicts of them."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("Load")
    for name in (
        "Input",
        "Output",
        "Requests",
        "TTFT p50",
        "fitted",
        "ITL",
        "fitted",
        "Requests/s",
    ):
        table.add_column(name, justify="right")
    expected = campaign.expected()
    for index, row in enumerate(campaign.rows):
        load = f"{row.load:g} {'clients' if row.load_kind.value == 'concurrency' else 'per s'}"
        figures = [row.ttft.typical_ms, None, row.itl.mean_ms, None]
        if expected is not None:
            figures[1] = float(expected.ttft_p50_ms[index])
            figures[3] = float(expected.itl_ms[index])
        table.add_row(
            load,
            f"{row.in_tokens:,.0f}",
            f"{row.out_tokens:,.0f}",
            "-" if row.n_requests is None else f"{row.n_requests:,}",
            *(_time(figure) for figure in figures),
            "-" if row.throughput_rps is None else f"{row.throughput_rps:.3g}",
        )
    return table


def _time(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else duration_ms(value)
