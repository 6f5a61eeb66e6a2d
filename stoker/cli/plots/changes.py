"""What changes between two plans, server by server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from stoker.cli.figures import count_of, money
from stoker.cli.plots.before_after import draw_before_after, write_beside
from stoker.cli.plots.style import (
    SMALL,
    blank_figure,
    dress,
    label,
    message_figure,
    name_rows,
)

_MOST_CHARACTERS = 48


@dataclass(frozen=True, slots=True)
class Change:
    """A server before and after.

    Attributes:
        server: Name of the server.
        before: What it had, in words.
        after: What it gets, in words.
        cost_before_per_hour: Cost of what it had.
        cost_after_per_hour: Cost of what it gets.
    """

    server: str
    before: str
    after: str
    cost_before_per_hour: float
    cost_after_per_hour: float


def changes_figure(changes: Sequence[Change], currency: str) -> Figure:
    """Return cost before and after by server, with a line between and the change in words.

    Args:
        changes: The servers that change, the first on top.
        currency: Currency of the costs.
    """
    if not changes:
        return message_figure("Changes", "Nothing changes.")
    total = sum(item.cost_after_per_hour - item.cost_before_per_hour for item in changes)
    verb = "more" if total >= 0 else "less"
    title = (
        f"{count_of(len(changes), 'server')} change: "
        f"{money(abs(total))} {label(currency)} per hour {verb}"
    )
    figure = blank_figure(8.5, 1.7 + 0.3 * len(changes), title)
    axes = figure.subplots()
    before = [item.cost_before_per_hour for item in changes]
    after = [item.cost_after_per_hour for item in changes]
    draw_before_after(axes, before, after)
    words = [f"{item.before} → {item.after}" for item in changes]
    write_beside(axes, before, after, words, _MOST_CHARACTERS)
    name_rows(axes, [item.server for item in changes])
    axes.set_xlim(0.0, max(*before, *after) * 1.6 or 1.0)
    dress(axes, xlabel=f"cost [{label(currency)}/h]", grid="x")
    figure.legend(loc="outside lower center", ncols=2, fontsize=SMALL, frameon=False)
    return figure
