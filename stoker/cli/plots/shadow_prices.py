"""What one more of each card, pool or limit would save."""

from __future__ import annotations

from matplotlib.figure import Figure

from stoker.cli.plots.style import (
    BLUE,
    HATCH,
    INK,
    RULE,
    SKY,
    SMALL,
    blank_figure,
    dress,
    label,
    message_figure,
    name_rows,
    number,
)
from stoker.domain.explanation import Explanation, ShadowPrice
from stoker.domain.plan_change import Evidence

_NOTHING = 5e-7
"""Money an hour below which a change is none."""
_BAR = 0.62


def shadow_prices_figure(title: str, explanation: Explanation) -> Figure:
    """Return what one more of each card type, pool or limit would save an hour.

    One more with which others are served has no price: in place of a bar it says who. Estimates by
    the linear relaxation are hatched.

    Args:
        title: What is to be seen.
        explanation: Why a plan is so.
    """
    prices = explanation.shadow_prices
    if not prices:
        return message_figure(title, "No price of one more card is known.")
    figure = blank_figure(8.5, 1.7 + 0.34 * len(prices), title)
    axes = figure.subplots()
    saved = [0.0 if _serves(price) else -price.change.value_change for price in prices]
    far = max((abs(value) for value in saved), default=0.0)
    far = far if far > _NOTHING else 1.0
    for row, (price, value) in enumerate(zip(prices, saved, strict=True)):
        relaxed = price.change.evidence is Evidence.RELAXED
        if abs(value) > _NOTHING:
            fill, hatch = (SKY, HATCH) if relaxed else (BLUE, "")
            axes.barh(row, value, _BAR, color=fill, edgecolor=INK, linewidth=0.6, hatch=hatch)
        at = max(value, 0.0) + 0.02 * far
        axes.text(at, row, _words(price, value), va="center", fontsize=SMALL, color=INK)
    axes.axvline(0.0, color=RULE, linewidth=0.8)
    name_rows(axes, [_name(price) for price in prices], 52)
    axes.set_xlim(min(0.0, *saved, 0.0) * 1.1, 1.55 * far)
    dress(axes, xlabel=f"saved by one more, {label(explanation.currency)}/h", grid="x")
    return figure


def _serves(price: ShadowPrice) -> bool:
    return bool(price.change.served_change)


def _words(price: ShadowPrice, saved: float) -> str:
    change = price.change
    if change.served_change:
        names = [label(name, 24) for name in change.newly_served]
        if not names:
            return "serves others"
        more = f" and {len(names) - 2} more" if len(names) > 2 else ""
        return f"serves {', '.join(names[:2])}{more}"
    if abs(saved) <= _NOTHING:
        return "nothing"
    about = "about " if change.evidence is Evidence.RELAXED else ""
    return f"{about}{saved:,.2f}" if abs(saved) >= 0.005 else f"{about}{saved:.2g}"


def _name(price: ShadowPrice) -> str:
    used = "?" if price.used is None else number(price.used)
    amount = "" if price.amount == 1 else f" + {number(price.amount)}"
    return f"{price.of}{amount} ({used} of {number(price.available)} used)"
