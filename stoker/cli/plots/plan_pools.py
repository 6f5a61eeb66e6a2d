"""The pools of one plan: how full each is, and what it costs by price kind."""

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
    SKY,
    SMALL,
    blank_figure,
    dress,
    label,
    message_figure,
    name_rows,
)
from stoker.domain.plan import Plan
from stoker.domain.pools import PriceKind
from stoker.domain.usage import PoolUsage

MOST_ROWS = 40
"""Pools that are drawn; of more, those that cost most."""
KINDS = (
    (PriceKind.RESERVED, BLUE, ""),
    (PriceKind.ON_DEMAND, SKY, ""),
    (PriceKind.SPOT, ORANGE, HATCH),
)
"""Fill and hatch by price kind."""


def plan_pools_figure(plan: Plan) -> Figure:
    """Return a bar for each pool of a plan: its cards on the left, its cost on the right."""
    if not plan.pools:
        return message_figure("Pools", "There are no pools.")
    dearest = sorted(plan.pools, key=lambda pool: -pool.cost_per_hour)[:MOST_ROWS]
    pools = [pool for pool in plan.pools if pool in dearest]
    figure = blank_figure(9.0, 1.9 + 0.34 * len(pools), _title(plan, len(pools)))
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_cards(left, pools)
    _draw_costs(right, pools, plan.currency)
    name_rows(left, [_name(pool) for pool in pools], 44)
    handles, words = right.get_legend_handles_labels()
    figure.legend(
        handles, words, loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False
    )
    return figure


def _title(plan: Plan, drawn: int) -> str:
    used = sum(1 for pool in plan.pools if pool.used)
    text = (
        f"{money(plan.cost_per_hour)} {label(plan.currency)} per hour: "
        f"{used} of {count_of(len(plan.pools), 'pool')} used"
    )
    kinds = [
        f"{sum(pool.used for pool in plan.pools if pool.price_kind is kind):,} {kind.value}"
        for kind, _, _ in KINDS
        if any(pool.used for pool in plan.pools if pool.price_kind is kind)
    ]
    text += f", cards: {', '.join(kinds)}" if kinds else ""
    return f"{text} (the {drawn} dearest)" if drawn < len(plan.pools) else text


def _name(pool: PoolUsage) -> str:
    where = [part for part in (pool.region, pool.zone, pool.cluster) if part]
    place = f" in {' '.join(where)}" if where else ""
    kind = "" if pool.pool == pool.card_type else f"{pool.card_type}"
    told = f"{kind}{place}".strip()
    return f"{pool.pool} ({told})" if told else pool.pool


def _draw_cards(axes: Axes, pools: Sequence[PoolUsage]) -> None:
    rows = range(len(pools))
    shares = [pool.used / pool.available if pool.available else 0.0 for pool in pools]
    axes.barh(rows, [1.0] * len(pools), 0.62, facecolor="white", edgecolor=RULE)
    for kind, fill, hatch in KINDS:
        mine = [row for row in rows if pools[row].price_kind is kind]
        bars = [shares[row] for row in mine]
        axes.barh(mine, bars, 0.62, color=fill, edgecolor=INK, linewidth=0.6, hatch=hatch)
    for row, pool in enumerate(pools):
        words = f"{pool.used:,} of {pool.available:,}"
        axes.text(1.02, row, words, va="center", fontsize=SMALL, color=INK)
    axes.set_xlim(0.0, 1.32)
    axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0])
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1.0))
    dress(axes, xlabel="cards used, share of those there are", grid="x")


def _draw_costs(axes: Axes, pools: Sequence[PoolUsage], currency: str) -> None:
    for kind, fill, hatch in KINDS:
        mine = [row for row, pool in enumerate(pools) if pool.price_kind is kind]
        if not mine:
            continue
        bars = axes.barh(
            mine,
            [pools[row].cost_per_hour for row in mine],
            0.62,
            color=fill,
            edgecolor=INK,
            linewidth=0.6,
            hatch=hatch,
            label=kind.value,
        )
        words = [money(pools[row].cost_per_hour) for row in mine]
        axes.bar_label(bars, words, padding=3, fontsize=SMALL, color=INK)
    axes.set_xlim(0.0, max(pool.cost_per_hour for pool in pools) * 1.25 or 1.0)
    dress(axes, xlabel=f"cost [{label(currency)}/h]", grid="x")
