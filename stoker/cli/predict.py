"""`stoker predict`: what a run at given operating points would show, from a profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.exits import ExitCode
from stoker.cli.figures import count_of
from stoker.cli.measured_files import QualityOption, SkipOption, of_quality, read_rows
from stoker.cli.options import OutputOption, examples
from stoker.cli.output import (
    TextFormat,
    check_output_file,
    plain_text,
    show,
    show_notes,
    write_text,
)
from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data.measurements import FittedProfile
    from stoker.cli.predict_output import Prediction
    from stoker.domain.measurement import Measurement

EPILOG = examples(
    "stoker predict profile.yaml points.jsonl",
    "stoker predict profile.yaml points.csv --format table",
    "stoker predict llama-3.1-8b/h100 points.jsonl",
    "head -n 1 points.jsonl | stoker predict profile.yaml - --format table",
)

_WIDTH = 150


def _share(value: float) -> float:
    if not 0 <= value <= 1:
        raise typer.BadParameter(f"{value:g} is not a share from 0 to 1")
    return value


def predict(
    profile: Annotated[
        str,
        typer.Argument(
            metavar="PROFILE",
            help="Document with profiles (of stoker fit, profile or estimate, or a fleet), or the "
            "name of a shipped profile, such as llama-3.1-8b/h100.",
            show_default=False,
        ),
    ],
    points: Annotated[
        str,
        typer.Argument(
            metavar="POINTS",
            help="Operating points, as JSON lines or CSV with in_tokens, out_tokens and rate or "
            "concurrency, or measured rows in any form of stoker fit; - for stdin.",
            show_default=False,
        ),
    ],
    quality: QualityOption = None,
    skip_bad_rows: SkipOption = False,
    wave_share: Annotated[
        float,
        typer.Option(
            callback=_share,
            help="Share of a closed loop's requests that all clients send at once: a load "
            "generator that starts them together and sends ten for each has 0.1, the steady "
            "state 0. Told by stoker fit.",
        ),
    ] = 0.0,
    output_format: Annotated[
        TextFormat,
        typer.Option("--format", help="JSON: one object a line and point; or a table to read."),
    ] = TextFormat.JSON,
    output: OutputOption = None,
) -> None:
    """Predict TTFT, ITL, E2E and throughput of a replica at given operating points.

    Points may also tell max_batch, max_num_batched_tokens, in_tokens_std, out_tokens_std,
    arrival (constant, poisson) or arrival_cv, and duration_s. Where they hold measured latencies,
    the errors are told too. Of several profiles, a point names its own by model, gpu and n_gpus.
    """
    from stoker.cli.predict_output import json_lines, points_table

    check_output_file(output)
    profiles = _profiles(profile)
    rows = of_quality(_rows(points, profiles, skip_bad_rows=skip_bad_rows), quality)
    predictions = _predicted(rows, profiles, points, wave_share)
    if output_format is TextFormat.JSON:
        write_text(json_lines(predictions), output)
    elif output is None:
        show(points_table(predictions), _WIDTH)
    else:
        write_text(plain_text(points_table(predictions)), output)
    endless = sum(item.saturated for item in predictions)
    if endless:
        points_in_all = count_of(len(predictions), "point")
        show_notes([f"{endless:,} of {points_in_all} saturated: more is offered than one carries"])
    raise typer.Exit(ExitCode.DONE)


def _profiles(source: str) -> tuple[FittedProfile, ...]:
    from data.measurements import FittedProfile
    from stoker.cli.profile_sources import read_source

    return tuple(FittedProfile.of(item) for item in read_source(source).profiles)


def _rows(
    points: str, profiles: Sequence[FittedProfile], *, skip_bad_rows: bool
) -> list[Measurement]:
    """Return the points; what they do not tell of the server is that of a single profile."""
    from data.measurements import Unrecorded

    only = profiles[0] if len(profiles) == 1 else None
    beside = (
        Unrecorded()
        if only is None
        else Unrecorded(
            model=only.model,
            gpu=only.accelerator,
            n_gpus=only.accelerators_per_replica,
            max_batch=only.max_batch,
            max_num_batched_tokens=only.token_budget,
        )
    )
    return read_rows([points], beside, skip_bad_rows=skip_bad_rows, measured=False)


def _predicted(
    rows: Sequence[Measurement], profiles: Sequence[FittedProfile], file: str, wave_share: float
) -> list[Prediction]:
    """Return the predictions of all rows, each by its own profile.

    Raises:
        InvalidInputError: A row's profile is not among them, or several are.
    """
    from stoker.cli.predict_output import predictions

    chosen = [_profile_of(row, profiles, file) for row in rows]
    found: dict[int, Prediction] = {}
    for profile in profiles:
        indices = [index for index, own in enumerate(chosen) if own is profile]
        if indices:
            made = predictions(profile, [rows[index] for index in indices], wave_share)
            found |= dict(zip(indices, made, strict=True))
    return [found[index] for index in range(len(rows))]


def _profile_of(row: Measurement, profiles: Sequence[FittedProfile], file: str) -> FittedProfile:
    if len(profiles) == 1:
        return profiles[0]
    key = (row.model, row.gpu, row.n_gpus)
    own = [
        item
        for item in profiles
        if (item.model, item.accelerator, item.accelerators_per_replica) == key
    ]
    if len(own) == 1:
        return own[0]
    there = "; ".join(
        f"{item.model} on {item.accelerators_per_replica} × {item.accelerator}" for item in profiles
    )
    count = "no profile is" if not own else f"{len(own)} profiles are"
    message = f"{count} of {row.model} on {row.n_gpus} × {row.gpu}"
    raise InvalidInputError([Problem(row.name, message, f"one of: {there}", file)])
