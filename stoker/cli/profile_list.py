"""`stoker profile list`: the profiles that come with Stoker."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from stoker.cli.options import FormatOption, examples
from stoker.cli.output import TextFormat, json_text, write_text
from stoker.cli.output import show as print_table

EPILOG = examples(
    "stoker profile list",
    "stoker profile list --kind fitted",
    "stoker profile list --kind fitted --format json",
)


class ShippedKind(StrEnum):
    """Kinds of shipped profiles."""

    MEASURED = "measured"
    FITTED = "fitted"
    ESTIMATED = "estimated"


def list_profiles(
    kind: Annotated[
        ShippedKind | None,
        typer.Option(help="Only those of this kind.", show_default=False, case_sensitive=False),
    ] = None,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """List the profiles that come with Stoker, with their kind.

    Measured: timed on the accelerator named. Fitted: to published measurements, whose source is
    named. Estimated: from specifications, nothing measured. Plans take any of them by name:
    `--profiles llama-3.1-8b/h100`, or `shipped: llama-3.1-8b/h100` in a fleet.
    """
    from data.profiles import shipped_profiles

    found = [
        item
        for item in shipped_profiles()
        if kind is None or item.profile.provenance.kind.value == kind.value
    ]
    if output_format is TextFormat.JSON:
        rows = [
            {
                "name": item.name,
                "model": item.profile.model,
                "accelerator": item.profile.accelerator,
                "accelerators_per_replica": item.profile.accelerators_per_replica,
                "kind": item.profile.provenance.kind.value,
                "max_batch": item.profile.max_batch,
                "source": item.profile.provenance.source,
            }
            for item in found
        ]
        write_text(json_text({"profiles": rows}))
        return
    from stoker.cli.profile_tables import shipped_table

    print_table(shipped_table(found))
