"""A moment of a closed loop for people: a page in a terminal, or a line of text."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from rich import box
from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from demos.cluster.moment import POINTS, Moment, ServerMoment, hour_of

_LEVELS = " ▁▂▃▄▅▆▇█"
_LABEL_WIDTH = 9
_FRAME_WIDTH = 4
_DECISIONS = 6
_NARROWEST = 20


def moment_view(moment: Moment, width: int, currency: str, hints: Sequence[str] = ()) -> Group:
    """Return a page: the day, each server, the last decisions, and what else to try.

    Args:
        moment: What there is to see.
        width: Columns of the terminal.
        currency: What costs are in.
        hints: Lines at the end.
    """
    columns = max(1, len(moment.servers))
    inner = max(_NARROWEST, width // columns - _FRAME_WIDTH - 1)
    servers = Table.grid(expand=True)
    for _ in moment.servers:
        servers.add_column(ratio=1)
    servers.add_row(*(_panel(each, inner, currency) for each in moment.servers))
    footer = [Text(hint, style="dim", no_wrap=True, overflow="ellipsis") for hint in hints]
    return Group(_head(moment, currency), servers, _decisions(moment), *footer)


def moment_line(moment: Moment, currency: str) -> str:
    """Return a moment in one line, for a log."""
    servers = "; ".join(
        f"{each.watched.name} {each.offered_rps:.1f}/s on {each.serving} of {each.asked} replicas, "
        f"TTFT {_share(each.ttft_ms, each.watched.ttft_ms)} and "
        f"ITL {_share(each.itl_ms, each.watched.itl_ms)} of the target"
        for each in moment.servers
    )
    return f"{moment.hour}  {servers}; {_cost(moment, currency)}"


def sparkline(values: Sequence[float], width: int, points: int) -> str:
    """Return values as bars of one character each, scaled to the largest.

    Args:
        values: From the start on; where there are fewer than `points`, the rest is still to come.
        width: Characters for all points.
        points: Values that there will be in the end.
    """
    most = max(values, default=0.0)
    if most <= 0:
        return ""
    chars = []
    for index in range(width):
        place = int(index * points / width)
        if place >= len(values):
            break
        share = values[place] / most
        chars.append(_LEVELS[max(1, round(share * (len(_LEVELS) - 1))) if share > 0 else 0])
    return "".join(chars)


def _head(moment: Moment, currency: str) -> RenderableType:
    bar = ProgressBar(total=moment.day_s, completed=moment.at_s, width=24)
    grid = Table.grid(padding=(0, 2))
    for _ in range(5):
        grid.add_column(no_wrap=True)
    took = "" if moment.took_s is None else f" ({moment.took_s:.1f} s the last)"
    grid.add_row(
        Text(moment.hour, style="bold"),
        bar,
        Text(f"{moment.at_s:.0f} of {moment.day_s:.0f} s"),
        Text(f"{moment.cycles} cycles{took}"),
        Text(_cost(moment, currency)),
    )
    return grid


def _cost(moment: Moment, currency: str) -> str:
    now = sum(each.cost_per_hour for each in moment.servers)
    return f"{now:.2f} {currency}/h"


def _panel(server: ServerMoment, inner: int, currency: str) -> Panel:
    wide = inner - _LABEL_WIDTH
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=_LABEL_WIDTH - 1, style="dim", no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_row("Load", Text(sparkline(server.loads, wide, POINTS), style="cyan"))
    planned = "" if server.planned_rps is None else f", planned for {server.planned_rps:.1f}/s"
    grid.add_row("", f"{server.offered_rps:.1f}/s{planned}")
    grid.add_row("Replicas", Text(sparkline(server.sizes, wide, POINTS), style="blue"))
    grid.add_row("", _replicas(server))
    for name, seen, target in (
        ("TTFT p95", server.ttft_ms, server.watched.ttft_ms),
        ("ITL p95", server.itl_ms, server.watched.itl_ms),
    ):
        grid.add_row(name, _latency(seen, target, wide))
    in_time = "-" if server.in_time is None else f"{server.in_time:.1%} of {server.requests:,}"
    grid.add_row("In time", in_time)
    grid.add_row("Cost", f"{server.cost_per_hour:.2f} {currency}/h, {server.cost:.2f} so far")
    grid.add_row("The loop", server.holds)
    title = f"{server.watched.name} on {server.watched.accelerator}"
    return Panel(grid, title=title, title_align="left", box=box.ROUNDED, border_style="dim")


def _replicas(server: ServerMoment) -> str:
    parts = [f"{server.serving} serve"]
    parts += [f"{server.starting} start"] if server.starting else []
    parts += [f"{server.draining} drain"] if server.draining else []
    return f"{', '.join(parts)}; {server.asked} asked for"


def _latency(seen: float | None, target: float, width: int) -> RenderableType:
    if seen is None:
        return Text("-")
    words = f" {seen:.0f} of {target:,.0f} ms"
    bar_width = max(4, min(24, width - len(words) - 1))
    row = Table.grid()
    style = "red" if seen > target else "green"
    row.add_row(
        Bar(target, 0, min(seen, target), width=bar_width, color=style, bgcolor="bright_black"),
        Text(words, style=style if seen > target else ""),
    )
    return row


def _share(seen: float | None, target: float) -> str:
    return "-" if seen is None else f"{seen / target:.2f}"


def _decisions(moment: Moment) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", style="dim")
    shown = list(itertools.islice(moment.decisions, _DECISIONS))
    for each in shown:
        style = "red" if each.after > each.before else "blue"
        grid.add_row(
            hour_of(each.at_s, moment.day_s),
            each.server,
            Text(f"{each.before} → {each.after} replicas", style=style),
            each.why,
        )
    for _ in range(_DECISIONS - len(shown)):  # as high as ever, so that nothing jumps
        grid.add_row("", "", "", "")
    problems = [Text(f"! {words}", style="yellow") for words in moment.problems[:2]]
    return Panel(
        Group(grid, *problems),
        title="Last decisions",
        title_align="left",
        box=box.ROUNDED,
        border_style="dim",
    )
