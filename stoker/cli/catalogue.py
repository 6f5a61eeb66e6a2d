"""`stoker catalogue`: the accelerators and models that Stoker knows from specifications."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.options import FormatOption, examples
from stoker.cli.output import TextFormat, json_text, output_width, show, write_text

if TYPE_CHECKING:
    from stoker.domain.catalogue import AcceleratorSpec

EPILOG = examples(
    "stoker catalogue",
    "stoker catalogue accelerators",
    "stoker catalogue models --format json",
)


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
    from stoker.cli.catalogue_tables import accelerator_table, model_table

    width = output_width()
    if Part.ACCELERATORS in parts:
        show(accelerator_table(known.accelerators, width))
    if Part.MODELS in parts:
        show(model_table(known.models, width))


def _spec_document(spec: AcceleratorSpec) -> dict[str, object]:
    return {**asdict(spec), "price_per_hour": spec.price_per_hour}
