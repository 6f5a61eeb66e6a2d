"""Errors that a user can mend, as values: what is wrong, where, and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input.

    Attributes:
        path: Where it stands inside the document, e.g. ``servers[3].load.arrival_rate_rps``.
        message: What is wrong, with the offending value.
        allowed: What would be accepted; empty where the message already says so.
        file: The file it stands in; empty for a request body or a value given in memory.
    """

    path: str
    message: str
    allowed: str = ""
    file: str = ""

    def __str__(self) -> str:
        """Return the problem as one line: ``file: path: message (allowed: ...)``."""
        where = ": ".join(part for part in (self.file, self.path) if part)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text} (allowed: {self.allowed})" if self.allowed else text


class StokerError(Exception):
    """Base of the errors that are a user's to mend; the faces show them without a traceback."""


class InvalidInputError(StokerError):
    """An input was refused. Carries every problem found, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Keep the problems, in the order in which they were found.

        Args:
            problems: At least one problem.
        """
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SolverUnavailableError(StokerError):
    """The solver asked for is not installed, or is not known by that name."""


class PlanCheckError(Exception):
    """A finished plan broke one of its own rules: a bug in Stoker, never a user's mistake."""
