"""Plans of a horizon as text: servers, cards, and what it costs against simpler ways."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stoker.cli.figures import count_of, money
from stoker.domain.horizon import HorizonPlan, ServerSchedule


def horizon_report(plan: HorizonPlan) -> RenderableType:
    """Return the whole report."""
    parts: list[RenderableType] = []
    if plan.schedules:
        parts += [_servers(plan), Text("")]
    if plan.cards:
        parts += [_cards(plan), Text("")]
    if plan.unscheduled:
        parts.append(Text("Not scheduled", style="bold"))
        parts += [Text(f"{item.server}: {item.detail}") for item in plan.unscheduled]
        parts.append(Text(""))
    parts += _totals(plan)
    return Group(*parts)


def _table(left: int, *names: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for index, name in enumerate(names):
        side = "left" if index < left else "right"
        table.add_column(name, justify=side, no_wrap=True)  # type: ignore[arg-type]
    return table


def _servers(plan: HorizonPlan) -> Table:
    names = ("Server", "Runs on", "Replicas", "Firm", "Spot", "Started", "Moves")
    table = _table(2, *names, f"{plan.currency} without commitments")
    for item in plan.schedules:
        running = [hour.firm + hour.spot for hour in item.hours]
        table.add_row(
            Text(item.server),
            Text(_accelerators(item)),
            _range(running),
            _range([hour.firm for hour in item.hours]),
            _range([hour.spot for hour in item.hours]),
            f"{_started(item)}",
            f"{item.switches}",
            money(item.cost),
        )
    return table


def _accelerators(item: ServerSchedule) -> str:
    hours = Counter(hour.accelerator for hour in item.hours if hour.accelerator)
    if len(hours) <= 1:
        return next(iter(hours), "nothing")
    return ", ".join(f"{name} {count} h" for name, count in hours.most_common())


def _range(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low}–{high}"


def _started(item: ServerSchedule) -> int:
    return sum(
        max(0, after - before)
        for run in item.runs
        for counts in (run.firm, run.spot)
        for before, after in pairwise(counts)
    )


def _cards(plan: HorizonPlan) -> Table:
    table = _table(
        1,
        "Cards",
        "Reserved",
        "used",
        "On demand",
        "Spot",
        "Reserved cost",
        "On-demand cost",
        "Spot cost",
    )
    for item in plan.cards:
        share = sum(item.reserved_used) / (item.reserved * plan.hours) if item.reserved else None
        table.add_row(
            Text(item.card_type),
            f"{item.reserved}",
            "" if share is None else f"{share:.0%}",
            _range(list(item.on_demand)),
            _range(list(item.spot)),
            money(item.reserved_cost),
            money(item.on_demand_cost),
            money(item.spot_cost),
        )
    return table


def _totals(plan: HorizonPlan) -> list[Text]:
    each = plan.cost / plan.hours if plan.hours else 0.0
    lines = [
        Text.assemble(
            (f"{money(plan.cost)} {plan.currency}", "bold"),
            f" for {count_of(plan.hours, 'hour')}, {money(each)} an hour: "
            f"reserved {money(plan.reserved_cost)}, on demand {money(plan.on_demand_cost)}, "
            f"spot {money(plan.spot_cost)}"
            + (f", moves {money(plan.switch_cost)}" if plan.switch_cost else ""),
        )
    ]
    for name, cost in (
        ("each hour planned alone, nothing committed", plan.hour_by_hour_cost),
        ("the peak all the time, on demand", plan.static_cost),
        ("the peak all the time, committed", plan.static_reserved_cost),
    ):
        if cost is not None and plan.cost > 0:
            lines.append(
                Text(f"{money(cost)} {plan.currency} ({cost / plan.cost - 1:+.0%}) {name}")
            )
    proof = "nothing proven" if plan.gap is None else f"within {plan.gap:.2%} of the least possible"
    at = "" if plan.quantile is None else f", demand at quantile {plan.quantile:g}"
    lines.append(Text(f"Status: {plan.status}, {proof}, analysis {plan.analysis}{at}"))
    return lines
