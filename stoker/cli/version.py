"""`stoker version`: what runs here."""

from __future__ import annotations

import platform

import typer

from stoker import __version__
from stoker.cli.options import FormatOption, examples
from stoker.cli.output import TextFormat, json_text, write_text

EPILOG = examples("stoker version", "stoker version --format json")


def version(output_format: FormatOption = TextFormat.TABLE) -> None:
    """Print the version."""
    python = platform.python_version()
    if output_format is TextFormat.JSON:
        write_text(json_text({"stoker": __version__, "python": python}))
    else:
        write_text(f"stoker {__version__} (Python {python})\n")


def version_flag(value: bool) -> None:
    """Print the version and end, where the flag was given."""
    if value:
        version()
        raise typer.Exit
