"""The command group that shows a user's mistakes as messages instead of tracebacks."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from stoker.cli.exits import ExitCode
from stoker.cli.output import show_errors
from stoker.domain.errors import InvalidInputError, StokerError


def error_lines(error: StokerError | OSError) -> list[str]:
    """Return what is wrong, one line a problem."""
    if isinstance(error, InvalidInputError):
        return [str(problem) for problem in error.problems]
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return [f"{error.filename}: {reason}" if error.filename else reason]
    return [str(error)]


class StokerGroup(TyperGroup):
    """A command group whose commands may raise the errors that are a user's to mend."""

    # Any: the context is a private class in some versions of typer, and click's in others.
    def invoke(self, ctx: Any) -> Any:
        """Run the command; end with exit code 2 on a `StokerError` or an unusable file.

        Errors of a file that has no name (a closed pipe, a full disk under standard output) are
        left to the caller.
        """
        try:
            return super().invoke(ctx)
        except StokerError as error:
            show_errors(error_lines(error))
            raise typer.Exit(ExitCode.BAD_INPUT) from error
        except OSError as error:
            if error.filename is None:
                raise
            show_errors(error_lines(error))
            raise typer.Exit(ExitCode.BAD_INPUT) from error
