"""A plan as the command line writes it: a report, a document, pictures."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.cli.output import (
    asked_width,
    json_text,
    plain_text,
    progress,
    show_notes,
    terminal,
    write_text,
)

if TYPE_CHECKING:
    from stoker.domain.explanation import Explanation
    from stoker.domain.fleet import Fleet
    from stoker.domain.plan import Plan
    from stoker.domain.plan_difference import PlanDifference


class PlanFormat(StrEnum):
    """Formats of a plan."""

    TABLE = "table"
    JSON = "json"
    INFERNO = "inferno"
    CSV = "csv"


def write_plan(
    fleet: Fleet,
    plan: Plan,
    why: Explanation | None,
    output_format: PlanFormat,
    output: Path | None,
) -> None:
    """Write a plan in a format, with why it is so where that is told.

    Args:
        fleet: The fleet.
        plan: Its plan.
        why: Its explanation, for tables and JSON; None for none.
        output_format: The format.
        output: The file; None for standard output.
    """
    if output_format is PlanFormat.TABLE:
        _write_report(fleet, plan, why, output)
        return
    from data.plan_csv import plan_to_csv
    from data.plan_format import plan_to_document, plan_to_inferno

    if output_format is PlanFormat.JSON:
        from data.explanation_format import explanation_to_document

        more = {} if why is None else {"explanation": explanation_to_document(why)}
        text = json_text(plan_to_document(plan) | more)
    elif output_format is PlanFormat.INFERNO:
        text = json_text(plan_to_inferno(plan, fleet))
    else:
        text = plan_to_csv(plan)
    write_text(text, output)


def _write_report(fleet: Fleet, plan: Plan, why: Explanation | None, output: Path | None) -> None:
    from rich.console import Group

    from stoker.cli.explanation_report import explanation_report
    from stoker.cli.render_plan import plan_report

    console = terminal() if output is None else None
    width = console.width if console else asked_width() if output is None else None
    report, columns = plan_report(fleet, plan, width)
    if why is not None:
        report = Group(report, "", explanation_report(why, columns))
    if console is None:
        write_text(plain_text(report, columns), output)
    else:
        console.print(report)


def draw_plan(fleet: Fleet, plan: Plan, why: Explanation | None, directory: Path) -> None:
    """Draw a plan, and why it is so where that is told, into a directory; tell the files."""
    from stoker.cli.plots import write_explanation_plots, write_plan_plots

    with progress("Drawing"):
        written = write_plan_plots(fleet, plan, directory)
        if why is not None:
            written += write_explanation_plots(why, directory)
    show_notes(f"wrote {path}" for path in written)


def draw_explanation(explanation: Explanation, directory: Path) -> None:
    """Draw an explanation into a directory, and tell the files."""
    from stoker.cli.plots import write_explanation_plots

    with progress("Drawing"):
        written = write_explanation_plots(explanation, directory)
    nothing = ["nothing to draw: give --fleet to have alternatives and prices"]
    show_notes([f"wrote {path}" for path in written] or nothing)


def draw_difference(difference: PlanDifference, directory: Path) -> None:
    """Draw the difference of two plans into a directory, and tell the file."""
    from stoker.cli.plots import difference_figure, write_figure

    with progress("Drawing"):
        path = write_figure(difference_figure(difference), directory / "difference.png")
    show_notes([f"wrote {path}"])
