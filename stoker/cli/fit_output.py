"""Fits as JSON lines and as a table, and their predictions beside what was measured."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stoker.cli.compared import ComparedPoint
from stoker.cli.figures import UNKNOWN

if TYPE_CHECKING:
    from profiler.fit import FitError, FitResult
    from profiler.fit.result import Grid
    from stoker.domain.measurement import Measurement

_LONGEST_STEM = 80


def json_line(result: FitResult) -> str:
    """Return a fit as one line of JSON; what is unknown is null."""
    return f"{json.dumps(fit_document(result), ensure_ascii=False, allow_nan=False)}\n"


def fit_document(result: FitResult) -> dict[str, object]:
    """Return a fit as a document; a refusal has no parameters but its reason and remedies."""
    error, validated, refusal = result.error, result.cross_validated, result.refusal
    return {
        "group": dict(result.group),
        "model": result.model,
        "parameters": _parameters(result),
        "confidence": _confidence(result),
        "condition_number": _finite(result.condition_number),
        "n": result.n,
        "error": {"ttft": _finite(error.ttft), "itl": _finite(error.itl)},
        "cross_validated": {
            "ttft": None if validated is None else _finite(validated.ttft),
            "itl": None if validated is None else _finite(validated.itl),
            "n": 0 if validated is None else validated.n,
            "folds": result.folds,
        },
        "excluded": [{"row": item.row, "reason": item.reason} for item in result.excluded],
        "refusal": (
            None
            if refusal is None
            else {
                "reason": refusal.reason,
                "parameters": list(refusal.parameters),
                "measure": list(refusal.remedies),
            }
        ),
    }


def _parameters(result: FitResult) -> dict[str, object]:
    """Return the parameters by name; of a curve, its knots and grids as a profile has them."""
    if result.table is None:
        return dict(result.parameters)
    from data.stoker_writing import curve_document

    return curve_document(result.table) | dict(result.parameters)


def _confidence(result: FitResult) -> dict[str, object]:
    """Return the 95% intervals by name; of a curve, of each time in its grids, too."""
    ends: dict[str, object] = {name: list(pair) for name, pair in result.confidence.items()}
    if result.curve is None:
        return ends
    grids = {"decode_ms": result.curve.decode_ms, "prefill_ms": result.curve.prefill_ms}
    bands: dict[str, object] = {
        name: [
            [list(pair) for pair in zip(*row, strict=True)] for row in zip(low, high, strict=True)
        ]
        for name, (low, high) in grids.items()
    }
    return bands | ends


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def compared(result: FitResult, rows: Sequence[Measurement]) -> list[ComparedPoint]:
    """Return the rows of a deployment with what its fitted model predicts for them."""
    from profiler.fit import predict

    forecast = predict(result.model, result.parameters, rows, result.table)
    ttft_ms = forecast.typical_ttft_ms(rows)
    excluded = {item.row for item in result.excluded}
    return [
        ComparedPoint(
            row,
            _finite(float(ttft_ms[index])),
            _finite(float(forecast.itl_ms[index])),
            (row.name or f"row {index + 1}") not in excluded,
        )
        for index, row in enumerate(rows)
    ]


def deployment_of(group: Mapping[str, str | int | None]) -> str:
    """Return a deployment in words: model, accelerators, precision and engine, as far as told."""
    gpu, count = group.get("gpu"), group.get("n_gpus")
    card = f"{count} × {gpu}" if gpu and count else str(gpu or (f"{count} GPUs" if count else ""))
    parts = (group.get("model"), card, group.get("precision"), group.get("engine"))
    return ", ".join(str(part) for part in parts if part) or "all rows"


def title_of(result: FitResult) -> str:
    """Return the title of a fit's pictures."""
    return f"{deployment_of(result.group)}:\n{result.model} fitted to {result.n:,} rows"


def file_stem(result: FitResult, number: int | None) -> str:
    """Return the beginning of the file names of a fit's pictures.

    Args:
        result: The fit.
        number: Its place among several, to keep their files apart; None for a single one.
    """
    group = {name: value for name, value in result.group.items() if name != "engine"}
    words = re.sub(r"[^A-Za-z0-9.]+", "-", deployment_of(group)).strip("-.")
    stem = words[:_LONGEST_STEM].rstrip("-.") or "rows"
    return stem if number is None else f"{number:02d}-{stem}"


def fit_table(results: Sequence[FitResult]) -> RenderableType:
    """Return fits as a table, with the reasons of those that were refused below it."""
    table = Table(
        title="Fitted service-time models (errors: mean of |predicted − measured| / measured)",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        padding=(0, 1, 0, 0),
    )
    table.add_column("Deployment", overflow="fold", max_width=36)
    table.add_column("Model")
    table.add_column("Rows", justify="right")
    table.add_column("Parameter", no_wrap=True)
    table.add_column("Value", justify="right", no_wrap=True)
    table.add_column("95% interval", justify="right", no_wrap=True)
    table.add_column("Condition", justify="right")
    for heading in ("TTFT error\nfitted", "left out", "ITL error\nfitted", "left out"):
        table.add_column(heading, justify="right")
    notes: list[Text] = []
    for result in results:
        _add(table, result)
        if result.refusal is not None:
            notes.append(_refusal(result))
        if result.excluded:
            notes.append(_left_out(result))
    return Group(table, *notes) if notes else table


def _add(table: Table, result: FitResult) -> None:
    lines = _lines(result)
    validated = result.cross_validated
    table.add_row(
        deployment_of(result.group),
        result.model,
        f"{result.n:,}",
        "\n".join(name for name, _, _ in lines) or "not told by the rows",
        "\n".join(value for _, value, _ in lines),
        "\n".join(interval for _, _, interval in lines),
        UNKNOWN if result.condition_number is None else f"{result.condition_number:,.3g}",
        _error(result.error, "ttft"),
        _error(validated, "ttft"),
        _error(result.error, "itl"),
        _error(validated, "itl"),
        end_section=True,
    )


def _lines(result: FitResult) -> list[tuple[str, str, str]]:
    """Return names, values and intervals; of a grid its ends, and the widest interval."""
    lines = [
        (name, _value(value), _interval(result.confidence.get(name)))
        for name, value in result.parameters.items()
    ]
    if result.curve is None:
        return lines
    table = result.curve.table
    grids = [
        (
            f"decode_ms, {len(table.batches)} × {len(table.contexts)}",
            table.decode_ms,
            result.curve.decode_ms,
        ),
        (
            f"prefill_ms, {len(table.prefill_tokens)} × {len(table.prefill_contexts)}",
            table.prefill_ms,
            result.curve.prefill_ms,
        ),
    ]
    return [
        (name, f"{_value(grid[0][0])} – {_value(grid[-1][-1])}", _widest(grid, band[1]))
        for name, grid, band in grids
    ] + lines


def _widest(grid: Grid, high: Grid) -> str:
    """Return how far the least certain time of a grid may be off."""
    pairs = zip(chain.from_iterable(grid), chain.from_iterable(high), strict=True)
    return f"± {max(end / time for time, end in pairs) - 1.0:.1%} or less"


def _value(value: float) -> str:
    return f"{value:,.0f}" if value >= 1e4 else f"{value:.4g}"


def _interval(ends: tuple[float, float] | None) -> str:
    return UNKNOWN if ends is None else f"{_value(ends[0])} – {_value(ends[1])}"


def _error(error: FitError | None, which: str) -> str:
    value = None if error is None else error.ttft if which == "ttft" else error.itl
    return UNKNOWN if value is None else f"{value:.1%}"


def _refusal(result: FitResult) -> Text:
    assert result.refusal is not None
    text = f"{deployment_of(result.group)}: {result.refusal.reason}"
    wanted = "; ".join(result.refusal.remedies)
    return Text(f"{text}. To measure: {wanted}." if wanted else f"{text}.")


def _left_out(result: FitResult) -> Text:
    reasons: dict[str, int] = {}
    for item in result.excluded:
        reasons[item.reason] = reasons.get(item.reason, 0) + 1
    told = "; ".join(f"{count:,} rows: {reason}" for reason, count in reasons.items())
    return Text(f"{deployment_of(result.group)}: not used, or in part: {told}.")
