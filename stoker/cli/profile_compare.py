"""`stoker profile compare`: two profiles beside each other."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.options import FormatOption, examples
from stoker.cli.output import TextFormat, check_output_directory, json_text, show_notes, write_text
from stoker.cli.output import show as print_table
from stoker.cli.profile_sources import read_source
from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from data.profile_document import ProfileFit
    from profiler.judging import Compared
    from stoker.domain.profile import ModelProfile

EPILOG = examples(
    "stoker profile compare profile.yaml llama-3.1-8b/h100",
    "stoker profile compare llama-3.1-8b/h100 llama-3.1-8b/h200 --format json",
    "stoker profile compare llama-3.1-8b/h100 llama-3.1-8b/l40s --plots plots/",
)

_SIDE = "Document with one profile, the name of a shipped one, or FILE#2 for the second of several."


def compare(
    one: Annotated[str, typer.Argument(metavar="A", help=_SIDE, show_default=False)],
    other: Annotated[str, typer.Argument(metavar="B", help=_SIDE, show_default=False)],
    output_format: FormatOption = TextFormat.TABLE,
    plots: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Draw both over the number of clients into this directory.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Compare two profiles: parameters, and predicted TTFT, ITL and throughput at common points.

    A difference is beyond confidence where the intervals of the parameters and the errors on
    measurements left out do not explain it; of profiles without a fit nobody knows.
    """
    from profiler.judging import compare as compared
    from stoker.cli.profile_tables import comparison_tables

    check_output_directory(plots, "--plots")
    first, second = _side(one), _side(other)
    answer = compared(first[0], second[0], (first[1], second[1]))
    if output_format is TextFormat.JSON:
        write_text(json_text(_document((one, first[0]), (other, second[0]), answer)))
    else:
        for table in comparison_tables((one, first[0]), (other, second[0]), answer):
            print_table(table)
    if plots is not None:
        from stoker.cli.plots import write_figure
        from stoker.cli.plots.profiles import comparison_figure

        figure = comparison_figure((one, other), answer)
        show_notes([f"wrote {write_figure(figure, plots / 'profiles-compared.png')}"])


def _side(source: str) -> tuple[ModelProfile, ProfileFit | None]:
    """Return the profile that a source means, with the fit behind it.

    Raises:
        InvalidInputError: The source holds several and none is named, or has no such one.
    """
    name, _, number = source.rpartition("#")
    if not name or not number.isdecimal():
        name, number = source, ""
    document = read_source(name)
    count = len(document.profiles)
    if not number and count > 1:
        listed = "; ".join(
            f"#{index + 1} {item.model} on {item.accelerators_per_replica} × {item.accelerator}"
            for index, item in enumerate(document.profiles[:8])
        )
        raise InvalidInputError([Problem("", f"holds {count} profiles", listed, name)])
    index = int(number or 1) - 1
    if not 0 <= index < count:
        allowed = f"#1 to #{count}"
        raise InvalidInputError([Problem("", f"has no profile #{number}", allowed, name)])
    return document.profiles[index], document.fit_of(index)


def _document(
    one: tuple[str, ModelProfile], other: tuple[str, ModelProfile], answer: Compared
) -> dict[str, object]:
    return {
        "profiles": [
            {
                "source": source,
                "model": item.model,
                "accelerator": item.accelerator,
                "accelerators_per_replica": item.accelerators_per_replica,
                "kind": item.provenance.kind.value,
            }
            for source, item in (one, other)
        ],
        "differs": answer.differs,
        "parameters": [asdict(figure) for figure in answer.parameters],
        "points": [
            asdict(point) | {"figures": [asdict(figure) for figure in figures]}
            for point, figures in answer.points
        ],
    }
