"""An explanation as a report for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from optimizer.explaining.plan_words import replicas_words, signed
from stoker.cli.explanation_words import (
    allocation_sentences,
    objectives_moved,
    own_words,
    percent,
    regret_sentences,
    shadow_words,
    statistic_words,
    tightest,
    unplaced_sentences,
)
from stoker.cli.figures import UNKNOWN, money
from stoker.cli.text_grid import Cell, Column, Grid, total_width
from stoker.domain.explanation import AllocationExplanation, CountLimit, Explanation, ShadowPrice

MANY = 12
"""Servers beyond which a table takes the place of paragraphs, where it fits the width."""


def explanation_report(explanation: Explanation, width: int) -> RenderableType:
    """Return the whole report of an explanation.

    Args:
        explanation: The explanation.
        width: Columns that are there.
    """
    currency = explanation.currency
    title = f"Why this plan  {money(explanation.cost_per_hour)} {currency} per hour"
    parts: list[RenderableType] = [Text(title, style="bold"), Text("")]
    parts.append(_allocations(explanation.allocations, currency, width))
    if explanation.unplaced:
        parts.append(_heading("Not served in full"))
        parts += [
            _paragraph(item.server, unplaced_sentences(item, currency))
            for item in explanation.unplaced
        ]
    if explanation.shadow_prices:
        parts += [_heading("One more of each"), _shadow_table(explanation)]
    if explanation.regret is not None:
        parts.append(_heading("If the profiles are off"))
        parts += [Text(line) for line in regret_sentences(explanation.regret, currency)]
    if explanation.notes:
        parts.append(_heading("Notes"))
        parts += [Text(note) for note in explanation.notes]
    return Group(*parts)


def _allocations(
    items: tuple[AllocationExplanation, ...], currency: str, width: int
) -> RenderableType:
    if len(items) > MANY:
        grid = _table(items, currency)
        widths = grid.natural_widths()
        if total_width(widths) <= width:
            return Group(*grid.lines(widths))
    return Group(
        *(
            _paragraph(_heading_of(item, currency), allocation_sentences(item, currency))
            for item in items
        )
    )


def _heading_of(item: AllocationExplanation, currency: str) -> str:
    if item.accelerator is None:
        return item.server
    return f"{item.server}: {_has(item)}, {money(item.cost_per_hour)} {currency}/h"


def _has(item: AllocationExplanation) -> str:
    """Return what a server has, in words; nothing where it has nothing."""
    if item.accelerator is None:
        return ""
    return replicas_words(item.replicas, item.accelerator, item.configuration)


def _paragraph(heading: str, lines: Iterable[str]) -> RenderableType:
    body = Group(*(Text(line) for line in lines))
    return Group(Text(heading, style="bold"), Padding(body, (0, 0, 0, 2)))


def _heading(text: str) -> RenderableType:
    return Group(Text(""), Rule(Text(text, style="bold"), align="left", style="dim"))


def _table(items: tuple[AllocationExplanation, ...], currency: str) -> Grid:
    headings = (
        ("Server", False),
        ("Has", False),
        (f"{currency}/h", True),
        ("Bound by", False),
        ("To spare", True),
        ("More load", True),
        ("Runner-up", False),
        ("Itself", True),
        ("Plan", True),
        ("Replicas if off", False),
    )
    columns = tuple(Column(((text, ""),), right) for text, right in headings)
    kept = [_row(item) for item in items]
    # A column that says nothing is left out.
    used = [index for index in range(len(columns)) if any(row[index][0][0] for row in kept)]
    return Grid(
        columns=tuple(columns[index] for index in used),
        rows=tuple(tuple(row[index] for index in used) for row in kept),
    )


def _row(item: AllocationExplanation) -> tuple[Cell, ...]:
    margin = tightest(item.margins)
    share = None if margin is None else margin.margin_share
    runner = item.runner_up
    off = item.replica_range
    most = "-" if off is None or off.most is None else f"{off.most:,}"
    fewest = UNKNOWN if off is None or off.fewest is None else f"{off.fewest:,}"
    cells = (
        item.server,
        _has(item) or "nothing",
        money(item.cost_per_hour),
        _bound_by(item),
        "" if share is None else percent(share),
        "" if item.load_headroom is None else percent(item.load_headroom),
        "" if runner is None else own_words(runner.own),
        "" if runner is None or runner.own_cost_change is None else signed(runner.own_cost_change),
        "" if runner is None else _plan_cell(item),
        "" if off is None else f"{fewest} to {most}",
    )
    return tuple(((text, ""),) for text in cells)


def _plan_cell(item: AllocationExplanation) -> str:
    assert item.runner_up is not None  # asked of servers with one alone
    change = item.runner_up.change
    if change.served_change:
        lost = -sum(change.served_change.values())
        return f"{lost:,} unserved" if lost > 0 else "others served"
    if moved := objectives_moved(change):
        return f"{moved[0].name} {moved[0].change:+,.4g}"
    return signed(change.value_change)


def _bound_by(item: AllocationExplanation) -> str:
    if item.count_limit is CountLimit.LOAD:
        return statistic_words(item.binding) if item.binding else ""
    return item.count_limit.value.replace("_", " ")


def _more(item: ShadowPrice) -> str:
    """Return what there is one more of: a type of cards, a pool, or a limit with the amount."""
    return item.of if item.kind != "limit" else f"{item.of} + {item.amount:g}"


def _shadow_table(explanation: Explanation) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("One more")
    table.add_column("Used", justify="right")
    table.add_column("Of", justify="right")
    table.add_column("changes", overflow="fold")
    for item in explanation.shadow_prices:
        table.add_row(
            _more(item),
            UNKNOWN if item.used is None else f"{item.used:,.6g}",
            f"{item.available:,.6g}",
            shadow_words(item, explanation.currency),
        )
    return table
