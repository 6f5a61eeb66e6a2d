"""`stoker demo`: list the numbered demonstrations, or run one.

Demonstrations may import anything and are imported by nothing: they are found by name, in the
package `demos` that is installed beside this one.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from stoker.cli.options import FormatOption, examples
from stoker.cli.output import (
    TextFormat,
    announce,
    check_output_directory,
    json_text,
    show,
    write_text,
)
from stoker.domain.errors import InvalidInputError, Problem

_PACKAGE = "demos"
_MODULE = re.compile(r"d(\d\d)_(\w+)")
_DEFAULT_OUTPUT = "demo-output"

EPILOG = examples(
    "stoker demo",
    "stoker demo 01-rising-load",
    "stoker demo 06 --output demo-output --format json",
)


@dataclass(frozen=True, slots=True)
class Demo:
    """A demonstration.

    Attributes:
        name: What it is called on the command line, e.g. ``01-rising-load``.
        title: What it shows, in a line.
        module: The module that holds it.
    """

    name: str
    title: str
    module: str


def find_demos() -> tuple[Demo, ...]:
    """Return the demonstrations that are installed, in the order of their numbers."""
    spec = importlib.util.find_spec(_PACKAGE)
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    found = []
    for path in sorted(path for folder in folders for path in Path(folder).glob("d*.py")):
        match = _MODULE.fullmatch(path.stem)
        if match:
            name = f"{match[1]}-{match[2].replace('_', '-')}"
            found.append(Demo(name, _title(path), f"{_PACKAGE}.{path.stem}"))
    return tuple(found)


def _title(path: Path) -> str:
    """Return the first line of a module's docstring, without running the module."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def demo(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Which one to run: its name, or the number it starts with.",
            show_default="list them",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Directory for the pictures and files that it writes.",
            show_default=f"{_DEFAULT_OUTPUT}/NAME",
        ),
    ] = None,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """List the demonstrations, or run one.

    Each shows one idea.
    """
    demos = find_demos()
    if name is None:
        _list(demos, output_format)
        return
    chosen = _choose(demos, name)
    directory = output or Path(_DEFAULT_OUTPUT) / chosen.name
    check_output_directory(directory, "--output")
    announce(f"Running {chosen.name} ...")
    importlib.import_module(chosen.module).main(directory, output_format.value)


def _choose(demos: Sequence[Demo], name: str) -> Demo:
    for known in demos:
        if name in (known.name, known.name.partition("-")[0]):
            return known
    names = ", ".join(known.name for known in demos) or "none is installed"
    raise InvalidInputError([Problem("NAME", f"no demonstration is called {name!r}", names)])


def _list(demos: Sequence[Demo], output_format: TextFormat) -> None:
    if output_format is TextFormat.JSON:
        listed = [{"name": known.name, "title": known.title} for known in demos]
        write_text(json_text({"demos": listed}))
        return
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for known in demos:
        table.add_row(known.name, known.title)
    show(table)
