"""`stoker estimate`: what specifications say of a model on a card that nobody has measured."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.exits import ExitCode
from stoker.cli.options import OutputOption, examples
from stoker.cli.output import check_output_file, json_text, plain_text, show, show_notes, write_text
from stoker.domain.catalogue import Precision
from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from data.catalogue import Catalogue
    from queueing.roofline import Deployment, Estimate

EPILOG = examples(
    "stoker estimate Llama-3.1-8B H100",
    "stoker estimate Llama-3.1-70B H200 --tensor-parallel 2 --weights-dtype fp8",
    "stoker estimate gpt-oss-120b H100 --as curve --format yaml --output profile.yaml",
)


class ProfileForm(StrEnum):
    """Service-time models that an estimate can be handed on as."""

    TOKEN_WORK = "token-work"
    CURVE = "curve"


class EstimateFormat(StrEnum):
    """Formats of an estimate."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def _at_least_one(value: int | None) -> int | None:
    if value is not None and value < 1:
        raise typer.BadParameter(f"{value} is not a whole number of 1 or more")
    return value


def estimate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Model of the catalogue, by name or alias.")
    ],
    accelerator: Annotated[
        str, typer.Argument(metavar="ACCELERATOR", help="Card of the catalogue, by name or alias.")
    ],
    tensor_parallel: Annotated[
        int | None,
        typer.Option(
            "--tensor-parallel",
            callback=_at_least_one,
            help="Cards of one replica.",
            show_default="the fewest that hold the model",
        ),
    ] = None,
    weights_dtype: Annotated[
        Precision | None,
        typer.Option("--weights-dtype", help="Format of all weights.", show_default="as released"),
    ] = None,
    kv_dtype: Annotated[
        Precision, typer.Option("--kv-dtype", help="Format of the KV cache.")
    ] = Precision.BF16,
    input_tokens: Annotated[
        int,
        typer.Option("--input-tokens", callback=_at_least_one, help="Input tokens of a request."),
    ] = 1024,
    output_tokens: Annotated[
        int,
        typer.Option("--output-tokens", callback=_at_least_one, help="Output tokens of a request."),
    ] = 256,
    form: Annotated[
        ProfileForm,
        typer.Option(
            "--as",
            help="Form of the profile: three parameters, or a table of iteration times, which is "
            "closer to the estimate and for the analysis `full` alone.",
            case_sensitive=False,
        ),
    ] = ProfileForm.TOKEN_WORK,
    output_format: Annotated[
        EstimateFormat,
        typer.Option(
            "--format",
            help="A table to read, JSON with every figure, or the profile alone as YAML for a "
            "fleet in Stoker's format.",
            case_sensitive=False,
        ),
    ] = EstimateFormat.TABLE,
    output: OutputOption = None,
) -> None:
    """Estimate memory and speed of a model on a card from specifications.

    Nothing is measured: docs/estimates.md tells the assumptions, and the errors to expect. Where
    the model does not fit, the answer names the fewest cards that hold it, with exit code 3.
    """
    from data.catalogue import load_catalogue
    from queueing.roofline import estimate as estimated

    check_output_file(output)
    deployment = _deployment(
        load_catalogue(),
        (model, accelerator),
        tensor_parallel,
        (weights_dtype, kv_dtype),
        input_tokens + output_tokens,
    )
    as_curve = form is ProfileForm.CURVE
    answer = estimated(deployment, input_tokens, output_tokens, as_curve=as_curve)
    _write(answer, output_format, output)
    if answer.profile is None:
        show_notes([_does_not_fit(answer, input_tokens + output_tokens)])
        raise typer.Exit(ExitCode.NOT_SERVED)


def _deployment(
    catalogue: Catalogue,
    names: tuple[str, str],
    tensor_parallel: int | None,
    formats: tuple[Precision | None, Precision],
    context_tokens: int,
) -> Deployment:
    """Return the deployment asked for, on the fewest cards where none are named."""
    from queueing.roofline import Deployment, smallest_tensor_parallel

    model, card = catalogue.model(names[0]), catalogue.accelerator(names[1])
    if context_tokens > model.max_context_tokens:
        message = f"{context_tokens} input and output tokens exceed the context of {model.name}"
        raise InvalidInputError(
            [Problem("--input-tokens", message, f"up to {model.max_context_tokens} in all")]
        )
    cards = tensor_parallel or smallest_tensor_parallel(model, card, context_tokens, *formats) or 1
    try:
        return Deployment(model, card, cards, *formats)
    except ValueError as error:
        raise InvalidInputError([Problem("--tensor-parallel", str(error))]) from error


def _write(answer: Estimate, output_format: EstimateFormat, output: Path | None) -> None:
    from stoker.cli.estimate_output import estimate_document, estimate_tables, profile_text

    if output_format is EstimateFormat.JSON:
        write_text(json_text(estimate_document(answer)), output)
    elif output_format is EstimateFormat.YAML:
        if answer.profile is not None:
            write_text(profile_text(answer.profile), output)
    elif output is None:
        for table in estimate_tables(answer):
            show(table)
    else:
        write_text("".join(plain_text(table) for table in estimate_tables(answer)), output)


def _does_not_fit(answer: Estimate, context_tokens: int) -> str:
    deployment = answer.deployment
    fewest = answer.smallest_tensor_parallel
    remedy = (
        "nor on any number of cards up to 64 that shares its heads evenly"
        if fewest is None
        else f"the fewest that hold it: --tensor-parallel {fewest}"
    )
    return (
        f"{deployment.model.name} with a request of {context_tokens:,} tokens does not fit on "
        f"{deployment.tensor_parallel} × {deployment.accelerator.name}; {remedy}"
    )
