"""Options that the commands on traces share, and what is read by them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from stoker.cli.csv_input import opened_csv
from stoker.cli.options import positive
from stoker.cli.row_format import RowFormat
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.routing import Router

if TYPE_CHECKING:
    from studies.traces.goal import TraceGoal
    from studies.traces.requests import RequestTrace

T = TypeVar("T")

ROUTERS = {router.label: router for router in Router}
BEST_ROUTER = "best"
"""Name of a router for a search that tries all those which need no luck."""

TraceArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="The requests: CSV with the columns arrival_s, in_tokens, out_tokens.",
        show_default=False,
    ),
]

FleetOption = Annotated[
    str,
    typer.Option(
        metavar="FLEET",
        help="Built-in fleet (`small`, `large`), file or directory with the models, accelerators, "
        "profiles and prices; its servers are not used.",
        show_default=False,
    ),
]

TtftOption = Annotated[
    float | None,
    typer.Option(
        metavar="MS",
        help="Largest time to first token of a request.",
        callback=positive,
        show_default=False,
    ),
]

ItlOption = Annotated[
    float | None,
    typer.Option(
        metavar="MS",
        help="Largest mean time between the tokens of a request.",
        callback=positive,
        show_default=False,
    ),
]

E2eOption = Annotated[
    float | None,
    typer.Option(
        "--e2e",
        metavar="MS",
        help="Largest time to the last token of a request.",
        callback=positive,
        show_default=False,
    ),
]

AttainmentOption = Annotated[
    float,
    typer.Option(
        metavar="PERCENT",
        help="Percent of the requests that have to keep all targets together. With 95, p95 TTFT "
        "is within its own, and p95 ITL where requests have more than one output token.",
    ),
]

SpeedOption = Annotated[
    float,
    typer.Option(
        metavar="X", help="Let the requests arrive so many times as fast.", callback=positive
    ),
]

FirstOption = Annotated[
    int | None,
    typer.Option(
        "--first",
        metavar="N",
        min=1,
        help="Take the first N requests only.",
        show_default="all",
    ),
]

RouterOption = Annotated[
    str,
    typer.Option(metavar="ROUTER", help=f"How a request finds its replica: {', '.join(ROUTERS)}."),
]

FormatOption = Annotated[
    RowFormat, typer.Option("--format", help="What to print.", case_sensitive=False)
]

BatchOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Batch limit of a replica.",
        show_default="that of the profile",
    ),
]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What every command on traces is asked.

    Attributes:
        trace: The requests, at the pace asked for.
        goal: What they are to keep.
    """

    trace: RequestTrace
    goal: TraceGoal


def question_of(
    file: Path,
    speed: float,
    first: int | None,
    ttft: float | None,
    itl: float | None,
    e2e: float | None,
    attainment: float,
) -> Question:
    """Return the question asked.

    Raises:
        InvalidInputError: The file is no trace, or the targets are none: all that is wrong, the
            file first.
    """
    read = _or_problems(lambda: read_trace(file, speed, first))
    goal = _or_problems(lambda: goal_of(ttft, itl, e2e, attainment))
    if isinstance(read, tuple) or isinstance(goal, tuple):
        found = [item for item in (read, goal) if isinstance(item, tuple)]
        raise InvalidInputError(problem for problems in found for problem in problems)
    return Question(read, goal)


def _or_problems(read: Callable[[], T]) -> T | tuple[Problem, ...]:
    try:
        return read()
    except InvalidInputError as error:
        return error.problems


def goal_of(
    ttft: float | None, itl: float | None, e2e: float | None, attainment: float
) -> TraceGoal:
    """Return the targets asked for.

    Raises:
        InvalidInputError: There is none, or the percentage is out of bounds.
    """
    from studies.traces.goal import TraceGoal

    problems = []
    if ttft is None and itl is None and e2e is None:
        problems.append(Problem("--ttft", "no target is given", "--ttft, --itl or --e2e, in ms"))
    if not 0 < attainment <= 100:
        message = f"{attainment:g} is no percentage of requests"
        problems.append(Problem("--attainment", message, "above 0, at most 100"))
    if problems:
        raise InvalidInputError(problems)
    return TraceGoal(attainment / 100, ttft, itl, e2e)


def router_of(name: str, *others: str) -> Router:
    """Return the router of that name; other names that are allowed are told where it is none.

    Raises:
        InvalidInputError: There is none.
    """
    if name not in ROUTERS:
        message = f'no router is called "{name}"'
        raise InvalidInputError([Problem("--router", message, ", ".join([*ROUTERS, *others]))])
    return ROUTERS[name]


def read_trace(file: Path, speed: float, first: int | None) -> RequestTrace:
    """Return the requests of a file, at the pace asked for.

    Raises:
        InvalidInputError: It is no trace, or cannot be read.
    """
    from data.simulation_lines import parse_trace
    from studies.traces.requests import RequestTrace

    with opened_csv(file) as lines:
        rows = parse_trace(lines, file=str(file))
    trace = RequestTrace.of(rows.arrival_ms, rows.input_tokens, rows.output_tokens)
    return (trace if first is None else trace.first(first)).sped_up(speed)
