"""`stoker explain` and `stoker diff`: why a plan is as it is, and how two plans differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.options import FormatOption, OutputOption, examples, positive
from stoker.cli.output import (
    TextFormat,
    check_output_file,
    json_text,
    output_width,
    plain_text,
    progress,
    show,
    write_text,
)
from stoker.cli.progress_bar import steps_bar
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.explanation import ShadowMethod

if TYPE_CHECKING:
    from optimizer.explaining.confidence import ProfileError
    from optimizer.explaining.edits import ProfileKey
    from optimizer.preparation import Prepared
    from stoker.domain.explanation import Explanation
    from stoker.domain.fleet import Fleet
    from stoker.domain.plan import Plan

EPILOG = (
    examples(
        "stoker explain plan.json --fleet small",
        "stoker explain plan.json --fleet small --server Free-llama_70b --profile-error 10%",
        "stoker explain plan.json --fleet small --format json",
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
        "stoker diff before.json after.json", "stoker diff before.json after.json --format json"
    )
    + """

**Exit codes**

0: compared, equal or not. 2: bad input."""
)

_PLAN = "A plan, as `stoker solve --format json` writes it."

TimeOption = Annotated[
    float,
    typer.Option(
        "--explain-time",
        metavar="S",
        help="Plan nothing again after this many seconds; what is open then is said to be.",
        callback=positive,
    ),
]

ServerOption = Annotated[
    list[str] | None,
    typer.Option(
        "--server",
        metavar="NAME",
        help="Explain this server alone; may be given several times.",
        show_default=False,
    ),
]

ShadowOption = Annotated[
    ShadowMethod,
    typer.Option(
        "--shadow",
        help="How one more card is priced: `exact`, by planning again, or `lp`, by the linear "
        "relaxation, an estimate for large fleets.",
        case_sensitive=False,
    ),
]

ErrorOption = Annotated[
    str | None,
    typer.Option(
        "--profile-error",
        metavar="E",
        help="How far off profiles are that do not tell it themselves, such as `10%`.",
        show_default=False,
    ),
]


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
) -> None:
    """Explain a plan: what binds, what else it could have been, what would help.

    The fleet is planned again without the accelerator of each server, with one more card of
    each type, and with looser targets, less load or more cards for the servers not served.
    """
    if other is not None:
        diff(plan, other, output_format, output)
        return
    check_output_file(output)
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

        known = read_fleet(fleet)
        with progress("Predicting"):
            prepared = prepared_of(known, planned, heterogeneous=heterogeneous)
        asked = Asked(error, explain_time, shadow, server)
        explanation = explained(prepared, planned, asked)
    write_explanation(chosen(explanation, server), output_format, output)


def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help=_PLAN, show_default=False)],
    after: Annotated[Path, typer.Argument(metavar="B", help="Another.", show_default=False)],
    output_format: FormatOption = TextFormat.TABLE,
    output: OutputOption = None,
) -> None:
    """Tell what differs between two plans, server by server, and why."""
    check_output_file(output)
    from data.plan_reading import read_plan
    from optimizer.explaining.difference import compare_plans

    difference = compare_plans(read_plan(before), read_plan(after))
    if output_format is TextFormat.JSON:
        from data.explanation_format import difference_to_document

        write_text(json_text(difference_to_document(difference)), output)
        return
    from stoker.cli.difference_report import difference_report

    if output is None:
        show(difference_report(difference), output_width())
    else:
        write_text(plain_text(difference_report(difference)), output)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says about an explanation.

    Attributes:
        error: How far off profiles are that do not tell it; None where that is not said.
        time_limit_s: Seconds after which nothing is planned again.
        shadow: How prices of cards are found.
        servers: The servers to plan again for; None for all.
    """

    error: float | None
    time_limit_s: float
    shadow: ShadowMethod
    servers: Sequence[str] | None = None


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


def check_servers(servers: Sequence[str] | None, plan: Plan, file: str = "") -> None:
    """Refuse servers that a plan does not have.

    Raises:
        InvalidInputError: Naming each.
    """
    known = [item.server for item in plan.allocations]
    known += [item.server for item in plan.unplaced if item.server not in known]
    from data.wording import did_you_mean

    problems = [
        Problem(
            "--server",
            f'the plan has no server "{name}"' + did_you_mean(name, tuple(known)),
            "a server of the plan",
            file,
        )
        for name in servers or ()
        if name not in known
    ]
    if problems:
        raise InvalidInputError(problems)


def profile_error_of(text: str | None) -> float | None:
    """Return the share that a text such as ``10%`` or ``0.1`` says; None for none.

    Raises:
        InvalidInputError: It is no share above 0 and below 1.
    """
    if text is None:
        return None
    try:
        share = float(text[:-1]) / 100.0 if text.endswith("%") else float(text)
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        allowed = "a percentage such as 10%, above 0% and below 100%"
        raise InvalidInputError([Problem("--profile-error", f'"{text}" is no such share', allowed)])
    return share


def profile_errors(fleet: Fleet, default: float | None) -> dict[ProfileKey, ProfileError]:
    """Return how far off profiles are: as they tell, else the default; unknown ones left out."""
    from data.fit_errors import stated_error
    from optimizer.explaining.confidence import ProfileError
    from optimizer.explaining.edits import profile_key

    errors = {}
    for profile in fleet.profiles:
        own = stated_error(profile)
        key = profile_key(profile)
        if own is not None and 0 < own < 1:
            errors[key] = ProfileError(own, "the fit's own error")
        elif default is not None:
            errors[key] = ProfileError(default, "asked for")
    return errors


def _done_of(report: Callable[[int], None]) -> Callable[[int, int], None]:
    def told(done: int, _: int) -> None:
        report(done)

    return told
