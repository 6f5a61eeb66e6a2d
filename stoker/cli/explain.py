"""`stoker explain` and `stoker diff`: why a plan is as it is, and how two plans differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.explanation_options import (
    Asked,
    ErrorOption,
    PlotsOption,
    ServerOption,
    ShadowOption,
    TimeOption,
    check_servers,
    profile_error_of,
    profile_errors,
)
from stoker.cli.given_profiles import candidates_of, on_given_profiles
from stoker.cli.limit_flags import flags_of_notes
from stoker.cli.options import FormatOption, OutputOption, examples
from stoker.cli.output import (
    TextFormat,
    check_output_directory,
    check_output_file,
    json_text,
    output_width,
    plain_text,
    progress,
    show,
    write_text,
)
from stoker.cli.plan_output import draw_difference, draw_explanation
from stoker.cli.progress_bar import steps_bar
from stoker.cli.settings_note import asked_settings
from stoker.domain.explanation import ShadowMethod

if TYPE_CHECKING:
    from optimizer.preparation import Prepared
    from stoker.domain.explanation import Explanation
    from stoker.domain.plan import Plan
    from stoker.domain.plan_difference import PlanDifference

EPILOG = (
    examples(
        "stoker explain plan.json --fleet small",
        "stoker explain plan.json --fleet small --server Free-llama_70b --profile-error 10%",
        "stoker explain plan.json --fleet small --format json",
        "stoker explain plan.json --fleet small --profile-error 10% --plots plots/",
        "stoker explain before.json after.json",
    )
    + """

Without `--fleet`, only what the plan itself tells is explained: what binds, and how much is to
spare. A second plan shows the difference, as `stoker diff` does.

**Exit codes**

0: explained, whether or not the plan serves everybody. 2: bad input; the plan is not of the
fleet."""
)

DIFF_EPILOG = (
    examples(
        "stoker diff before.json after.json",
        "stoker diff before.json after.json --format json",
        "stoker diff before.json after.json --plots plots/",
    )
    + """

**Exit codes**

0: compared, equal or not. 2: bad input."""
)

_PLAN = "A plan, as `stoker solve --format json` writes it."


def explain(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help=_PLAN, show_default=False)],
    other: Annotated[
        Path | None,
        typer.Argument(
            metavar="[OTHER]", help="Another plan, to compare it with.", show_default=False
        ),
    ] = None,
    fleet: Annotated[
        str | None,
        typer.Option(
            metavar="FLEET",
            help="The fleet that was planned: built-in, file or directory.",
            show_default=False,
        ),
    ] = None,
    heterogeneous: Annotated[
        bool | None,
        typer.Option(
            "--heterogeneous/--no-heterogeneous",
            help="Whether the plan was allowed to mix accelerators (it tells where it did).",
            show_default=False,
        ),
    ] = None,
    server: ServerOption = None,
    profile_error: ErrorOption = None,
    explain_time: TimeOption = 60.0,
    shadow: ShadowOption = ShadowMethod.EXACT,
    output_format: FormatOption = TextFormat.TABLE,
    output: OutputOption = None,
    plots: PlotsOption = None,
) -> None:
    """Explain a plan: what binds, what else it could have been, what would help.

    The fleet is planned again without the accelerator of each server, with one more card of
    each type, and with looser targets, less load or more cards for the servers not served.
    """
    if other is not None:
        diff(plan, other, output_format, output, plots)
        return
    check_output_file(output)
    check_output_directory(plots, "--plots")
    error = profile_error_of(profile_error)
    from data.plan_reading import read_plan

    planned = read_plan(plan)
    check_servers(server, planned, str(plan))
    if fleet is None:
        from optimizer.explaining.explain import explain_alone

        explanation = explain_alone(planned)
    else:
        from data.fleets import read_fleet
        from optimizer.explaining.explain import prepared_of

        settings = asked_settings(planned.notes)
        known = settings.over(flags_of_notes(planned.notes).over(read_fleet(fleet)))
        known = on_given_profiles(known, settings.instead)
        estimates = candidates_of(settings.instead)
        with progress("Predicting"):
            prepared = prepared_of(known, planned, heterogeneous=heterogeneous, estimates=estimates)
        asked = Asked(error, explain_time, shadow, server)
        explanation = explained(prepared, planned, asked)
    told = chosen(explanation, server)
    write_explanation(told, output_format, output)
    if plots is not None:
        draw_explanation(told, plots)


def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help=_PLAN, show_default=False)],
    after: Annotated[Path, typer.Argument(metavar="B", help="Another.", show_default=False)],
    output_format: FormatOption = TextFormat.TABLE,
    output: OutputOption = None,
    plots: PlotsOption = None,
) -> None:
    """Tell what differs between two plans, server by server, and why."""
    check_output_file(output)
    check_output_directory(plots, "--plots")
    from data.plan_reading import read_plan
    from optimizer.explaining.difference import compare_plans

    difference = compare_plans(read_plan(before), read_plan(after))
    write_difference(difference, output_format, output)
    if plots is not None:
        draw_difference(difference, plots)


def write_difference(
    difference: PlanDifference, output_format: TextFormat, output: Path | None
) -> None:
    """Write the difference of two plans as a report or as JSON."""
    if output_format is TextFormat.JSON:
        from data.explanation_format import difference_to_document

        write_text(json_text(difference_to_document(difference)), output)
        return
    from stoker.cli.difference_report import difference_report

    if output is None:
        show(difference_report(difference), output_width())
    else:
        write_text(plain_text(difference_report(difference)), output)


def explained(prepared: Prepared, plan: Plan, asked: Asked) -> Explanation:
    """Return the explanation of a plan, with a bar where it takes long.

    Args:
        prepared: What the plan was made from.
        plan: The plan.
        asked: What the command line says.
    """
    from optimizer.explaining.explain import ExplainOptions, explain_prepared

    options = ExplainOptions(
        servers=frozenset(asked.servers) if asked.servers else None,
        time_limit_s=asked.time_limit_s,
        shadow=asked.shadow,
        errors=profile_errors(prepared.fleet, asked.error),
    )
    steps = len(plan.allocations) + len(plan.usage) + 2 * len(plan.unplaced)
    with steps_bar("Planning again under edits", steps) as report:
        return explain_prepared(prepared, plan, options, report=_done_of(report))


def chosen(explanation: Explanation, servers: Sequence[str] | None) -> Explanation:
    """Return the explanation of some servers alone; of all for none."""
    if not servers:
        return explanation
    from dataclasses import replace

    return replace(
        explanation,
        allocations=tuple(each for each in explanation.allocations if each.server in servers),
        unplaced=tuple(each for each in explanation.unplaced if each.server in servers),
    )


def write_explanation(
    explanation: Explanation, output_format: TextFormat, output: Path | None
) -> None:
    """Write an explanation as a report or as JSON."""
    if output_format is TextFormat.JSON:
        from data.explanation_format import explanation_to_document

        write_text(json_text(explanation_to_document(explanation)), output)
        return
    from stoker.cli.explanation_report import explanation_report
    from stoker.cli.output import WIDE

    if output is None:
        width = output_width()
        show(explanation_report(explanation, width), width)
    else:
        write_text(plain_text(explanation_report(explanation, WIDE)), output)


def _done_of(report: Callable[[int], None]) -> Callable[[int, int], None]:
    def told(done: int, _: int) -> None:
        report(done)

    return told
