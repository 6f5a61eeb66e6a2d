"""Options of load that changes over time, and what is read by them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.csv_input import opened_csv
from stoker.cli.options import not_negative
from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from emulator.load_phases import Load, Phase, Trace

PhaseOption = Annotated[
    list[str] | None,
    typer.Option(
        "--phase",
        metavar="PHASE",
        help="A stretch of load, one after the other: constant:5@60s, ramp:1..10@5m, "
        "steps:2..10/5@10m, sinus:6+-4/10m@1h, trace:FILE.csv; ~0.3 before the @ adds noise of "
        "that coefficient of variation. Rates in requests per second.",
        show_default=False,
    ),
]
InputTokensOption = Annotated[
    int, typer.Option("--input-tokens", metavar="N", min=1, help="Mean tokens of a prompt.")
]
OutputTokensOption = Annotated[
    int, typer.Option("--output-tokens", metavar="N", min=1, help="Mean tokens of an answer.")
]
TokensCvOption = Annotated[
    float,
    typer.Option(
        "--tokens-cv",
        metavar="CV",
        help="Coefficient of variation of both (lognormal); 0 for all alike.",
        callback=not_negative,
    ),
]
SeedOption = Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the random draws.")]

_MOST_SECONDS_A_TRACE = 1e-3


def read_load(
    phases: Sequence[str], input_tokens: int, output_tokens: int, tokens_cv: float, seed: int
) -> Load:
    """Return the load that options describe.

    Raises:
        InvalidInputError: With every phase that is wrong.
    """
    from emulator.load_phases import Load
    from simulator import LognormalLength, SeparateLengths

    read: list[Phase | Trace] = []
    problems: list[Problem] = []
    for index, text in enumerate(phases):
        try:
            read.append(_read(text, seed + index))
        except InvalidInputError as error:
            problems += error.problems
    if problems:
        raise InvalidInputError(problems)
    lengths = SeparateLengths(
        LognormalLength(input_tokens, tokens_cv), LognormalLength(output_tokens, tokens_cv)
    )
    return Load(tuple(read), lengths, seed)


def _read(text: str, seed: int) -> Phase | Trace:
    from emulator.phase_text import read_phase

    if not text.startswith("trace:"):
        return read_phase(text, seed)
    from data.simulation_lines import parse_trace
    from emulator.load_phases import Trace

    path = Path(text.removeprefix("trace:"))
    with opened_csv(path) as lines:
        rows = parse_trace(lines, file=str(path))
    requests = tuple(
        (at_ms / 1000.0, prompt, output)
        for at_ms, prompt, output in zip(
            rows.arrival_ms, rows.input_tokens, rows.output_tokens, strict=True
        )
    )
    return Trace(requests, requests[-1][0] + _MOST_SECONDS_A_TRACE)
