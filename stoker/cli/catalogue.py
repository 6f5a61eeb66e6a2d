"""`stoker catalogue`: the accelerators and models that Stoker knows from specifications."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.figures import UNKNOWN, money
from stoker.cli.options import FormatOption, examples
from stoker.cli.output import TextFormat, json_text, show, write_text

if TYPE_CHECKING:
    from rich.table import Table

    from stoker.domain.architecture import ModelArchitecture
    from stoker.domain.catalogue import AcceleratorSpec

EPILOG = examples(
    "stoker catalogue",
    "stoker catalogue accelerators",
    "stoker catalogue models --format json",
)

_BILLION = 1e9


class Part(StrEnum):
    """Parts of the catalogue."""

    ACCELERATORS = "accelerators"
    MODELS = "models"


def catalogue(
    part: Annotated[
        Part | None,
        typer.Argument(help="Which part to list.", show_default="both", case_sensitive=False),
    ] = None,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """List the known accelerators and models.

    Figures are those of vendors and publishers: nothing here was measured. JSON carries every
    field, with its source.
    """
    from data.catalogue import load_catalogue

    known = load_catalogue()
    parts = tuple(Part) if part is None else (part,)
    if output_format is TextFormat.JSON:
        document: dict[str, object] = {}
        if Part.ACCELERATORS in parts:
            document[Part.ACCELERATORS.value] = [_spec_document(s) for s in known.accelerators]
        if Part.MODELS in parts:
            document[Part.MODELS.value] = [asdict(model) for model in known.models]
        write_text(json_text(document))
        return
    if Part.ACCELERATORS in parts:
        show(_accelerator_table(known.accelerators))
    if Part.MODELS in parts:
        show(_model_table(known.models))


def _spec_document(spec: AcceleratorSpec) -> dict[str, object]:
    return {**asdict(spec), "price_per_hour": spec.price_per_hour}


def _accelerator_table(specs: tuple[AcceleratorSpec, ...]) -> Table:
    from stoker.domain.catalogue import Precision

    table = _table(f"{len(specs)} accelerators")
    table.add_column("Name", overflow="fold")
    table.add_column("Vendor", overflow="fold")
    for header in (
        "Memory\nGB",
        "Bandwidth\nGB/s",
        "Dense BF16\nTFLOP/s",
        "Dense FP8\nTFLOP/s",
        "Link\nGB/s",
        "Power W\nidle–full",
        "Price/h\nper card",
    ):
        table.add_column(header, justify="right", overflow="fold")
    table.add_column("Priced", overflow="fold")
    for spec in specs:
        table.add_row(
            spec.name,
            spec.vendor,
            f"{spec.memory_gb:,g}",
            f"{spec.memory_bandwidth_gb_per_s:,g}",
            _tflops(spec.dense_tflops.get(Precision.BF16)),
            _tflops(spec.dense_tflops.get(Precision.FP8)),
            f"{spec.interconnect_gb_per_s:,g}",
            f"{spec.idle_power_w:g}–{spec.full_power_w:g}",
            UNKNOWN if spec.price is None else _price(spec.price.price_per_hour, spec),
            "" if spec.price is None else spec.price.as_of,
        )
    table.caption = (
        f"{UNKNOWN} = not known, – = not supported or not published; link: card to card, both "
        "directions; price: on demand, in the month named"
    )
    return table


def _price(amount: float, spec: AcceleratorSpec) -> str:
    currency = "" if spec.price is None else f" {spec.price.currency}"
    return f"{money(amount)}{currency}"


def _tflops(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:,g}"


def _model_table(models: tuple[ModelArchitecture, ...]) -> Table:
    table = _table(f"{len(models)} models")
    table.add_column("Name", overflow="fold")
    table.add_column("Publisher", overflow="fold")
    for header in (
        "Parameters\nbillions",
        "Active\nbillions",
        "Layers",
        "Hidden\nsize",
        "Heads\nquery/KV",
        "Head\nsize",
        "Experts\nof a layer",
        "Context\ntokens",
    ):
        table.add_column(header, justify="right", overflow="fold")
    table.add_column("Attention", overflow="fold")
    table.add_column("Weights", overflow="fold")
    for model in models:
        attention, experts = model.attention, model.experts
        table.add_row(
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
    return table


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(
        title=title,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
