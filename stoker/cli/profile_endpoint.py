"""`stoker profile endpoint`: a profile of a running server, measured from outside."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from stoker.cli.exits import ExitCode
from stoker.cli.load import API_KEY, check_loopback
from stoker.cli.options import examples, positive
from stoker.cli.output import (
    TextFormat,
    check_output_file,
    show,
    show_notes,
    write_text,
)
from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from profiler.endpoint import Campaign, Deployment, Grid, Progress, Verdict
    from profiler.fit import FitResult
    from stoker.domain.measurement import Measurement

EPILOG = examples(
    "stoker profile endpoint http://127.0.0.1:8000 --gpu H100 --output profile.yaml",
    "stoker profile endpoint http://127.0.0.1:8000 --gpu H100 --max-batch 256 --budget 1200 "
    "--rows rows.jsonl --output profile.yaml",
)

_WIDTH = 150
_SOURCE = "stoker profile endpoint"


class EndpointModel(StrEnum):
    """Service-time models that a server may be measured for."""

    LINEAR = "linear"
    TOKEN_WORK = "token-work"
    OVERLAP = "overlap"


def endpoint(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="Server with OpenAI's completion endpoint: vLLM, SGLang, stoker emulate.",
            show_default=False,
        ),
    ],
    gpu: Annotated[
        str,
        typer.Option("--gpu", metavar="NAME", help="Its accelerator.", show_default=False),
    ],
    n_gpus: Annotated[int, typer.Option("--n-gpus", min=1, help="How many of them.")] = 1,
    served_model: Annotated[
        str | None,
        typer.Option(
            "--served-model", metavar="NAME", help="Model.", show_default="the server's first"
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Model server and version.", show_default=False),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Format of its weights.", show_default=False),
    ] = None,
    max_batch: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Its most requests in service.", show_default="unknown"
        ),
    ] = None,
    token_budget: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Most tokens that one of its iterations computes.",
            show_default="8192",
        ),
    ] = None,
    model: Annotated[
        EndpointModel,
        typer.Option(help="Service-time model to find the parameters of.", case_sensitive=False),
    ] = EndpointModel.OVERLAP,
    input_tokens: Annotated[
        str, typer.Option("--input-tokens", metavar="LIST", help="Lengths of prompts.")
    ] = "128,512,2048",
    output_tokens: Annotated[
        str, typer.Option("--output-tokens", metavar="LIST", help="Lengths of answers.")
    ] = "32,128",
    concurrency: Annotated[
        str, typer.Option(metavar="LIST", help="Numbers of clients of closed loops.")
    ] = "1,4,16,64",
    confidence: Annotated[
        float,
        typer.Option(
            metavar="PERCENT",
            help="Uncertainty (95%) of predicted latencies at which to stop.",
            callback=positive,
        ),
    ] = 5.0,
    budget: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Time to measure; a run that has begun is finished.",
            callback=positive,
        ),
    ] = 900.0,
    most_points: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="Operating points at most.")
    ] = 30,
    point_time: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Load of each point; longer where requests last long.",
            callback=positive,
        ),
    ] = 15.0,
    rows: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Append the rows to this file (JSON lines), as they come. Points that it has "
            "are not measured again: the way to go on after an interruption.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PROFILE",
            help="Write the profile to this file, as YAML or (.json) JSON.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the prompts.")] = 0,
    allow_remote: Annotated[
        bool,
        typer.Option("--allow-remote", help="Take a server that is not on this machine, too."),
    ] = False,
    output_format: Annotated[
        TextFormat,
        typer.Option("--format", help="A table to read, or JSON.", case_sensitive=False),
    ] = TextFormat.TABLE,
) -> None:
    """Measure a running server, and fit a profile to what it shows.

    GuideLLM (pip install 'stoker[load]') sends the load and times the tokens. The first points
    are corners of the grid of lengths and loads; each further one is the one that tells most of
    what is not known yet. A key for the server is taken from STOKER_API_KEY.
    """
    from profiler.endpoint import Campaign, Deployment, GuideLlmRuns, probe

    check_output_file(output)
    check_output_file(rows, "--rows")
    grid = _grid(input_tokens, output_tokens, concurrency)
    check_loopback(url, urlsplit(url).hostname or "", allow_remote=allow_remote)
    server = probe(url, served_model, os.environ.get(API_KEY, ""))
    deployment = Deployment(server.model, gpu, n_gpus, engine, precision, max_batch, token_budget)
    known = _known(rows, deployment)
    runs = GuideLlmRuns(server, deployment, seed)
    campaign = Campaign(
        server,
        deployment,
        grid,
        model.value,
        runs,
        time.monotonic,
        confidence / 100.0,
        budget,
        most_points,
        point_time,
        known,
    )
    if not grid.first(server.max_model_tokens):
        allowed = f"shapes of up to {server.max_model_tokens:,} tokens"
        message = "every shape is longer than the server takes"
        raise InvalidInputError([Problem("--input-tokens, --output-tokens", message, allowed)])
    verdict = campaign.run(lambda row: _append(row, rows), _told)
    raise typer.Exit(_finish(campaign, verdict, output_format, output))


def _grid(inputs: str, outputs: str, clients: str) -> Grid:
    from profiler.endpoint import Grid

    problems: list[Problem] = []
    read = [
        _whole_numbers(option, text, problems)
        for option, text in (
            ("--input-tokens", inputs),
            ("--output-tokens", outputs),
            ("--concurrency", clients),
        )
    ]
    if problems:
        raise InvalidInputError(problems)
    return Grid(in_tokens=read[0], out_tokens=read[1], clients=read[2])


def _whole_numbers(option: str, text: str, problems: list[Problem]) -> tuple[int, ...]:
    try:
        values = sorted({int(part) for part in text.split(",") if part.strip()})
    except ValueError:
        values = []
    if not values or values[0] < 1:
        problems.append(Problem(option, f"is {text!r}", "whole numbers of 1 or more, with commas"))
    return tuple(values)


def _known(path: Path | None, deployment: Deployment) -> list[Measurement]:
    """Return the rows of an earlier campaign.

    Raises:
        InvalidInputError: The file holds rows of something else.
    """
    from data.measurements import read_measurements

    if path is None or not path.is_file() or not path.read_text(encoding="utf-8").strip():
        return []
    found = list(read_measurements(path.read_text(encoding="utf-8"), str(path)).rows)
    ours = (deployment.model, deployment.gpu, deployment.n_gpus)
    for row in found:
        if (row.model, row.gpu, row.n_gpus) != ours:
            message = f"{row.name} is of {row.model} on {row.n_gpus} × {row.gpu}"
            allowed = f"rows of {ours[0]} on {ours[2]} × {ours[1]}, or another file"
            raise InvalidInputError([Problem("--rows", message, allowed, str(path))])
    show_notes([f"{path} has {len(found)} points: going on from there"])
    return found


def _append(row: Measurement, path: Path | None) -> None:
    """Keep a row at once: what was measured must not be lost."""
    from data.measurements.row_writing import row_document

    if path is not None:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row_document(row), ensure_ascii=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def _told(progress: Progress) -> None:
    """Tell on standard error what goes on."""
    if progress.failed:
        show_notes([f"a run failed: {progress.failed}"])
    if not progress.doing:
        return
    doubt = progress.uncertainty
    if progress.untold:
        known = f"not told yet: {', '.join(progress.untold)}"
    elif doubt is None:
        known = "too few to tell"
    else:
        known = f"latencies known within {doubt:.1%}"
    names = ", ".join(point.name for point in progress.doing)
    show_notes([f"{progress.rows} points, {progress.spent_s:.0f} s, {known}; measuring {names}"])


def _finish(
    campaign: Campaign, verdict: Verdict, output_format: TextFormat, output: Path | None
) -> ExitCode:
    from profiler.endpoint import Verdict
    from stoker.cli.endpoint_output import endpoint_document, rows_table
    from stoker.cli.fit_output import fit_table

    result = _fitted(campaign)
    if output_format is TextFormat.JSON:
        write_text(json.dumps(endpoint_document(campaign, verdict, result), indent=2) + "\n")
    else:
        show(rows_table(campaign), _WIDTH)
        sys.stdout.write("\n")
        show(fit_table([result]), _WIDTH)
    if verdict is not Verdict.KNOWN:
        why = "time or points are used up" if verdict is Verdict.BUDGET else "no points are left"
        show_notes([f"{why} before latencies are known as well as asked"])
    if result.refusal is not None:
        show_notes([result.refusal.reason, *result.refusal.remedies])
        return ExitCode.NOT_IDENTIFIED
    if output is not None:
        _write(campaign, result, output)
    return ExitCode.DONE


def _fitted(campaign: Campaign) -> FitResult:
    from profiler.fit import CrossValidation, fit

    group = campaign.rows[0].group() if campaign.rows else {}
    return fit(campaign.rows, campaign.model, group=group, cross_validation=CrossValidation.NONE)


def _write(campaign: Campaign, result: FitResult, output: Path) -> None:
    from data.profile_document import document_text
    from stoker.cli.fitted_profiles import fitted_document

    today = datetime.now(UTC).date()
    document = fitted_document([result], [campaign.rows], [_SOURCE], today)
    write_text(document_text(document, as_json=output.suffix == ".json"), output)
