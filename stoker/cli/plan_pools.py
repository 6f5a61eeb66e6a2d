"""Pools and limits of a plan as tables of its report."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from stoker.cli.figures import filled_share, money
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.plan import ObjectiveValue, Plan
from stoker.domain.usage import LimitUse

_BAR_CELLS = 20
_PROVEN = 1e-5
"""Gap from which on it is told."""


def usage_bar(used: float, available: float | None) -> Text:
    """Draw used over available; empty where there is no bound."""
    if not available:
        return Text("")
    fraction = used / available
    cells = min(_BAR_CELLS, round(_BAR_CELLS * fraction))
    if used and not cells:
        cells = 1
    style = "red" if fraction >= 1 else "yellow" if fraction >= 0.9 else "green"
    return Text.assemble(
        ("█" * cells, style), ("░" * (_BAR_CELLS - cells), "dim"), f" {filled_share(fraction):>4}"
    )


def pools_table(plan: Plan) -> Table:
    """Return the use of pools: where, at which price, and how full they are."""
    table = _table()
    table.add_column("Pool", overflow="fold")
    table.add_column("Type")
    table.add_column("Where")
    table.add_column("Price")
    for heading in ("Replicas", "Used", "Available"):
        table.add_column(heading, justify="right")
    table.add_column("")
    table.add_column(f"{plan.currency}/h", justify="right")
    for item in plan.pools:
        where = " ".join(part for part in (item.region, item.zone, item.cluster) if part)
        table.add_row(
            item.pool,
            item.card_type,
            where,
            item.price_kind.value,
            f"{item.replicas:,}",
            f"{item.used:,}",
            f"{item.available:,}",
            usage_bar(item.used, item.available),
            money(item.cost_per_hour),
        )
    return table


def placements_table(plan: Plan) -> Table:
    """Return where the replicas of each server stand, and how many of them are spare."""
    table = _table()
    table.add_column("Server", overflow="fold")
    table.add_column("Replicas", justify="right")
    table.add_column("Spare", justify="right")
    table.add_column("Placement", overflow="fold")
    table.add_column("Power W", justify="right")
    for item in plan.allocations:
        if item.placements:
            power = "?" if item.power_w is None else f"{item.power_w:,.0f}"
            spare = f"{item.spare_replicas:,}" if item.spare_replicas else ""
            table.add_row(item.server, f"{item.replicas:,}", spare, _placements(item), power)
    return table


def _placements(item: PlannedAllocation) -> str:
    return ", ".join(f"{part.replicas:,} in {part.pool}" for part in item.placements)


def limits_table(plan: Plan) -> Table:
    """Return the use of limits over the whole plan."""
    table = _table()
    table.add_column("Limit")
    table.add_column("Used", justify="right")
    table.add_column("Of", justify="right")
    table.add_column("")
    table.add_column("")
    for item in plan.limits:
        unit = item.unit or f"{plan.currency}/h"
        bar = usage_bar(item.used, item.limit)
        used, most = limit_amount(item, item.used), limit_amount(item, item.limit)
        table.add_row(item.name, used, most, unit, bar)
    return table


def limit_amount(item: LimitUse, value: float) -> str:
    """Return an amount of a limit without its unit: money, a share, or a count."""
    if not item.unit:
        return money(value)
    return f"{value:.0%}" if item.unit == "of cards" else f"{value:,.0f}"


def objective_sentences(plan: Plan) -> tuple[str, ...]:
    """Return what was minimized and reached, in order; nothing where it is cost alone."""
    if [item.name for item in plan.objectives] == ["cost"]:
        return ()
    return tuple(
        f"{index}. {item.name}: {item.value:,.6g} {item.unit}{_proof(item)}"
        for index, item in enumerate(plan.objectives, start=1)
    )


def _proof(item: ObjectiveValue) -> str:
    """Return what is proven of a stage, given those before it, where that is not all."""
    if item.gap is None:
        return " (no bound)"
    if item.gap <= _PROVEN:
        return ""
    return f" (at least {item.bound:,.6g}: gap {item.gap:.2%})"


def _table() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
