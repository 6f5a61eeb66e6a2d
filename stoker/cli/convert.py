"""`stoker convert`: write a fleet or a log of requests in another format; say what is lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.csv_input import opened_csv
from stoker.cli.options import examples
from stoker.cli.output import (
    check_output_directory,
    check_output_file,
    json_text,
    show_notes,
    write_text,
)
from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from stoker.domain.fleet import Fleet

_INFERNO_FILES = {
    "acceleratorData": "accelerator-data.json",
    "capacityData": "capacity-data.json",
    "modelData": "model-data.json",
    "serviceClassData": "serviceclass-data.json",
    "serverData": "server-data.json",
    "optimizerData": "optimizer-data.json",
}


class Target(StrEnum):
    """Formats to write: of a fleet, or of a log of requests."""

    STOKER = "stoker"
    INFERNO = "inferno"
    INFERNO_DIR = "inferno-dir"
    TRACE = "trace"


class Notation(StrEnum):
    """How a document is spelled."""

    YAML = "yaml"
    JSON = "json"


EPILOG = examples(
    "stoker convert small --to stoker",
    "stoker convert small --to inferno --output small.json",
    "stoker convert small --to inferno-dir --output small-inferno",
    "stoker convert BurstGPT_1.csv --to trace --output requests.csv",
)


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Built-in fleet (`small`, `large`), file or directory, in Stoker's or the Inferno "
            "format; with `--to trace` a log of requests: the Azure LLM inference traces, BurstGPT "
            "or Mooncake.",
            show_default=False,
        ),
    ],
    to: Annotated[
        Target,
        typer.Option(
            "--to",
            help="Stoker's own format, the Inferno system in one file, or its directory of six; of "
            "a log of requests the trace that `trace`, `backtest` and `simulate` read.",
            case_sensitive=False,
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="File to write, or the new directory for `inferno-dir`, which needs one.",
            show_default="standard output",
        ),
    ] = None,
    notation: Annotated[
        Notation | None,
        typer.Option(
            "--format",
            help="How to spell Stoker's own format; Inferno's is JSON.",
            case_sensitive=False,
            show_default="as the name of the file says, else yaml",
        ),
    ] = None,
) -> None:
    """Write a fleet, or a log of requests, in another format.

    What the other format cannot hold, or holds in another way, is said on standard error.
    """
    _check(to, output, notation)
    if to is Target.TRACE:
        write_text(_trace_text(Path(source)), output)
        return
    from data.fleets import parse_fleet, read_fleet
    from data.inferno import fleet_to_system
    from data.stoker_format import fleet_to_document

    fleet = read_fleet(source)
    if to is Target.STOKER:
        document = fleet_to_document(fleet)
        text = _stoker_text(document, notation or _notation_of(output))
    else:
        document = fleet_to_system(fleet)
        text = json_text(document)
    show_notes(_loss_notes(fleet, parse_fleet(document), to))
    if to is Target.INFERNO_DIR and output is not None:
        _write_directory(document, output)
    else:
        write_text(text, output)


def _check(to: Target, output: Path | None, notation: Notation | None) -> None:
    if to is Target.TRACE and notation is not None:
        message = f"{notation.value} cannot be combined with --to trace"
        raise InvalidInputError([Problem("--format", message, "nothing: a trace is CSV")])
    if to is not Target.STOKER and notation is Notation.YAML:
        message = f"yaml cannot be combined with --to {to.value}"
        raise InvalidInputError([Problem("--format", message, "json")])
    if to is not Target.INFERNO_DIR:
        check_output_file(output)
    elif output is None or str(output) == "-":
        message = "is needed with --to inferno-dir"
        raise InvalidInputError([Problem("--output", message, "a new directory")])
    elif output.is_dir() and any(output.iterdir()):
        message = f"{output} is not empty"
        raise InvalidInputError([Problem("--output", message, "a new or an empty directory")])
    else:
        check_output_directory(output, "--output")


def _trace_text(path: Path) -> str:
    """Return the trace of a log of requests, and say what of it is left out."""
    from data.request_logs import parse_request_log, trace_lines

    with opened_csv(path) as lines:
        log = parse_request_log(lines, file=str(path))
    if log.without_output:
        show_notes(
            [
                f"{log.without_output:,} requests without an output token are left out: they "
                "failed, and what they would have asked of a replica is unknown"
            ]
        )
    return "\n".join([*trace_lines(log), ""])


def _notation_of(output: Path | None) -> Notation:
    if output is not None and output.suffix.lower() == ".json":
        return Notation.JSON
    return Notation.YAML


def _stoker_text(document: dict[str, object], notation: Notation) -> str:
    if notation is Notation.JSON:
        return json_text(document)
    from data.yaml_writer import to_yaml

    return to_yaml(document)


def _loss_notes(before: Fleet, after: Fleet, to: Target) -> list[str]:
    from stoker.cli.losses import losses

    lost = losses(before, after)
    if not lost:
        return []
    return [f"the {to.value} format cannot hold all of this fleet:", *lost]


def _write_directory(document: Mapping[str, object], directory: Path) -> None:
    """Write the six files; the directory appears complete or not at all."""
    system = document["system"]
    assert isinstance(system, Mapping)
    target = directory.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.urandom(4).hex()}.tmp")
    temporary.mkdir()
    try:
        for key, name in _INFERNO_FILES.items():
            write_text(json_text(system[key]), temporary / name)
        temporary.replace(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
