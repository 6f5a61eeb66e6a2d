"""The catalogue as tables: one line an entry, or two where the lines are short."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from stoker.cli.figures import UNKNOWN, money
from stoker.cli.text_grid import Cell, Column, Grid, total_width
from stoker.domain.architecture import ModelArchitecture
from stoker.domain.catalogue import AcceleratorSpec, Precision

_BILLION = 1e9

_ACCELERATOR_NOTE = (
    f"{UNKNOWN} = not known, – = not supported or not published; link: card to card, both "
    "directions; price: on demand, in the month named"
)

Headings = tuple[tuple[str, str], ...]
"""The two lines of each heading."""

_ACCELERATOR_HEADINGS: Headings = (
    ("Name", ""),
    ("Vendor", ""),
    ("Memory", "GB"),
    ("Bandwidth", "GB/s"),
    ("Dense BF16", "TFLOP/s"),
    ("Dense FP8", "TFLOP/s"),
    ("Link", "GB/s"),
    ("Power W", "idle–full"),
    ("Price/h", "per card"),
    ("Priced", ""),
)

_COMPACT_ACCELERATOR_HEADINGS: Headings = (
    ("Name", "vendor"),
    ("Memory GB", "GB/s"),
    ("BF16 TFLOP/s", "FP8"),
    ("Link GB/s", "power W"),
    ("Price/h", "priced"),
)

_MODEL_HEADINGS: Headings = (
    ("Name", ""),
    ("Publisher", ""),
    ("Parameters", "billions"),
    ("Active", "billions"),
    ("Layers", ""),
    ("Hidden", "size"),
    ("Heads", "query/KV"),
    ("Head", "size"),
    ("Experts", "of a layer"),
    ("Context", "tokens"),
    ("Attention", ""),
    ("Weights", ""),
)

_COMPACT_MODEL_HEADINGS: Headings = (
    ("Name", "publisher"),
    ("Billions", "active"),
    ("Layers", "hidden"),
    ("Heads", "size"),
    ("Experts", "context"),
    ("Attention", "weights"),
)

_TEXT_HEADINGS = frozenset({"Name", "Vendor", "Publisher", "Priced", "Attention", "Weights"})
"""Columns that are set to the left."""


def accelerator_table(specs: Sequence[AcceleratorSpec], width: int) -> RenderableType:
    """Return accelerators as a table of at most so many columns, where names permit."""
    rows = [_accelerator_row(spec) for spec in specs]
    table = _fitting(_ACCELERATOR_HEADINGS, _COMPACT_ACCELERATOR_HEADINGS, rows, width)
    return Group(f"{len(specs)} accelerators", "", table, "", Text(_ACCELERATOR_NOTE, "dim"), "")


def model_table(models: Sequence[ModelArchitecture], width: int) -> RenderableType:
    """Return models as a table of at most so many columns, where names permit."""
    rows = [_model_row(model) for model in models]
    table = _fitting(_MODEL_HEADINGS, _COMPACT_MODEL_HEADINGS, rows, width)
    return Group(f"{len(models)} models", "", table, "")


def _fitting(
    headings: Headings, compact_headings: Headings, rows: Sequence[Sequence[str]], width: int
) -> RenderableType:
    """Return the table with one line a row, or with two where one would be too long.

    Two columns that stand beside one another become the two lines of one.
    """
    table = _grid(headings, [tuple(((text, ""),) for text in row) for row in rows])
    widths = table.natural_widths()
    if total_width(widths) > width:
        paired = [zip(row[::2], row[1::2], strict=True) for row in rows]
        table = _grid(
            compact_headings,
            [tuple(((first, ""), (second, "dim")) for first, second in row) for row in paired],
        )
        widths = table.natural_widths()
        widths[0] = max(1, widths[0] - max(0, total_width(widths) - width))
    return Group(*table.lines(widths))


def _grid(headings: Headings, rows: list[tuple[Cell, ...]]) -> Grid:
    columns = tuple(
        Column(((first, ""), (second, "")), right=first not in _TEXT_HEADINGS)
        for first, second in headings
    )
    return Grid(columns, tuple(rows))


def _accelerator_row(spec: AcceleratorSpec) -> tuple[str, ...]:
    price = spec.price
    return (
        spec.name,
        spec.vendor,
        f"{spec.memory_gb:,g}",
        f"{spec.memory_bandwidth_gb_per_s:,g}",
        _tflops(spec.dense_tflops.get(Precision.BF16)),
        _tflops(spec.dense_tflops.get(Precision.FP8)),
        f"{spec.interconnect_gb_per_s:,g}",
        f"{spec.idle_power_w:g}–{spec.full_power_w:g}",
        UNKNOWN if price is None else f"{money(price.price_per_hour)} {price.currency}",
        "" if price is None else price.as_of,
    )


def _tflops(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:,g}"


def _model_row(model: ModelArchitecture) -> tuple[str, ...]:
    attention, experts = model.attention, model.experts
    return (
        model.name,
        model.publisher,
        f"{model.total_parameters / _BILLION:,.4g}",
        f"{model.active_parameters / _BILLION:,.4g}",
        str(model.layers),
        f"{model.hidden_size:,}",
        f"{attention.query_heads}/{attention.kv_heads}",
        str(attention.head_size),
        "" if experts is None else f"{experts.experts_per_token} of {experts.experts}",
        f"{model.max_context_tokens:,}",
        attention.kind.value,
        model.weight_precision.value,
    )
