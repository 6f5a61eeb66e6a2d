"""What commands that explain plans are asked with: options, checks, and errors of profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.options import positive
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.explanation import ShadowMethod

if TYPE_CHECKING:
    from optimizer.explaining.confidence import ProfileError
    from optimizer.explaining.edits import ProfileKey
    from stoker.domain.fleet import Fleet
    from stoker.domain.plan import Plan

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

PlotsOption = Annotated[
    Path | None,
    typer.Option(
        "--plots",
        metavar="DIR",
        help="Draw it into this directory.",
        show_default=False,
    ),
]


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
    """Return how far off profiles are: as is known, else the default; unknown ones left out."""
    from data.fit_errors import told_error, usual_error
    from optimizer.explaining.profile_errors import profile_errors as errors_of

    return errors_of(fleet, told_error, default, usual_error)
