"""`stoker fit`: parameters of a service-time model from measured operating points."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.exits import ExitCode
from stoker.cli.figures import count_of
from stoker.cli.measured_files import (
    EngineOption,
    GpuOption,
    GpusOption,
    MaxBatchOption,
    PrecisionOption,
    QualityOption,
    ServedModelOption,
    SkipOption,
    TokenBudgetOption,
    of_quality,
    read_rows,
)
from stoker.cli.options import examples
from stoker.cli.output import (
    TextFormat,
    check_output_directory,
    check_output_file,
    show,
    show_notes,
    write_text,
)
from stoker.cli.progress_bar import steps_bar
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.measurement import GROUP_FIELDS

if TYPE_CHECKING:
    from profiler.fit import FitResult
    from stoker.domain.measurement import Measurement

EPILOG = examples(
    "stoker fit measurements.jsonl",
    "stoker fit measurements.jsonl --model token-work --format json",
    "stoker fit measurements.jsonl --model curve --output profile.yaml",
    "stoker fit benchmarks.json --gpu H100 --n-gpus 1 --output profile.yaml --plots plots/",
)

_WIDTH = 150
_MOST_NAMED = 8


class FitModel(StrEnum):
    """Service-time models that can be fitted, and the best of them."""

    LINEAR = "linear"
    TOKEN_WORK = "token-work"
    OVERLAP = "overlap"
    CURVE = "curve"
    BEST = "best"


class LeftOut(StrEnum):
    """What a cross-validation leaves out of each of its fits."""

    SHAPE = "shape"
    LOAD = "load"
    NONE = "none"


def fit(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Measured rows (JSON lines, CSV), GuideLLM reports (JSON, CSV), results of vllm "
            "bench serve, in any mix; - for stdin.",
            show_default=False,
        ),
    ],
    model: Annotated[
        FitModel,
        typer.Option(
            help="Service-time model; best: the one with the least error on rows left out.",
            case_sensitive=False,
        ),
    ] = FitModel.BEST,
    group_by: Annotated[
        str,
        typer.Option(
            metavar="FIELDS",
            help="What tells one deployment from another; each is fitted by itself.",
        ),
    ] = ",".join(GROUP_FIELDS),
    cross_validate: Annotated[
        LeftOut,
        typer.Option(
            help="Left out of a fit and predicted by it, in turn: the rows of one shape (prompt "
            "and output tokens), or of one level of load; none: no such test.",
            case_sensitive=False,
        ),
    ] = LeftOut.SHAPE,
    assume_usual: Annotated[
        bool,
        typer.Option(
            "--assume-usual",
            help="Let usual values of engines stand for parameters that the rows do not tell, "
            "where there are any, instead of refusing the fit.",
        ),
    ] = False,
    quality: QualityOption = None,
    skip_bad_rows: SkipOption = False,
    served_model: ServedModelOption = None,
    gpu: GpuOption = None,
    n_gpus: GpusOption = None,
    engine: EngineOption = None,
    precision: PrecisionOption = None,
    max_batch: MaxBatchOption = None,
    token_budget: TokenBudgetOption = None,
    output_format: Annotated[
        TextFormat,
        typer.Option("--format", help="A table to read, or JSON: one object a line and group."),
    ] = TextFormat.TABLE,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PROFILE",
            help="Write the profiles to this file, as YAML or (.json) JSON, for `stoker predict` "
            "and fleet documents.",
            show_default=False,
        ),
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Draw predicted against measured, and residuals over load, into this directory.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Fit service-time models to measured operating points.

    Each deployment among the rows gets its parameters with 95% intervals, its errors on the rows
    fitted and on rows left out; or the reason why its rows tell no model, with the operating
    points that would, and exit code 5 where that holds of all.
    """
    from data.measurements import Unrecorded

    check_output_file(output)
    check_output_directory(plots, "--plots")
    fields = _group_fields(group_by)
    beside = Unrecorded(served_model, gpu, n_gpus, engine, precision, max_batch, token_budget)
    rows = of_quality(read_rows(files, beside, skip_bad_rows=skip_bad_rows), quality)
    groups = _grouped(rows, fields)
    results: list[FitResult] = []
    title = f"Fitting {count_of(len(groups), 'deployment')}"
    with steps_bar(title, len(groups), wanted=output_format is TextFormat.TABLE) as report:
        for done, members in enumerate(groups):
            report(done)
            results.append(_fit(members, model, fields, cross_validate, assume_usual=assume_usual))
            if output_format is TextFormat.JSON:
                from stoker.cli.fit_output import json_line

                write_text(json_line(results[-1]))
    if output_format is TextFormat.TABLE:
        from stoker.cli.fit_output import fit_table

        show(fit_table(results), _WIDTH)
    if plots is not None:
        _draw(results, groups, plots)
    if output is not None:
        _write_profiles(results, groups, files, output)
    raise typer.Exit(_exit_code(results))


def _group_fields(text: str) -> tuple[str, ...]:
    """Return the fields to group by.

    Raises:
        InvalidInputError: One of them tells no deployments apart.
    """
    fields = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in fields if name not in GROUP_FIELDS]
    if unknown or not fields:
        message = f"{', '.join(unknown)} tells no deployments apart" if unknown else "is empty"
        raise InvalidInputError([Problem("--group-by", message, ", ".join(GROUP_FIELDS))])
    return fields


def _grouped(rows: Sequence[Measurement], fields: tuple[str, ...]) -> list[list[Measurement]]:
    """Return the rows of each deployment, in the order of their first ones."""
    groups: dict[tuple[str | int | None, ...], list[Measurement]] = {}
    for row in rows:
        groups.setdefault(tuple(row.group(fields).values()), []).append(row)
    return list(groups.values())


def _fit(
    rows: Sequence[Measurement],
    model: FitModel,
    fields: tuple[str, ...],
    left_out: LeftOut,
    *,
    assume_usual: bool,
) -> FitResult:
    from profiler.fit import CrossValidation
    from profiler.fit import fit as fit_rows

    return fit_rows(
        rows,
        model.value,
        group=rows[0].group(fields),
        cross_validation=CrossValidation(left_out.value),
        assume_usual=assume_usual,
    )


def _draw(
    results: Sequence[FitResult], groups: Sequence[Sequence[Measurement]], directory: Path
) -> None:
    from stoker.cli.fit_output import compared, file_stem, title_of
    from stoker.cli.plots import write_figure
    from stoker.cli.plots.fitted import against_measured_figure, residuals_figure

    written = []
    for number, (result, rows) in enumerate(zip(results, groups, strict=True), start=1):
        if result.refusal is None:
            points, title = compared(result, rows), title_of(result)
            stem = file_stem(result, number if len(results) > 1 else None)
            for figure, name in (
                (against_measured_figure(points, title), "predicted-against-measured"),
                (residuals_figure(points, title), "residuals"),
            ):
                written.append(write_figure(figure, directory / f"{stem}-{name}.png"))
    if len(written) > _MOST_NAMED:
        show_notes([f"wrote {count_of(len(written), 'picture')} into {directory}"])
    else:
        show_notes(f"wrote {path}" for path in written)


def _write_profiles(
    results: Sequence[FitResult],
    groups: Sequence[Sequence[Measurement]],
    files: Sequence[str],
    output: Path,
) -> None:
    from data.profile_document import document_text
    from stoker.cli.fitted_profiles import fitted_document

    today = datetime.now(UTC).date()
    names = [Path(file).name for file in files if file != "-"] or ["standard input"]
    if any(result.refusal is None for result in results):
        document = fitted_document(results, groups, names, today)
        write_text(document_text(document, as_json=output.suffix == ".json"), output)
    else:
        show_notes([f"{output} was not written: there is no profile"])


def _exit_code(results: Sequence[FitResult]) -> ExitCode:
    """Return the exit code, and say on standard error what it stands for."""
    refused = sum(result.refusal is not None for result in results)
    if refused:
        show_notes([f"{refused:,} of {len(results):,} deployments not fitted: see their reasons"])
    return ExitCode.NOT_IDENTIFIED if refused == len(results) else ExitCode.DONE
