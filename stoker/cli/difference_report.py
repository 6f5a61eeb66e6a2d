"""The difference of two plans as a report."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from optimizer.explaining.difference_words import (
    allocation_words,
    because_words,
    cause_words,
    server_words,
    total_words,
)
from stoker.domain.plan_difference import PlanDifference

__all__ = ["allocation_words", "cause_words", "difference_report"]


def difference_report(difference: PlanDifference) -> RenderableType:
    """Return the report of a difference: totals, service, then each server."""
    parts: list[RenderableType] = [Text(line) for line in (*total_words(difference), "")]
    for item in difference.servers:
        parts.append(Text(server_words(item, difference.currency), style="bold"))
        because = because_words(item)
        if because:
            parts.append(Padding(Text(because), (0, 0, 0, 2)))
    return Group(*parts)
