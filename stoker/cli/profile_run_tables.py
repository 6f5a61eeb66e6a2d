"""A run of the harness as tables: what was timed, decodes, prefills, fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from stoker.cli.figures import UNKNOWN, count_of, duration_ms, small_share
from stoker.domain.timing import CaseStatus, CaseTiming, IterationKind

if TYPE_CHECKING:
    from profiler.harness.run import HarnessRun
    from profiler.iterations import IterationFit

_WIDTH = 72
_MOST_COLUMNS = 8
_MEMORY = "no memory"
_FAILED = "failed"
_GB = 1e9


def run_tables(
    harness: HarnessRun, fits: Sequence[IterationFit], best: IterationFit | None
) -> list[Table]:
    """Return the tables of a run."""
    timings = harness.run.timings
    tables = [_about(harness)]
    decodes = _cells(timings, IterationKind.DECODE)
    if decodes:
        tables.append(_grid("Decode iteration, ms", "Batch", "Context", decodes))
    prefills = _cells(timings, IterationKind.PREFILL)
    if prefills:
        tables.append(_grid("Prefill iteration, ms", "Prompt tokens", "Behind", prefills))
    tables.append(_fits(fits, best))
    return tables


def _about(harness: HarnessRun) -> Table:
    run = harness.run
    model, device = run.model, run.device
    table = _table(f"Measured: {model.name} on {device.count} × {device.name}")
    table.show_header = False
    table.add_column("", overflow="fold")
    table.add_column("", justify="right", overflow="fold")
    layers = str(model.layers)
    if not model.whole:
        layers += f" (scaled up from {', '.join(str(count) for count in model.layers_timed)})"
    formats = model.precision
    if model.weight_precision != model.precision:
        formats += f", weights {model.weight_precision}"
    statuses = [timing.status for timing in run.timings]
    counts = [count_of(statuses.count(CaseStatus.OK), "iteration")]
    for status, words in (
        (CaseStatus.OUT_OF_MEMORY, "out of memory"),
        (CaseStatus.FAILED, "failed"),
    ):
        if status in statuses:
            counts.append(f"{statuses.count(status)} {words}")
    table.add_row("Layers", layers)
    table.add_row("Formats", formats)
    table.add_row("Attention, cache, execution", ", ".join(
        (model.attention, model.cache, model.execution)
    ))  # fmt: skip
    table.add_row("Timed", f"{', '.join(counts)} in {harness.spent_s:.0f} s")
    table.add_row("Weights per device", f"{run.memory.weight_bytes / _GB:,.3f} GB")
    table.add_row("KV per token and device", f"{run.memory.kv_bytes_per_token / 1e3:,.1f} kB")
    room = UNKNOWN if harness.kv_tokens is None else f"{harness.kv_tokens:,}"
    table.add_row("KV tokens that there is room for", room)
    loaded = [timing.power_w for timing in run.timings if timing.power_w is not None]
    if device.idle_power_w is not None and loaded:
        table.add_row("Power, idle and at most", f"{device.idle_power_w:.0f}, {max(loaded):.0f} W")
    known = UNKNOWN if harness.doubt is None else f"±{small_share(harness.doubt)}"
    table.add_row("Time known least", "all are timed" if harness.doubt == 0.0 else known)
    return table


_Cells = dict[tuple[int, int], str]


def _cells(timings: Sequence[CaseTiming], kind: IterationKind) -> _Cells:
    cells = {}
    for timing in timings:
        case = timing.case
        if case.kind is not kind:
            continue
        place = (case.decode_batch, case.context_tokens)
        if kind is IterationKind.PREFILL:
            place = (case.prefill_tokens, case.prefix_tokens)
        words = {CaseStatus.OUT_OF_MEMORY: _MEMORY, CaseStatus.FAILED: _FAILED}
        cells[place] = words.get(timing.status) or duration_ms(timing.median_ms)
    return cells


def _grid(title: str, rows: str, columns: str, cells: _Cells) -> Table:
    """Return a table of two axes; a cell that was not timed is blank."""
    table = _table(title)
    table.add_column(rows, justify="right")
    places = sorted({column for _, column in cells})
    if len(places) > _MOST_COLUMNS:
        filled = {place: sum(column == place for _, column in cells) for place in places}
        places = sorted(sorted(places, key=lambda place: -filled[place])[:_MOST_COLUMNS])
    for place in places:
        table.add_column(f"{columns}\n{place:,}", justify="right")
    for row in sorted({row for row, _ in cells}):
        values = [cells.get((row, place), "") for place in places]
        if any(values):
            table.add_row(f"{row:,}", *values)
    return table


def _fits(fits: Sequence[IterationFit], best: IterationFit | None) -> Table:
    table = _table("Service-time models fitted to these iterations")
    table.add_column("Model")
    for header in ("Decode", "Prefill", "Mixed"):
        table.add_column(f"{header}\nerror", justify="right")
    table.add_column("Left out\nerror", justify="right")
    table.add_column("", overflow="fold")
    for fit in fits:
        name = f"{fit.model} *" if fit is best else fit.model
        errors = [
            small_share(fit.errors[kind]) if kind in fit.errors else "" for kind in
            (IterationKind.DECODE, IterationKind.PREFILL, IterationKind.MIXED)
        ]  # fmt: skip
        out = "" if fit.left_out_error is None else small_share(fit.left_out_error)
        table.add_row(name, *errors, out, fit.refusal)
    if best is not None:
        table.caption = "* the profile; mean |predicted - measured| / measured"
    return table


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        min_width=_WIDTH,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
