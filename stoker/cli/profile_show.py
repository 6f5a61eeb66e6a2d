"""`stoker profile show`: what a document of profiles holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stoker.cli.options import FormatOption, examples
from stoker.cli.output import TextFormat, json_text, write_text
from stoker.cli.output import show as print_table

EPILOG = examples(
    "stoker profile show profile.yaml",
    "stoker profile show profile.yaml --format json",
)


def show(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Document of profiles, as YAML or (.json) JSON.",
            show_default=False,
        ),
    ],
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """Show the profiles of a document: parameters, limits and where they come from."""
    from data.decode import read_document
    from data.measurements import read_profiles
    from data.profile_document import entry_of_document, read_profile_document
    from stoker.cli.profile_tables import profiles_table

    profiles = read_profiles(read_document(file), str(file))
    if output_format is TextFormat.JSON:
        write_text(json_text(entry_of_document(read_profile_document(file))))
    else:
        print_table(profiles_table(profiles))
