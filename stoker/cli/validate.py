"""`stoker validate`: check a fleet without planning it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from stoker.cli.exits import ExitCode
from stoker.cli.figures import count_of
from stoker.cli.options import FleetArgument, FormatOption, examples
from stoker.cli.output import TextFormat, json_text, write_text
from stoker.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from stoker.domain.fleet import Fleet

EPILOG = examples(
    "stoker validate large",
    "stoker validate fleet.yaml --format json",
)


def validate(fleet: FleetArgument, output_format: FormatOption = TextFormat.TABLE) -> None:
    """Check a fleet.

    Tells all problems at once, each with its file, its place and what is allowed, and ends with
    exit code 2 where there is any. A valid fleet may have loose ends that keep a server off some
    hardware, or off all of it; those are told as notes.
    """
    from data.fleets import read_fleet
    from data.loose_ends import loose_ends

    try:
        checked = read_fleet(fleet)
    except InvalidInputError as error:
        if output_format is TextFormat.JSON:
            write_text(json_text(_problems_document(error)))
            raise typer.Exit(ExitCode.BAD_INPUT) from error
        raise
    notes = loose_ends(checked)
    if output_format is TextFormat.JSON:
        document = {"valid": True, "counts": _counts(checked), "problems": [], "notes": notes}
        write_text(json_text(document))
    else:
        lines = [f"{fleet}: valid: {_count_words(checked)}", *(f"note: {note}" for note in notes)]
        write_text("".join(f"{line}\n" for line in lines))


def _problems_document(error: InvalidInputError) -> dict[str, object]:
    problems = [
        {
            "file": problem.file,
            "path": problem.path,
            "message": problem.message,
            "allowed": problem.allowed,
        }
        for problem in error.problems
    ]
    return {"valid": False, "counts": None, "problems": problems, "notes": []}


def _counts(fleet: Fleet) -> dict[str, int]:
    return {
        "servers": len(fleet.servers),
        "service_classes": len(fleet.service_classes),
        "models": len({profile.model for profile in fleet.profiles}),
        "profiles": len(fleet.profiles),
        "accelerators": len(fleet.accelerators),
        "card_types": len({accelerator.card_type for accelerator in fleet.accelerators}),
        "cards": sum(capacity.count for capacity in fleet.capacity),
    }


def _count_words(fleet: Fleet) -> str:
    counts = _counts(fleet)
    return ", ".join(
        (
            count_of(counts["servers"], "server"),
            count_of(counts["service_classes"], "service class", "service classes"),
            count_of(counts["models"], "model"),
            count_of(counts["profiles"], "profile"),
            count_of(counts["accelerators"], "accelerator"),
            count_of(counts["cards"], "card") + " of " + count_of(counts["card_types"], "type"),
        )
    )
