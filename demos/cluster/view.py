"""A moment of a closed loop for people: a page in a terminal, or a line of text."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demos.cluster.moment import POINTS, Moment, ServerMoment, hour_of

_LEVELS = " ▁▂▃▄▅▆▇█"
_LABEL_WIDTH = 9
_FRAME_WIDTH = 4
_DECISIONS = 6
_NARROWEST = 20
_DAY_WIDTH = 16

_Piece = str | tuple[str, str]
"""Text, with its style where it has one."""


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
    footer = [_line((hint, "dim")) for hint in hints]
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


def _head(moment: Moment, currency: str) -> Text:
    took = "" if moment.took_s is None else f" ({moment.took_s:.1f} s the last)"
    return _line(
        (moment.hour, "bold"),
        "  ",
        *_bar(moment.at_s / moment.day_s, _DAY_WIDTH, "magenta"),
        f"  {moment.at_s:.0f} of {moment.day_s:.0f} s  {moment.cycles} cycles{took}  ",
        _cost(moment, currency),
    )


def _cost(moment: Moment, currency: str) -> str:
    now = sum(each.cost_per_hour for each in moment.servers)
    return f"{now:.2f} {currency}/h"


def _panel(server: ServerMoment, inner: int, currency: str) -> Panel:
    wide = inner - _LABEL_WIDTH
    planned = "" if server.planned_rps is None else f", planned for {server.planned_rps:.1f}/s"
    in_time = "-" if server.in_time is None else f"{server.in_time:.1%} of {server.requests:,}"
    watched = server.watched
    rows: tuple[tuple[str, Sequence[_Piece]], ...] = (
        ("Load", [(sparkline(server.loads, wide, POINTS), "cyan")]),
        ("", [f"{server.offered_rps:.1f}/s{planned}"]),
        ("Replicas", [(sparkline(server.sizes, wide, POINTS), "blue")]),
        ("", [_replicas(server)]),
        ("TTFT p95", _latency(server.ttft_ms, watched.ttft_ms, wide)),
        ("ITL p95", _latency(server.itl_ms, watched.itl_ms, wide)),
        ("In time", [in_time]),
        ("Cost", [f"{server.cost_per_hour:.2f} {currency}/h, {server.cost:.2f} so far"]),
        ("The loop", [server.holds]),
    )
    lines = [_line((f"{name:{_LABEL_WIDTH}}", "dim"), *pieces) for name, pieces in rows]
    return _framed(Group(*lines), f"{watched.name} on {watched.accelerator}")


def _framed(content: RenderableType, title: str) -> Panel:
    return Panel(content, title=title, title_align="left", box=box.ROUNDED, border_style="dim")


def _line(*pieces: _Piece) -> Text:
    """Return a line that is cut where there is no room for it."""
    text = Text(no_wrap=True, overflow="ellipsis")
    for piece in pieces:
        text.append(*((piece,) if isinstance(piece, str) else piece))
    return text


def _bar(share: float, width: int, style: str) -> list[_Piece]:
    full = min(width, round(share * width))
    return [("━" * full, style), ("─" * (width - full), "bright_black")]


def _replicas(server: ServerMoment) -> str:
    parts = [f"{server.serving} of {server.asked} serve"]
    parts += [f"{server.starting} start"] if server.starting else []
    parts += [f"{server.draining} drain"] if server.draining else []
    return ", ".join(parts)


def _latency(seen: float | None, target: float, width: int) -> list[_Piece]:
    if seen is None:
        return ["-"]
    words = f" {seen:.0f} of {target:,.0f} ms"
    style = "red" if seen > target else "green"
    bar = _bar(seen / target, max(4, min(24, width - len(words))), style)
    return [*bar, (words, style) if seen > target else words]


def _share(seen: float | None, target: float) -> str:
    return "-" if seen is None else f"{seen / target:.2f}"


def _decisions(moment: Moment) -> Panel:
    shown = list(itertools.islice(moment.decisions, _DECISIONS))
    name_width = max((len(each.server) for each in shown), default=0)
    changes = [f"{each.before} → {each.after} replicas" for each in shown]
    change_width = max(map(len, changes), default=0)
    lines = [
        _line(
            f"{hour_of(each.at_s, moment.day_s)}  {each.server:{name_width}}  ",
            (f"{change:{change_width}}  ", "red" if each.after > each.before else "blue"),
            (each.why, "dim"),
        )
        for each, change in zip(shown, changes, strict=True)
    ]
    lines += [Text("")] * (_DECISIONS - len(shown))  # as high as ever, so that nothing jumps
    problems = [_line((f"! {words}", "yellow")) for words in moment.problems[:2]]
    return _framed(Group(*lines, *problems), "Last decisions")
