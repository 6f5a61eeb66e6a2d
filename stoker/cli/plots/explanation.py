"""Why a plan is as it is: what its alternatives would cost the server, and the plan."""

from __future__ import annotations

from matplotlib.figure import Figure

from stoker.cli.plots.style import (
    BLUE,
    INK,
    SKY,
    SMALL,
    blank_figure,
    dress,
    label,
    message_figure,
    name_rows,
)
from stoker.domain.explanation import AllocationExplanation, Explanation, Forbidden

_BAR = 0.38


def alternatives_figure(title: str, explanation: Explanation) -> Figure:
    """Return for each server what its runner-up changes: for itself, and for the plan.

    A runner-up with which the plan serves fewer or other servers has no price; what is lost is
    written in place of its bars.

    Args:
        title: What is to be seen.
        explanation: Servers without a runner-up are left out.
    """
    known = [(item, item.runner_up) for item in explanation.allocations]
    drawn = [(item, other) for item, other in known if other is not None]
    if not drawn:
        return message_figure(title, "No server has a runner-up.")
    figure = blank_figure(9.0, 1.6 + 0.42 * len(drawn), title)
    axes = figure.subplots()
    prices = [value for _, other in drawn for value in _prices(other) or ()]
    far = max((abs(value) for value in prices), default=1.0)
    for row, (_, other) in enumerate(drawn):
        changed = _prices(other)
        if changed is None:
            axes.text(0.02 * far, row, _loss(other), va="center", fontsize=SMALL, color=INK)
            continue
        for place, (value, fill) in enumerate(zip(changed, (SKY, BLUE), strict=True)):
            at = row + (place - 0.5) * _BAR
            name = ("for the server itself", "for the whole plan")[place]
            first = row == next(at for at, (_, one) in enumerate(drawn) if _prices(one))
            axes.barh(
                at,
                value,
                _BAR,
                color=fill,
                edgecolor=INK,
                linewidth=0.5,
                label=name if first else None,
            )
    axes.axvline(0.0, color=INK, linewidth=0.8)
    name_rows(axes, [_name(item, other) for item, other in drawn], 60)
    low = min(0.0, *prices) if prices else 0.0
    axes.set_xlim(1.08 * low, 1.08 * max(far, 0.0))
    dress(axes, xlabel=f"change, {label(explanation.currency)}/h", grid="x")
    if prices:
        axes.legend(loc="best", fontsize=SMALL, frameon=False)
    return figure


def _prices(other: Forbidden) -> tuple[float, float] | None:
    """Return what the server and the plan pay more; None where others would be served."""
    change = other.change
    if other.own_cost_change is None or change.served_change:
        return None
    if change.no_longer_served or change.newly_served:
        return None
    return other.own_cost_change, change.value_change


def _loss(other: Forbidden) -> str:
    lost = [label(name) for name in other.change.no_longer_served]
    return f"{', '.join(lost)} would not be served" if lost else "others would be served"


def _name(item: AllocationExplanation, other: Forbidden) -> str:
    parts = other.own.parts
    instead = " + ".join(f"{part.replicas} × {part.accelerator}" for part in parts) or "nothing"
    return f"{item.server}: {item.replicas} × {item.accelerator} → {instead}"
