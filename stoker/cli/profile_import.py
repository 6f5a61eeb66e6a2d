"""`stoker profile import` and `export`: profiles of other tools, in both directions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.measured_files import GpuOption, ServedModelOption, SkipOption, at_least_one
from stoker.cli.options import OutputOption, examples, positive
from stoker.cli.output import check_output_file, json_text, show_notes, write_text
from stoker.cli.profile_sources import SourceArgument, read_source
from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from data.measurements.grids import GridReading, ThroughputGrid
    from data.profile_document import ProfileFit
    from stoker.domain.profile import ModelProfile

IMPORT_EPILOG = (
    examples(
        "stoker profile import grid.json --served-model llama-8b --gpu H100",
        "stoker profile import model-data.json --output profile.yaml",
    )
    + """

A grid has throughput over lengths of requests; three parameters of `token-work` are fitted to it.
Benchmark files (GuideLLM, vLLM, SGLang) are for `stoker fit`."""
)

EXPORT_EPILOG = examples(
    "stoker profile export llama-3.1-8b/h100 --to aibrix --e2e 10",
    "stoker profile export llama-3.1-8b/h100 --to melange --cost 2.5 --output melange.json",
    "stoker profile export llama-3.1-8b/l40s --to inferno",
)

_INPUTS, _OUTPUTS = "128,256,512,1024,2048", "4,8,16,32,64,128,256,512"
_FORMS = (
    "a grid of AIBrix (tputs, indexes), an input of Mélange (gpu_info) or model data of Inferno "
    "(models)"
)

InputsOption = Annotated[
    str | None,
    typer.Option("--input-tokens", metavar="N,N,...", help="Input lengths of a grid."),
]
OutputsOption = Annotated[
    str | None,
    typer.Option("--output-tokens", metavar="N,N,...", help="Output lengths of a grid."),
]


class Foreign(StrEnum):
    """Tools whose profiles are written."""

    AIBRIX = "aibrix"
    MELANGE = "melange"
    INFERNO = "inferno"


def import_profiles(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help=f"JSON: {_FORMS}.", show_default=False),
    ],
    served_model: ServedModelOption = None,
    gpu: GpuOption = None,
    n_gpus: Annotated[
        int, typer.Option("--n-gpus", callback=at_least_one, help="Accelerators of a replica.")
    ] = 1,
    max_batch: Annotated[
        int,
        typer.Option(
            "--max-batch",
            callback=at_least_one,
            help="Requests in service at once, where a grid tells no response times.",
        ),
    ] = 256,
    input_tokens: InputsOption = None,
    output_tokens: OutputsOption = None,
    skip_bad_rows: SkipOption = False,
    output: OutputOption = None,
) -> None:
    """Make profiles of what AIBrix, Mélange and Inferno keep.

    Grids of AIBrix tell their lengths; Mélange's do not, so give --input-tokens (of the rows) and
    --output-tokens (of the columns).
    """
    from data.decode import read_document
    from data.inferno.profiles import is_model_data, profiles_from_models
    from data.measurements.grids import is_aibrix, is_melange, read_aibrix, read_melange
    from data.profile_document import document_text, profile_document

    check_output_file(output)
    document = read_document(file).value
    fits: list[ProfileFit] = []
    profiles: list[ModelProfile] = []
    if is_aibrix(document) or is_melange(document):
        assert isinstance(document, dict)
        if is_aibrix(document):
            reading = read_aibrix(document, str(file), skip_bad_cells=skip_bad_rows)
        else:
            inputs = _lengths(input_tokens, "--input-tokens")
            outputs = _lengths(output_tokens, "--output-tokens")
            reading = read_melange(
                document, inputs, outputs, str(file), skip_bad_cells=skip_bad_rows
            )
        show_notes(f"left out: {problem}" for problem in reading.left_out)
        profiles, fits = _fitted(reading, file, served_model, gpu, n_gpus, max_batch)
    elif is_model_data(document):
        profiles = list(profiles_from_models(document, str(file)))
    else:
        raise InvalidInputError([Problem("", "is in no form known here", _FORMS, str(file))])
    as_json = output is not None and output.suffix == ".json"
    text = document_text(profile_document(profiles, fits=fits), as_json=as_json)
    write_text(text, output)


def export_profile(
    profile: SourceArgument,
    to: Annotated[Foreign, typer.Option(help="Whose form to write.", case_sensitive=False)],
    input_tokens: InputsOption = _INPUTS,
    output_tokens: OutputsOption = _OUTPUTS,
    e2e: Annotated[
        float | None,
        typer.Option(
            callback=positive, help="Largest mean E2E in a grid, in seconds.", show_default=False
        ),
    ] = None,
    ttft: Annotated[
        float | None,
        typer.Option(callback=positive, help="The same of TTFT.", show_default=False),
    ] = None,
    tpot: Annotated[
        float | None,
        typer.Option(
            callback=positive, help="The same of the time per output token.", show_default=False
        ),
    ] = None,
    cost: Annotated[
        float | None,
        typer.Option(
            callback=positive, help="Price of a replica per hour, in a grid.", show_default="1"
        ),
    ] = None,
    output: OutputOption = None,
) -> None:
    """Write profiles as AIBrix, Mélange or Inferno keep them.

    A grid holds what a replica carries in closed loops of any number of clients, within the
    targets.
    """
    check_output_file(output)
    document = read_source(profile)
    if to is Foreign.INFERNO:
        from data.inferno.profiles import models_from_profiles

        write_text(json_text(models_from_profiles(document.profiles)), output)
        return
    from data.measurements.grids import aibrix_document, melange_document
    from profiler.grids import GridTargets, throughput_grid

    inputs = _lengths(input_tokens, "--input-tokens")
    outputs = _lengths(output_tokens, "--output-tokens")
    targets = GridTargets(e2e, ttft, tpot)
    grids = [throughput_grid(item, inputs, outputs, targets, cost) for item in document.profiles]
    if to is Foreign.MELANGE:
        write_text(json_text(melange_document(_told_apart(grids))), output)
        return
    if len(grids) > 1:
        message = f"holds {len(grids)} profiles, and a grid of AIBrix is of one"
        raise InvalidInputError([Problem("", message, "one profile", profile)])
    write_text(f"{json.dumps(aibrix_document(grids[0]), allow_nan=False)}\n", output)


def _told_apart(grids: Sequence[ThroughputGrid]) -> list[ThroughputGrid]:
    """Return grids; several of one card would overwrite each other.

    Raises:
        InvalidInputError: Two are of the same card.
    """
    names = [grid.gpu for grid in grids]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"several profiles are on {', '.join(twice)}"
        raise InvalidInputError([Problem("", message, "one profile a card")])
    return list(grids)


def _lengths(text: str | None, option: str) -> tuple[int, ...]:
    """Return lengths, ascending.

    Raises:
        InvalidInputError: They are missing, no whole numbers, or do not ascend.
    """
    allowed = "whole numbers of 1 or more, ascending, with commas between"
    if not text:
        raise InvalidInputError([Problem(option, "is missing", allowed)])
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and int(part) > 0 for part in parts):
        raise InvalidInputError([Problem(option, f'"{text}" is no list of lengths', allowed)])
    found = tuple(int(part) for part in parts)
    if list(found) != sorted(set(found)):
        raise InvalidInputError([Problem(option, f'"{text}" does not ascend', allowed)])
    return found


def _fitted(
    reading: GridReading,
    file: Path,
    served_model: str | None,
    gpu: str | None,
    n_gpus: int,
    max_batch: int,
) -> tuple[list[ModelProfile], list[ProfileFit]]:
    """Return the profile of each grid with the fit behind it.

    Raises:
        InvalidInputError: The model is not named, or a grid has too few cells.
    """
    from data.profile_document import ProfileFit
    from profiler.grids import fit_grid
    from stoker.domain.profile import EstimateKind, ModelProfile, Provenance

    if not served_model:
        message = "is missing: a grid does not name its model"
        raise InvalidInputError([Problem("--served-model", message, "the name of the model")])
    if gpu and len(reading.grids) > 1:
        message = f"names one card, and the file has {len(reading.grids)}"
        raise InvalidInputError([Problem("--gpu", message, "a file of one card")])
    today = datetime.now(UTC).date().isoformat()
    profiles: list[ModelProfile] = []
    fits: list[ProfileFit] = []
    for index, grid in enumerate(reading.grids):
        found = fit_grid(grid, max_batch)
        if found is None:
            message = f"{grid.gpu}: fewer than four cells of 16 output tokens or more have a rate"
            raise InvalidInputError([Problem("tputs", message, "four or more", str(file))])
        source = (
            f"{found.cells} cells of the throughput grid {file.name}; mean error of the throughput "
            f"{found.error:.1%}; {today}"
        )
        profiles.append(
            ModelProfile(
                model=served_model,
                accelerator=gpu or grid.gpu,
                accelerators_per_replica=n_gpus,
                max_batch=found.largest_batch,
                at_tokens=grid.output_tokens[-1],
                parameters=found.parameters,
                provenance=Provenance(EstimateKind.FITTED, source),
            )
        )
        parameters = found.parameters
        fits.append(
            ProfileFit(
                model="token-work",
                profile=index,
                parameters={
                    "alpha_ms": parameters.alpha_ms,
                    "beta_ms": parameters.beta_ms,
                    "gamma_ms": parameters.gamma_ms,
                },
                confidence=found.confidence,
                condition_number=found.condition_number,
                points=found.cells,
                errors={"throughput": found.error},
                deployment={"model": served_model, "gpu": gpu or grid.gpu, "n_gpus": n_gpus},
            )
        )
    return profiles, fits
