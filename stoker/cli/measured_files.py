"""Files of measured operating points on the command line: options, reading, notes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.output import show_notes
from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from data.measurements import Unrecorded
    from stoker.domain.measurement import Measurement

_LARGEST_BYTES = 1024**3
_MOST_TOLD = 20


def at_least_one(value: int | None) -> int | None:
    """Return a whole number of at least 1, or None; refuse any other."""
    if value is not None and value < 1:
        raise typer.BadParameter(f"{value} is not a whole number of 1 or more")
    return value


SkipOption = Annotated[
    bool,
    typer.Option(
        "--skip-bad-rows", help="Leave out rows that cannot be used, and tell which and why."
    ),
]
QualityOption = Annotated[
    list[str] | None,
    typer.Option(
        "--quality",
        metavar="WORD",
        help="Use only rows of this quality; may be repeated. Without it, rows are used as far as "
        "they inform.",
        show_default=False,
    ),
]
ServedModelOption = Annotated[
    str | None,
    typer.Option("--served-model", metavar="NAME", help="Model, where a file does not name it."),
]
GpuOption = Annotated[
    str | None,
    typer.Option("--gpu", metavar="NAME", help="Accelerator, where a file does not name it."),
]
GpusOption = Annotated[
    int | None,
    typer.Option(
        "--n-gpus",
        callback=at_least_one,
        help="Accelerators of the replica, where a file does not say.",
        show_default=False,
    ),
]
EngineOption = Annotated[
    str | None,
    typer.Option("--engine", metavar="NAME", help="Model server, where a file does not name it."),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option("--precision", metavar="NAME", help="Of weights, where a file does not name it."),
]
MaxBatchOption = Annotated[
    int | None,
    typer.Option(
        "--max-batch",
        callback=at_least_one,
        help="Most requests in service at once, where a file does not say.",
        show_default=False,
    ),
]
TokenBudgetOption = Annotated[
    int | None,
    typer.Option(
        "--token-budget",
        callback=at_least_one,
        help="Most tokens computed in an iteration, where a file does not say.",
        show_default=False,
    ),
]


def read_rows(
    files: Sequence[str], beside: Unrecorded, *, skip_bad_rows: bool, measured: bool = True
) -> list[Measurement]:
    """Return the rows of files, and tell on standard error which were left out.

    Args:
        files: Paths; ``-`` is standard input.
        beside: What is known of the server beside the files.
        skip_bad_rows: Leave out what cannot be used instead of refusing it.
        measured: Whether rows must hold a measured latency.

    Raises:
        InvalidInputError: A file cannot be read, or a row is wrong.
    """
    from data.measurements import read_measurements

    rows: list[Measurement] = []
    problems: list[Problem] = []
    for file in files:
        name = "standard input" if file == "-" else file
        try:
            reading = read_measurements(
                _text(file), name, beside, skip_bad_rows=skip_bad_rows, measured=measured
            )
        except InvalidInputError as error:
            problems += error.problems
            continue
        rows += reading.rows
        if reading.rows_left_out:
            all_rows = len(reading.rows) + reading.rows_left_out
            told = [str(problem) for problem in reading.left_out[:_MOST_TOLD]]
            more = len(reading.left_out) - len(told)
            show_notes(
                [
                    f"{name}: {reading.rows_left_out:,} of {all_rows:,} rows left out",
                    *told,
                    *([f"{name}: and {more:,} more problems"] if more else []),
                ]
            )
    if problems:
        raise InvalidInputError(problems)
    return rows


def _text(file: str) -> str:
    """Return the text of a file in UTF-8.

    Benchmark reports list every request, and outgrow what fleet documents may be.
    """
    if file == "-":
        return sys.stdin.read()
    path = Path(file)
    if path.is_file() and path.stat().st_size > _LARGEST_BYTES:
        raise InvalidInputError([Problem("", "is larger than 1 GiB", "at most 1 GiB", file)])
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not UTF-8"
        raise InvalidInputError([Problem("", message, "text in UTF-8", file)]) from error


def of_quality(rows: list[Measurement], wanted: Sequence[str] | None) -> list[Measurement]:
    """Return the rows of the qualities asked for.

    Raises:
        InvalidInputError: No row has any of them.
    """
    if not wanted:
        return rows
    kept = [row for row in rows if row.quality in wanted]
    if not kept:
        there = sorted({row.quality or "(none)" for row in rows})
        message = f"no row is of quality {', '.join(wanted)}"
        raise InvalidInputError([Problem("--quality", message, ", ".join(there))])
    if len(kept) < len(rows):
        show_notes([f"{len(rows) - len(kept):,} of {len(rows):,} rows are of another quality"])
    return kept
