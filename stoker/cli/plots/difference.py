"""Two plans: what each server costs, and how many replicas it has, before and after."""

from __future__ import annotations

from matplotlib.figure import Figure

from stoker.cli.difference_report import allocation_words
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
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.plan_difference import PlanDifference, ServerDifference

MOST_ROWS = 40
"""Servers that are drawn; of more, those whose cost changes most."""
_MOST_CHARACTERS = 52


def difference_figure(difference: PlanDifference) -> Figure:
    """Return cost (left) and replicas (right) of every server that differs between two plans."""
    changed = difference.servers
    if not changed:
        words = f"{count_of(difference.unchanged, 'server')} as before: nothing changes."
        return message_figure("What changed", words)
    most = sorted(changed, key=lambda item: -abs(item.cost_change))[:MOST_ROWS]
    shown = [item for item in changed if item in most]
    figure = blank_figure(10.0, 1.9 + 0.34 * len(shown), _title(difference, len(shown)))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.0, 1.5))
    draw_before_after(
        left, [_cost(item.before) for item in shown], [_cost(item.after) for item in shown]
    )
    left.set_xlim(0.0, None)
    dress(left, xlabel=f"cost [{label(difference.currency)}/h]", grid="x")
    counts = ([_replicas(item.before) for item in shown], [_replicas(item.after) for item in shown])
    draw_before_after(right, *counts)
    write_beside(right, *counts, [_words(item) for item in shown], _MOST_CHARACTERS)
    right.set_xlim(0.0, max(*counts[0], *counts[1], 1.0) * 2.2)
    dress(right, xlabel="replicas", grid="x")
    name_rows(left, [item.server for item in shown])
    handles, words_ = left.get_legend_handles_labels()
    figure.legend(
        handles, words_, loc="outside lower center", ncols=2, fontsize=SMALL, frameon=False
    )
    return figure


def _title(difference: PlanDifference, shown: int) -> str:
    before, after = money(difference.cost_before), money(difference.cost_after)
    text = (
        f"{count_of(len(difference.servers), 'server')} changed, {difference.unchanged:,} as "
        f"before: {before} → {after} {label(difference.currency)} per hour"
    )
    if difference.no_longer_served:
        text += f"; {count_of(len(difference.no_longer_served), 'server')} no longer served"
    if difference.newly_served:
        text += f"; {count_of(len(difference.newly_served), 'server')} newly served"
    return f"{text} (the {shown} largest)" if shown < len(difference.servers) else text


def _cost(item: PlannedAllocation | None) -> float:
    return 0.0 if item is None else item.cost_per_hour


def _replicas(item: PlannedAllocation | None) -> float:
    return 0.0 if item is None else float(item.replicas)


def _words(item: ServerDifference) -> str:
    return f"{allocation_words(item.before)} → {allocation_words(item.after)}"
