"""The limits of a plan: how much of each it uses."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from stoker.cli.plan_pools import limit_amount
from stoker.cli.plots.style import (
    BLUE,
    HATCH,
    INK,
    RULE,
    SMALL,
    VERMILION,
    blank_figure,
    dress,
    label,
    message_figure,
    name_rows,
)
from stoker.domain.plan import Plan
from stoker.domain.usage import LimitUse

_FULL = 0.995
"""Share from which a limit counts as used up."""


def limits_figure(plan: Plan) -> Figure:
    """Return a bar for each limit of a plan: the share of it that is used, and the figures.

    A limit that is exceeded (changes that could not be avoided) is hatched beyond its end.
    """
    limits = plan.limits
    if not limits:
        return message_figure("Limits", "The plan has no limits.")
    shares = [_share(item) for item in limits]
    figure = blank_figure(8.0, 1.6 + 0.4 * len(limits), _title(limits, shares))
    axes = figure.subplots()
    rows = range(len(limits))
    axes.barh(rows, [1.0] * len(limits), 0.62, facecolor="white", edgecolor=RULE)
    axes.barh(rows, [min(share, 1.0) for share in shares], 0.62, color=BLUE, edgecolor=INK)
    far = max(1.0, *shares)
    for row, (item, share) in enumerate(zip(limits, shares, strict=True)):
        if share > 1.0 + 1e-9:
            axes.barh(row, share - 1.0, 0.62, left=1.0, color=VERMILION, edgecolor=INK, hatch=HATCH)
        unit = label(item.unit or f"{plan.currency}/h")
        words = f"{limit_amount(item, item.used)} of {limit_amount(item, item.limit)} {unit}"
        at = max(1.0, share) + 0.02 * far
        axes.text(at, row, words, va="center", fontsize=SMALL, color=INK)
    axes.axvline(1.0, color=INK, linewidth=0.8)
    axes.set_xlim(0.0, 1.4 * far)
    if far <= 1.0:
        axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0])
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1.0))
    name_rows(axes, [item.name for item in limits])
    dress(axes, xlabel="used, share of the limit", grid="x")
    return figure


def _share(item: LimitUse) -> float:
    if item.limit > 0:
        return item.used / item.limit
    return 1.0 if item.used <= 0 else 2.0


def _title(limits: tuple[LimitUse, ...], shares: list[float]) -> str:
    over = [item.name for item, share in zip(limits, shares, strict=True) if share > 1.0 + 1e-9]
    full = [item.name for item, share in zip(limits, shares, strict=True) if share >= _FULL]
    if over:
        return f"Beyond its limit: {label(', '.join(over), 60)}"
    if full:
        return f"Used up: {label(', '.join(full), 60)}"
    tightest = max(zip(shares, limits, strict=True), key=lambda pair: pair[0])
    return f"The tightest limit, {label(tightest[1].name)}, is {tightest[0]:.0%} used"
