"""Cards used against those available, and cost, by type of card."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from stoker.cli.figures import count_of, money
from stoker.cli.plots.style import (
    BLUE,
    HATCH,
    INK,
    ORANGE,
    RULE,
    SMALL,
    blank_figure,
    dress,
    label,
    message_figure,
    name_rows,
)
from stoker.domain.plan import Plan
from stoker.domain.usage import CardUsage

_MOST_NAMED = 3


def cards_figure(plan: Plan) -> Figure:
    """Return a bar for each type of card: its use on the left, its cost on the right."""
    usage = [item for item in plan.usage if item.used or item.available]
    if not usage:
        return message_figure("Cards and cost", "No card is used and none is available.")
    figure = blank_figure(9.0, 1.7 + 0.34 * len(usage), _title(plan, usage))
    left, right = figure.subplots(1, 2, sharey=True)
    if all(item.available is None for item in usage):
        _draw_counts(left, usage)
    else:
        _draw_shares(left, usage)
    name_rows(left, [item.card_type for item in usage])
    _draw_cost(right, usage, plan.currency)
    return figure


def _title(plan: Plan, usage: Sequence[CardUsage]) -> str:
    types = [item for item in usage if item.used]
    text = f"{money(plan.cost_per_hour)} {label(plan.currency)} per hour"
    if not types:
        return f"{text}: no card is used"
    text += f" on {count_of(len(types), 'type')} of card"
    limited = [item for item in types if item.available]
    if not limited:
        return f"{text}, as many cards as it takes"
    used_up = [label(item.card_type) for item in limited if item.used == item.available]
    if len(used_up) > _MOST_NAMED:
        return f"{text}; {len(used_up)} of them used up"
    if used_up:
        return f"{text}; used up: {', '.join(used_up)}"
    fullest = max(limited, key=_share)
    return f"{text}; the fullest, {label(fullest.card_type)}, is {_share(fullest):.1%} used"


def _share(item: CardUsage) -> float:
    return item.used / item.available if item.available else 0.0


def _draw_shares(axes: Axes, usage: Sequence[CardUsage]) -> None:
    rows = range(len(usage))
    axes.barh(rows, [1.0] * len(usage), 0.62, facecolor="white", edgecolor=RULE)
    axes.barh(rows, [_share(item) for item in usage], 0.62, color=BLUE, edgecolor=INK)
    for row, item in enumerate(usage):
        available = "?" if item.available is None else f"{item.available:,}"
        axes.text(
            1.02, row, f"{item.used:,} of {available}", va="center", fontsize=SMALL, color=INK
        )
    axes.set_xlim(0.0, 1.3)
    axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0])
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1.0))
    dress(axes, xlabel="cards used, share of those available", grid="x")


def _draw_counts(axes: Axes, usage: Sequence[CardUsage]) -> None:
    bars = axes.barh(
        range(len(usage)), [item.used for item in usage], 0.62, color=BLUE, edgecolor=INK
    )
    axes.bar_label(bars, [f"{item.used:,}" for item in usage], padding=3, fontsize=SMALL, color=INK)
    axes.margins(x=0.2)
    dress(axes, xlabel="cards used (capacity is ignored)", grid="x")


def _draw_cost(axes: Axes, usage: Sequence[CardUsage], currency: str) -> None:
    costs = [item.cost_per_hour for item in usage]
    bars = axes.barh(range(len(usage)), costs, 0.62, color=ORANGE, edgecolor=INK, hatch=HATCH)
    axes.bar_label(bars, [money(cost) for cost in costs], padding=3, fontsize=SMALL, color=INK)
    axes.set_xlim(0.0, max(costs, default=0.0) * 1.25 or 1.0)
    dress(axes, xlabel=f"cost [{label(currency)}/h]", grid="x")
