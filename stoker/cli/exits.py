"""Exit codes: what a script may rely on."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stoker.domain.plan import Plan


class ExitCode(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    BAD_INPUT = 2
    NOT_SERVED = 3
    """Infeasible, or some server is not served in full."""
    TIME_LIMIT = 4
    """The time limit passed before any plan was found."""
    NOT_IDENTIFIED = 5
    """No deployment's measurements tell the parameters of a model."""
    UNSOUND = 6
    """A profile that was checked cannot be true, or is not what it says it is."""


def exit_code(plan: Plan) -> ExitCode:
    """Return the exit code that a plan calls for."""
    from stoker.domain.plan import PlanStatus

    if plan.status is PlanStatus.TIME_LIMIT:
        return ExitCode.TIME_LIMIT
    if plan.status is PlanStatus.INFEASIBLE or plan.unplaced:
        return ExitCode.NOT_SERVED
    return ExitCode.DONE
