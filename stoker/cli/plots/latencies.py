"""Predicted TTFT and ITL of every server, against its targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from stoker.cli.figures import count_of, keeps
from stoker.cli.plots.style import (
    BLUE,
    INK,
    LOG_FROM,
    ORANGE,
    PALE,
    RULE,
    SMALL,
    blank_figure,
    dress,
    label,
    log_axis,
    message_figure,
    name_rows,
    spread,
)
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan

MOST_SERVERS = 60
_MARKS = {
    "within the target": ("o", BLUE, BLUE),
    "over the target": ("D", ORANGE, INK),
    "no target": ("s", "white", INK),
}
"""Marker, fill and edge by how a latency stands to its target."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A server, with what is known of it; None for what is not."""

    server: str
    service_class: str
    allocation: PlannedAllocation | None

    @property
    def note(self) -> str:
        """Why there is no latency; empty where there should be one."""
        if self.allocation is None:
            return "not placed"
        return "" if self.allocation.replicas else "nothing to serve"

    def latency_ms(self, itl: bool) -> float | None:
        item = self.allocation
        if item is None or not item.replicas:
            return None
        return item.itl_ms if itl else item.ttft_ms

    def target_ms(self, itl: bool) -> float | None:
        item = self.allocation
        if item is None:
            return None
        return item.itl_target_ms if itl else item.ttft_target_ms

    @property
    def verdict(self) -> str:
        """How it stands to all its targets: kept, broken, unknown, or none."""
        pairs = [(self.latency_ms(itl), self.target_ms(itl)) for itl in (False, True)]
        verdicts = [keeps(latency, target) for latency, target in pairs if target is not None]
        if not verdicts:
            return "none"
        if False in verdicts:
            return "broken"
        return "unknown" if None in verdicts else "kept"

    @property
    def tightness(self) -> float:
        """Largest latency over target; servers without one come last."""
        pairs = [(self.latency_ms(itl), self.target_ms(itl)) for itl in (False, True)]
        return max((value / goal for value, goal in pairs if value and goal), default=0.0)


def latencies_figure(fleet: Fleet, plan: Plan) -> Figure:
    """Return mean TTFT and ITL by server, with a bar for each target.

    Servers are grouped by class, in the fleet's order. Of more than `MOST_SERVERS` those nearest
    to their targets, or furthest beyond them, are shown, and the title says so.
    """
    if not fleet.servers:
        return message_figure("TTFT and ITL against targets", "The fleet has no servers.")
    every = _rows(fleet, plan)
    rows = every
    if len(every) > MOST_SERVERS:
        tightest = sorted(every, key=lambda row: -row.tightness)[:MOST_SERVERS]
        rows = [row for row in every if row in tightest]
    figure = blank_figure(9.5, 1.9 + 0.21 * len(rows), _title(every, len(rows)))
    left, right = figure.subplots(1, 2, sharey=True)
    _draw(left, rows, itl=False)
    _draw(right, rows, itl=True)
    name_rows(left, [row.server for row in rows], longest=30)
    _legend(figure, rows)
    return figure


def _rows(fleet: Fleet, plan: Plan) -> list[_Row]:
    allocations = {item.server: item for item in plan.allocations}
    priority = {item.name: item.priority for item in fleet.service_classes}
    rows = [
        _Row(server.name, server.service_class, allocations.get(server.name))
        for server in fleet.servers
    ]
    classes = list(dict.fromkeys(row.service_class for row in rows))
    classes.sort(key=lambda name: priority.get(name, 100))
    return sorted(rows, key=lambda row: classes.index(row.service_class))


def _title(rows: Sequence[_Row], shown: int) -> str:
    loaded = [row for row in rows if row.allocation is None or row.allocation.replicas]
    verdicts = [row.verdict for row in loaded if row.allocation is not None]
    kept, broken, unknown = (verdicts.count(word) for word in ("kept", "broken", "unknown"))
    missing = sum(row.allocation is None for row in rows)
    parts = [f"{kept} of {count_of(len(loaded), 'server')} predicted to keep targets"]
    if broken:
        parts.append(f"{broken} to break one")
    if unknown:
        parts.append(f"{unknown} unknown")
    if missing:
        parts.append(f"{missing} not placed")
    title = ", ".join(parts)
    if shown < len(rows):
        title += f"\n(the {shown} nearest to their targets, or furthest beyond)"
    return title


def _draw(axes: Axes, rows: Sequence[_Row], *, itl: bool) -> None:
    latencies = [row.latency_ms(itl) for row in rows]
    targets = [row.target_ms(itl) for row in rows]
    known = [value for value in (*latencies, *targets) if value is not None and value > 0]
    wide = spread(known) > LOG_FROM
    if wide:
        log_axis(axes, "x", known)
        axes.set_xlim(min(known) / 1.6, max(known) * 1.6)
    else:
        axes.set_xlim(0.0, max(known, default=1.0) * 1.12)
        axes.xaxis.set_major_locator(MaxNLocator(6))
    _shade_classes(axes, rows, named=itl)
    for index, (row, latency, target) in enumerate(zip(rows, latencies, targets, strict=True)):
        if latency is None:
            _write_missing(axes, index, row.note or "unknown")
        elif target is not None:
            axes.plot([latency, target], [index, index], color=RULE, linewidth=1.0, zorder=1)
        if target is not None:
            axes.scatter([target], [index], marker="|", s=90, color=INK, linewidths=1.8, zorder=2)
        if latency is not None:
            marker, fill, edge = _MARKS[_standing(latency, target)]
            axes.scatter(
                [latency], [index], marker=marker, s=26, facecolor=fill, edgecolor=edge, zorder=3
            )
    name = "ITL" if itl else "TTFT"
    dress(axes, xlabel=f"mean {name} [ms]{', log scale' if wide else ''}", grid="x")


def _standing(latency_ms: float, target_ms: float | None) -> str:
    if target_ms is None:
        return "no target"
    return "within the target" if keeps(latency_ms, target_ms) else "over the target"


def _write_missing(axes: Axes, index: int, words: str) -> None:
    axes.text(
        0.015,
        index,
        words,
        transform=axes.get_yaxis_transform(),
        va="center",
        fontsize=SMALL,
        style="italic",
        color=INK,
    )


def _shade_classes(axes: Axes, rows: Sequence[_Row], *, named: bool) -> None:
    """Shade every second class; write their names along the right edge where asked to."""
    first = 0
    for rank, (name, members) in enumerate(groupby(rows, key=lambda row: row.service_class)):
        count = sum(1 for _ in members)
        if rank % 2:
            axes.axhspan(first - 0.5, first + count - 0.5, color=PALE, zorder=0, linewidth=0)
        if named:
            axes.text(
                1.015,
                first + (count - 1) / 2,
                label(name, max(7, 3 * count)),
                transform=axes.get_yaxis_transform(),
                rotation=270,
                ha="left",
                va="center",
                fontsize=SMALL,
                color=INK,
            )
        first += count


def _legend(figure: Figure, rows: Sequence[_Row]) -> None:
    pairs = [(row.latency_ms(itl), row.target_ms(itl)) for row in rows for itl in (False, True)]
    shown = {_standing(latency, target) for latency, target in pairs if latency is not None}
    handles = [
        Line2D(
            [],
            [],
            linestyle="",
            marker=marker,
            markerfacecolor=fill,
            markeredgecolor=edge,
            markersize=5,
            label=words,
        )
        for words, (marker, fill, edge) in _MARKS.items()
        if words in shown
    ]
    if any(target is not None for _, target in pairs):
        handles.append(
            Line2D(
                [],
                [],
                linestyle="",
                marker="|",
                color=INK,
                markersize=9,
                markeredgewidth=1.8,
                label="target",
            )
        )
    if handles:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=4, fontsize=SMALL, frameon=False
        )
