"""Pictures of a closed loop: load, replicas, latency against targets, cost, decisions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from demos.cluster.closed_loop import ClosedLoop
from demos.cluster.hindsight import (
    Sizes,
    clairvoyant_sizes,
    counted,
    replica_seconds,
    sizes_asked_for,
)
from demos.cluster.moment import Watched
from stoker.cli.plots.style import (
    BLUE,
    INK,
    ORANGE,
    PALE,
    RULE,
    SKY,
    SMALL,
    VERMILION,
    blank_figure,
    dress,
    label,
)

_NOT_DONE = "not done"
_BINS = 60
_FEWEST_IN_BIN = 5
_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class ServerCourse:
    """How one server fared; times in seconds since the load began.

    Attributes:
        name: The server.
        end_s: When the load ended.
        offered: Rate that really came, by time.
        measured: Rate that the loop measured, at each cycle that could.
        planned: Rate that it planned for.
        asked: Replicas that it asked for.
        serving: Replicas that served.
        holding: Replicas that held cards.
        hindsight: Replicas of one who knows the load.
        latencies: By name of a target, the 95th percentile over the target in bins of time.
        decisions: When something was decided: up, down, not done, or held by what.
        cost_per_hour: Cost of a replica.
    """

    name: str
    end_s: float
    offered: Sequence[tuple[float, float]]
    measured: Sequence[tuple[float, float]]
    planned: Sequence[tuple[float, float]]
    asked: Sizes
    serving: Sizes
    holding: Sizes
    hindsight: Sizes
    latencies: Mapping[str, Sequence[tuple[float, float]]]
    decisions: Sequence[tuple[float, str]]
    cost_per_hour: float

    @property
    def cost(self) -> float:
        """Cost of the replicas from when they started until they were gone."""
        return replica_seconds(self.holding, self.end_s) / 3600 * self.cost_per_hour

    @property
    def hindsight_cost(self) -> float:
        """Cost of one who knows the load."""
        return replica_seconds(self.hindsight, self.end_s) / 3600 * self.cost_per_hour

    @property
    def peak_cost(self) -> float:
        """Cost of the most replicas that one who knows the load has, all the time."""
        most = max(size for _, size in self.hindsight)
        return most * self.end_s / 3600 * self.cost_per_hour


def course_of(
    found: ClosedLoop, watched: Watched, rate_of_one_rps: float, end_s: float
) -> ServerCourse:
    """Return how a server of a finished loop fared.

    Args:
        found: The loop.
        watched: The server.
        rate_of_one_rps: Largest rate of one replica within the targets.
        end_s: How long it was watched.
    """
    server, load = watched.name, watched.load
    measured, planned, decisions = [], [], []
    for at_s, record in found.cycles():
        told = record["servers"][server]
        if told["load"] is not None:
            measured.append((at_s, float(told["load"]["arrival_rate_rps"])))
        if told["forecast"] is not None:
            planned.append((at_s, float(told["forecast"]["arrival_rate_rps"])))
        decision = told["decision"] or {}
        if decision.get("direction") in ("up", "down", "move"):
            done = any(change["outcome"] == "applied" for change in _changes(record, server))
            decisions.append((at_s, str(decision["direction"]) if done else _NOT_DONE))
        else:
            decisions += [(at_s, str(held)) for held in decision.get("held", ())]
    requests = found.served(server)
    pods = found.pods(server)
    return ServerCourse(
        server,
        end_s,
        [(end_s * step / 400, load.rate_rps(end_s * step / 400)) for step in range(400)],
        measured,
        planned,
        sizes_asked_for(found, server),
        counted(found, pods, ready=True, end_s=end_s),
        counted(found, pods, ready=False, end_s=end_s),
        clairvoyant_sizes(load.rate_rps, end_s, found.setup.startup_s, rate_of_one_rps),
        {
            "TTFT": _binned(
                [(found.sent_s(r), r.ttft_ms / watched.ttft_ms) for r in requests], end_s
            ),
            "ITL": _binned([(found.sent_s(r), r.itl_ms / watched.itl_ms) for r in requests], end_s),
        },
        decisions,
        watched.cost_per_hour,
    )


def course_figure(courses: Sequence[ServerCourse], title: str, unit_s: float, unit: str) -> Figure:
    """Return load, replicas, latency and decisions of each server, a column each.

    Args:
        courses: The servers.
        title: What it is.
        unit_s: Seconds in a unit of the time axis.
        unit: What that unit is called.
    """
    figure = blank_figure(max(6.5, 4.5 * len(courses)), 7.0, title)
    grid = figure.add_gridspec(4, len(courses), height_ratios=[1.2, 1.4, 1.2, 1.0])
    rows: tuple[Callable[[Axes, ServerCourse, float], None], ...] = (
        _draw_load,
        _draw_replicas,
        _draw_latency,
        _draw_decisions,
    )
    for column, course in enumerate(courses):
        for row, draw in enumerate(rows):
            axes = figure.add_subplot(grid[row, column])
            draw(axes, course, unit_s)
            axes.set_xlim(0, course.end_s / unit_s)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 3, 6, 10]))
            if row == 0:
                axes.set_title(label(course.name), fontsize=SMALL + 2, color=INK, pad=20)
            if row == len(rows) - 1:
                axes.set_xlabel(unit, fontsize=SMALL + 1, color=INK)
    return figure


def cost_figure(courses: Sequence[ServerCourse], currency: str, title: str) -> Figure:
    """Return the cost of each server: of the loop, of hindsight, and of the peak all the time."""
    figure = blank_figure(7.0, 1.6 + 0.9 * len(courses), title)
    axes = figure.add_subplot()
    names = [course.name for course in courses]
    height = 0.26
    for offset, (words, colour, values) in enumerate(
        (
            ("one who knows the load", SKY, [course.hindsight_cost for course in courses]),
            ("the loop", BLUE, [course.cost for course in courses]),
            ("the peak all the time", RULE, [course.peak_cost for course in courses]),
        )
    ):
        places = [row + (offset - 1) * height for row in range(len(courses))]
        bars = axes.barh(places, values, height, color=colour, label=words)
        axes.bar_label(bars, fmt="%.2f", fontsize=SMALL, padding=3, color=INK)
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.invert_yaxis()
    dress(axes, xlabel=currency, grid="x")
    axes.margins(x=0.12)
    figure.legend(loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False)
    return figure


def _draw_load(axes: Axes, course: ServerCourse, unit_s: float) -> None:
    for points, colour, width, words in (
        (course.planned, ORANGE, 1.2, "planned for"),
        (course.measured, BLUE, 1.2, "measured"),
        (course.offered, INK, 1.0, "offered"),
    ):
        axes.plot(
            [at / unit_s for at, _ in points],
            [rate for _, rate in points],
            color=colour,
            linewidth=width,
            linestyle="--" if words == "offered" else "-",
            label=words,
        )
    axes.set_ylim(bottom=0)
    dress(axes, ylabel="requests/s", grid="y")
    _legend(axes)


def _draw_replicas(axes: Axes, course: ServerCourse, unit_s: float) -> None:
    for sizes, colour, style, words in (
        (course.asked, ORANGE, "-", "asked for"),
        (course.serving, BLUE, "-", "serving"),
        (course.hindsight, INK, "--", "by hindsight"),
    ):
        times = [*(at / unit_s for at, _ in sizes), course.end_s / unit_s]
        counts = [*(size for _, size in sizes), sizes[-1][1]]
        axes.step(
            times, counts, where="post", color=colour, linewidth=1.3, linestyle=style, label=words
        )
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    dress(axes, ylabel="replicas", grid="y")
    _legend(axes)


def _draw_latency(axes: Axes, course: ServerCourse, unit_s: float) -> None:
    for (name, points), colour in zip(course.latencies.items(), (BLUE, VERMILION), strict=True):
        axes.plot(
            [at / unit_s for at, _ in points],
            [value for _, value in points],
            color=colour,
            linewidth=1.2,
            label=f"{name} p95",
        )
    axes.axhline(1.0, color=INK, linewidth=0.9, linestyle="--")
    axes.set_ylim(bottom=0, top=max(1.3, axes.get_ylim()[1]))
    dress(axes, ylabel="over its target", grid="y")
    _legend(axes)


def _draw_decisions(axes: Axes, course: ServerCourse, unit_s: float) -> None:
    names = sorted({what for _, what in course.decisions}, key=_rank)
    colours = {"up": VERMILION, "down": BLUE, "move": ORANGE}
    for row, name in enumerate(names):
        times = [at / unit_s for at, what in course.decisions if what == name]
        axes.scatter(times, [row] * len(times), s=14, color=colours.get(name, RULE), zorder=3)
    axes.set_yticks(range(len(names)), [_words(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_facecolor(PALE)
    dress(axes, grid="x")


def _changes(record: Mapping[str, Any], server: str) -> list[Mapping[str, Any]]:
    return [each for each in record["changes"] if each["workload"].endswith(f"/{server}")]


def _legend(axes: Axes) -> None:
    """Say what the lines are, above the axes: load comes in any shape."""
    axes.legend(
        fontsize=SMALL,
        frameon=False,
        loc="lower left",
        bbox_to_anchor=(0.0, 0.98),
        borderaxespad=0.0,
        ncols=3,
        columnspacing=1.2,
        handlelength=1.4,
        handletextpad=0.5,
    )


def _rank(name: str) -> tuple[int, str]:
    order = ("up", "down", "move", _NOT_DONE)
    return (order.index(name) if name in order else len(order)), name


def _words(name: str) -> str:
    shown = name.replace("_", " ")
    return shown if name in ("up", "down", "move", _NOT_DONE) else f"held: {shown}"


def _binned(points: Sequence[tuple[float, float]], end_s: float) -> list[tuple[float, float]]:
    """Return the 95th percentile in bins of time, where there are enough values."""
    width = end_s / _BINS
    bins: dict[int, list[float]] = {}
    for at_s, value in points:
        if not math.isnan(value):
            bins.setdefault(int(at_s / width), []).append(value)
    return [
        ((place + 0.5) * width, sorted(values)[math.ceil(_SHARE * len(values)) - 1])
        for place, values in sorted(bins.items())
        if len(values) >= _FEWEST_IN_BIN
    ]
