"""What a load achieved, as a table and as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from stoker.cli.figures import duration_ms

if TYPE_CHECKING:
    from emulator.http_load import HttpLoad, Sent

_PERCENTILES = (50, 95, 99)
_SHOWN = ("mean", "p95")
_LATENCIES: dict[str, Callable[[Sent], float]] = {
    "ttft_ms": lambda one: one.ttft_ms,
    "itl_ms": lambda one: one.itl_ms,
    "e2e_ms": lambda one: one.e2e_ms,
}


def load_document(running: HttpLoad, phases: Sequence[str]) -> dict[str, object]:
    """Return what was achieved, in all and by phase."""
    return {
        "total": _figures(running.sent, running.load.duration_s),
        "late": running.late,
        "phases": [
            {"phase": text} | _figures(_of_phase(running, index), phase.duration_s)
            for index, (text, phase) in enumerate(zip(phases, running.load.phases, strict=True))
        ],
    }


def _of_phase(running: HttpLoad, index: int) -> list[Sent]:
    return [one for one in running.sent if one.asked.phase == index]


def _figures(sent: list[Sent], duration_s: float) -> dict[str, object]:
    done = [one for one in sent if one.done]
    last_s = max((one.end_s for one in done), default=0.0)
    first_s = min((one.sent_s for one in sent), default=0.0)
    span_s = max(last_s - first_s, duration_s)
    figures: dict[str, object] = {
        "sent": len(sent),
        "done": len(done),
        "failed": len(sent) - len(done),
        "duration_s": duration_s,
        "offered_rps": len(sent) / duration_s,
        "output_tps": sum(one.tokens for one in done) / span_s,
    }
    return figures | {name: _latency(done, of) for name, of in _LATENCIES.items()}


def _latency(done: list[Sent], of: Callable[[Sent], float]) -> dict[str, float] | None:
    """Return mean and percentiles; None where nothing was timed."""
    values = [value for one in done if math.isfinite(value := of(one))]
    if not values:
        return None
    percentiles = np.percentile(values, _PERCENTILES)
    named = {
        f"p{name}": float(value) for name, value in zip(_PERCENTILES, percentiles, strict=True)
    }
    return {"mean": float(np.mean(values))} | named


def load_table(running: HttpLoad, phases: Sequence[str]) -> Table:
    """Return what was achieved as a table: a row a phase, and one for all."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("Phase", no_wrap=True)
    for name in ("Sent", "Failed", "Offered/s", "Tokens/s"):
        table.add_column(name, justify="right")
    for name in ("TTFT", "ITL", "E2E"):
        for part in _SHOWN:
            table.add_column(f"{name} {part}", justify="right")
    document = load_document(running, phases)
    rows = document["phases"]
    assert isinstance(rows, list)
    for row in rows:
        table.add_row(str(row["phase"]), *_cells(row))
    total = document["total"]
    assert isinstance(total, dict)
    if len(rows) > 1:
        table.add_row("all", *_cells(total))
    return table


def _cells(row: dict[str, object]) -> list[str]:
    cells = [f"{row['sent']:,}", f"{row['failed']:,}"]
    cells += [f"{row['offered_rps']:.3g}", f"{row['output_tps']:,.0f}"]
    for name in _LATENCIES:
        latency = row[name]
        for part in _SHOWN:
            cells.append(duration_ms(latency[part]) if isinstance(latency, dict) else "-")
    return cells
