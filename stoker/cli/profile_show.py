"""`stoker profile show`: what a document of profiles holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stoker.cli.options import FormatOption, examples
from stoker.cli.output import TextFormat, check_output_directory, json_text, show_notes, write_text
from stoker.cli.output import show as print_table
from stoker.cli.profile_sources import SourceArgument, read_source

EPILOG = examples(
    "stoker profile show profile.yaml",
    "stoker profile show llama-3.1-8b/h100",
    "stoker profile show llama-3.1-8b/h100 --format json",
)

_WIDTH = 150


def show(
    profile: SourceArgument,
    output_format: FormatOption = TextFormat.TABLE,
    plots: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Draw throughput over batch, iteration times and prefill times into this "
            "directory.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show profiles: parameters with their confidence, limits, and where they come from.

    Of a document with timed iterations also the device, the cases that failed and the curves.
    """
    from stoker.cli.profile_tables import document_tables

    check_output_directory(plots, "--plots")
    document = read_source(profile)
    if output_format is TextFormat.JSON:
        from data.profile_document import entry_of_document

        write_text(json_text(entry_of_document(document)))
    else:
        for table in document_tables(document):
            print_table(table, _WIDTH)
    if plots is not None:
        from stoker.cli.plots import write_figure
        from stoker.cli.plots.profiles import profile_figures

        written = [
            write_figure(figure, plots / f"{name}.png")
            for name, figure in profile_figures(document)
        ]
        show_notes(f"wrote {path}" for path in written)
