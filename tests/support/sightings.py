"""What a loop shows of a fault to whoever looks: lines of its status, metrics and events."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_LONGEST = 120


def line_with(lines: Sequence[str], words: str) -> str:
    """Return the first line that holds some words, as it is printed; empty for none."""
    return next((line for line in lines if words in line), "")


def sample(lines: Sequence[str], name: str, holds: Callable[[float], bool]) -> str:
    """Return the line of a metrics page for a metric, where something holds of its value.

    Args:
        lines: The page.
        name: Name of the metric, with its labels.
        holds: What its value has to be. That it is exported tells nothing: it always is.
    """
    found = [line for line in lines if line.startswith(f"{name} ")]
    return next((line for line in found if holds(float(line.rpartition(" ")[2]))), "")


def above_zero(value: float) -> bool:
    """Whether a metric tells that something is there."""
    return value > 0


def zero(value: float) -> bool:
    """Whether a metric tells that something is not there."""
    return value == 0


def quoted(line: str) -> str:
    """Return a line for the table of the page, its end left out where it is long."""
    short = line if len(line) <= _LONGEST else f"{line[: _LONGEST - 2].rstrip()} …"
    return f"`{short}`" if short else ""
