"""A plan as a report for the terminal: allocations, totals, cards, what is unplaced."""

from __future__ import annotations

from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from stoker.cli.allocation_rows import allocation_rows
from stoker.cli.allocation_table import compact_table, compact_widths, wide_table
from stoker.cli.figures import HOURS_PER_MONTH, UNKNOWN, count_of, money
from stoker.cli.output import WIDE
from stoker.cli.plan_pools import (
    limits_table,
    objective_sentences,
    placements_table,
    pools_table,
    usage_bar,
)
from stoker.cli.plan_words import (
    batch_words,
    method_words,
    objective_words,
    router_words,
    served_words,
    status_words,
    timing_words,
)
from stoker.cli.text_grid import total_width
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, PlanStatus, Unplaced
from stoker.domain.reasons import Rejection, UnplacedReason

_STATUS_STYLE = {
    PlanStatus.OPTIMAL: "bold green",
    PlanStatus.FEASIBLE: "bold yellow",
    PlanStatus.INFEASIBLE: "bold red",
    PlanStatus.TIME_LIMIT: "bold red",
}


class PlanReport(NamedTuple):
    """A report, and the columns it was laid out for."""

    renderable: RenderableType
    width: int


def plan_report(fleet: Fleet, plan: Plan, width: int | None = None) -> PlanReport:
    """Return the whole report of a plan.

    Args:
        fleet: The fleet that was planned; servers are shown in its order.
        plan: The plan.
        width: Columns that are there; where they are too few for the table, an allocation takes
            two lines. None for as many as the table needs, at least `WIDE`.
    """
    rows = allocation_rows(fleet, plan)
    table = wide_table(rows, plan.currency)
    widths = table.natural_widths()
    needed = total_width(widths)
    if width is None:
        width = max(WIDE, needed)
    if needed > width:
        table = compact_table(rows, plan.currency)
        widths = compact_widths(table, width)
    parts: list[RenderableType] = [_title(fleet), Text(""), *table.lines(widths)]
    if any(row.has_unknown for row in rows):
        parts += [Text(""), Text(f"{UNKNOWN} = not known", style="dim")]
    if plan.unplaced:
        parts += [_heading("Not served in full"), _unplaced(plan)]
    parts += [_heading("Cards"), _usage_table(plan)]
    if plan.pools:
        parts += [_heading("Pools"), pools_table(plan), _heading("Placement")]
        parts += [placements_table(plan)]
    if plan.limits:
        parts += [_heading("Limits"), limits_table(plan)]
    parts += [_heading("Plan"), _totals(plan)]
    return PlanReport(Group(*parts), width)


def _title(fleet: Fleet) -> RenderableType:
    name = fleet.name or "fleet"
    counts = (
        f"{count_of(len(fleet.servers), 'server')}, "
        f"{count_of(len(fleet.accelerators), 'accelerator configuration')}"
    )
    return Text.assemble((f"Plan of {name}", "bold"), f"  {counts}")


def _heading(text: str) -> RenderableType:
    return Group(Text(""), Rule(Text(text, style="bold"), align="left", style="dim"))


def _unplaced(plan: Plan) -> RenderableType:
    """Return why servers are not served in full; what the clock is to blame for is said once."""
    late = [item for item in plan.unplaced if item.reason is UnplacedReason.TIME_LIMIT]
    others = [item for item in plan.unplaced if item.reason is not UnplacedReason.TIME_LIMIT]
    parts = [_unplaced_text(item.server, item, _rejection_words(item)) for item in others]
    if late:
        names = late[0].server if len(late) == 1 else count_of(len(late), "server")
        parts.append(_unplaced_text(names, late[0]))
    return Group(*parts)


def _unplaced_text(heading: str, unplaced: Unplaced, rejections: str = "") -> RenderableType:
    lines = [Text.assemble((f"{unplaced.reason.value}: ", "red"), unplaced.detail)]
    if unplaced.remedy:
        lines.append(Text.assemble(("remedy: ", "green"), unplaced.remedy))
    if rejections:
        lines.append(Text(rejections, style="dim"))
    return Group(Text(heading, style="bold"), Padding(Group(*lines), (0, 0, 0, 2)))


def _rejection_words(unplaced: Unplaced) -> str:
    if not unplaced.rejections:
        return ""
    by_reason: dict[Rejection, list[str]] = {}
    for accelerator, rejection in unplaced.rejections.items():
        by_reason.setdefault(rejection, []).append(accelerator)
    parts = [f"{reason.value}: {', '.join(names)}" for reason, names in by_reason.items()]
    return "rejected: " + "; ".join(parts)


def _usage_table(plan: Plan) -> RenderableType:
    used = [usage for usage in plan.usage if usage.used or usage.available]
    if not used:
        return Text("no cards used, none available", style="dim")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("Type", overflow="fold")
    table.add_column("Used", justify="right")
    table.add_column("Available", justify="right")
    table.add_column("")
    table.add_column(f"{plan.currency}/h", justify="right")
    for usage in used:
        available = "any" if usage.available is None else f"{usage.available:,}"
        cost = money(usage.cost_per_hour)
        table.add_row(
            usage.card_type,
            f"{usage.used:,}",
            available,
            usage_bar(usage.used, usage.available),
            cost,
        )
    return table


def _totals(plan: Plan) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    per_month = money(plan.cost_per_hour * HOURS_PER_MONTH)
    cost = Text.assemble(
        (f"{money(plan.cost_per_hour)} {plan.currency} per hour", "bold"),
        f", {per_month} per month of {HOURS_PER_MONTH} h",
    )
    served = sum(service.served for service in plan.services)
    servers = sum(service.servers for service in plan.services)
    by_priority = "; ".join(served_words(service) for service in plan.services)
    table.add_row("Cost", cost)
    table.add_row("Status", Text(status_words(plan), style=_STATUS_STYLE[plan.status]))
    if plan.allocations:
        table.add_row("Objective", objective_words(plan))
    table.add_row("Served", f"{served} of {count_of(servers, 'server')} ({by_priority})")
    table.add_row("Method", method_words(plan))
    for name, sentences in (("Router", router_words(plan)), ("Batch", batch_words(plan))):
        for sentence in sentences:
            table.add_row(name, Text(sentence))
    for sentence in objective_sentences(plan):
        table.add_row("Minimized", Text(sentence))
    for note in plan.notes:
        table.add_row("Note", Text(note))
    if plan.timings_ms:
        table.add_row("Time", timing_words(plan))
    return table
