"""Options that several commands share, and checks of numbers given on the command line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from stoker.cli.output import TextFormat

FleetArgument = Annotated[
    str,
    typer.Argument(
        metavar="FLEET",
        help="Built-in fleet (`small`, `large`), file or directory, in Stoker's or the Inferno "
        "format.",
        show_default=False,
    ),
]

FormatOption = Annotated[
    TextFormat, typer.Option("--format", help="A table to read, or JSON.", case_sensitive=False)
]

OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write to this file, in one step. `-` or nothing: standard output.",
        show_default=False,
    ),
]


def not_negative(value: float | None) -> float | None:
    """Return a finite number of at least 0, or None; refuse any other."""
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise typer.BadParameter(f"{value:g} is not a finite number of 0 or more")
    return value


def positive(value: float | None) -> float | None:
    """Return a finite number above 0, or None; refuse any other."""
    if value is not None and not (math.isfinite(value) and value > 0):
        raise typer.BadParameter(f"{value:g} is not a finite number above 0")
    return value


def examples(*lines: str) -> str:
    """Return the epilog that shows commands to try; tests run every one."""
    return "**Examples**\n\n```console\n{}\n```".format("\n".join(lines))
