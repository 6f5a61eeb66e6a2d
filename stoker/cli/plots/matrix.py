"""The allocation matrix: what each class gets for each model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from stoker.cli.figures import count_of, money
from stoker.cli.plots.matrix_cells import Cell, CellState, matrix_cells
from stoker.cli.plots.style import INK, RULE, SMALL, blank_figure, dress, label, message_figure
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan

MOST_MODELS = 60
MOST_CLASSES = 12

_LINE_INCHES = 0.16
_PADDING_LINES = 0.9
_CELL_INCHES = 1.95
_HATCHES = {CellState.IDLE: "..", CellState.BEST_EFFORT: "///", CellState.UNPLACED: "xxx"}
_COSTS = LinearSegmentedColormap.from_list("costs", ["#FFFFFF", "#7FB8DA"])
"""White to a blue on which black text can be read."""


def matrix_figure(fleet: Fleet, plan: Plan) -> Figure:
    """Return a table of models by classes with accelerator, replicas and cost in each cell.

    Darker cells cost more; hatched ones are not served in full. Servers of one class and model
    share a cell. At most `MOST_MODELS` models and `MOST_CLASSES` classes are shown, the first of
    the fleet, and the title says so.
    """
    if not fleet.servers:
        return message_figure("Allocations", "The fleet has no servers.")
    cells = matrix_cells(fleet, plan)
    all_models = list(dict.fromkeys(server.model for server in fleet.servers))
    all_classes = _classes(fleet)
    models, classes = all_models[:MOST_MODELS], all_classes[:MOST_CLASSES]
    cut = (len(models), len(classes)) != (len(all_models), len(all_classes))
    edges = _row_edges(models, classes, cells)
    height = 1.9 + _LINE_INCHES * edges[-1]
    width = max(6.5, 2.0 + _CELL_INCHES * len(classes))
    figure = blank_figure(width, height, _title(fleet, plan, cut=cut))
    axes = figure.subplots()
    dress(axes)
    highest = max(cell.cost_per_hour for cell in cells.values())
    costs = Normalize(0.0, highest or 1.0)
    for column, name in enumerate(classes):
        for row, model in enumerate(models):
            if (name, model) in cells:
                _draw_cell(axes, column, edges[row : row + 2], cells[name, model], costs)
    _name_axes(axes, fleet, plan, models, classes, edges)
    if highest:
        bar = figure.colorbar(
            ScalarMappable(costs, _COSTS),
            ax=axes,
            location="bottom",
            shrink=0.5,
            aspect=40,
            pad=0.1 / height,
        )
        bar.set_label(f"cost of the cell [{label(plan.currency)}/h]", fontsize=SMALL, color=INK)
        bar.ax.tick_params(labelsize=SMALL, color=RULE)
    _explain(figure, {cell.state for cell in cells.values()})
    return figure


def _classes(fleet: Fleet) -> list[str]:
    """Return the classes that have servers, highest priority first."""
    present = list(dict.fromkeys(server.service_class for server in fleet.servers))
    priority = {item.name: item.priority for item in fleet.service_classes}
    return sorted(present, key=lambda name: priority.get(name, 100))


def _row_edges(
    models: Sequence[str], classes: Sequence[str], cells: Mapping[tuple[str, str], Cell]
) -> list[float]:
    """Return the edges of the rows, in lines of text from the top."""
    lines = (
        max(
            (len(cells[name, model].lines) for name in classes if (name, model) in cells), default=1
        )
        for model in models
    )
    return list(accumulate((count + _PADDING_LINES for count in lines), initial=0.0))


def _draw_cell(
    axes: Axes, column: int, edges: Sequence[float], cell: Cell, costs: Normalize
) -> None:
    top, bottom = edges
    axes.add_patch(
        Rectangle(
            (column + 0.01, top + 0.06),
            0.98,
            bottom - top - 0.12,
            facecolor=_COSTS(costs(cell.cost_per_hour)),
            edgecolor=RULE,
            hatch=_HATCHES.get(cell.state, ""),
            linewidth=0.6,
        )
    )
    axes.text(
        column + 0.5,
        (top + bottom) / 2,
        "\n".join(cell.lines),
        ha="center",
        va="center",
        fontsize=SMALL,
        color=INK,
        linespacing=1.25,
        bbox=_text_box(cell),
    )


def _text_box(cell: Cell) -> dict[str, object] | None:
    """Return a white ground for the text of a hatched cell, else nothing."""
    if cell.state not in _HATCHES:
        return None
    return {"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.9}


def _name_axes(
    axes: Axes,
    fleet: Fleet,
    plan: Plan,
    models: Sequence[str],
    classes: Sequence[str],
    edges: Sequence[float],
) -> None:
    priority = {item.name: item.priority for item in fleet.service_classes}
    served = {item.server for item in plan.allocations if item.fully_served}
    heads = []
    for name in classes:
        members = [server.name for server in fleet.servers if server.service_class == name]
        count = sum(member in served for member in members)
        rank = f"priority {priority[name]}" if name in priority else "priority unknown"
        heads.append(f"{label(name, 24)}\n{rank}: {count} of {len(members)} served")
    axes.set_xlim(0.0, len(classes))
    axes.set_ylim(edges[-1], 0.0)
    axes.xaxis.tick_top()
    axes.set_xticks([column + 0.5 for column in range(len(classes))], heads)
    middles = [(top + bottom) / 2 for top, bottom in pairwise(edges)]
    axes.set_yticks(middles, [label(model, 26) for model in models])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _title(fleet: Fleet, plan: Plan, *, cut: bool) -> str:
    served = sum(item.fully_served for item in plan.allocations)
    title = f"{served} of {count_of(len(fleet.servers), 'server')} served in full"
    if fleet.name:
        title = f"{label(fleet.name)}: {title}"
    title += f", {money(plan.cost_per_hour)} {label(plan.currency)} per hour"
    if cut:
        title += f"\n(the first {MOST_MODELS} models and {MOST_CLASSES} classes)"
    return title


def _explain(figure: Figure, states: set[CellState]) -> None:
    shown = [state for state in CellState if state in states and state in _HATCHES]
    if shown:
        handles = [
            Patch(facecolor="white", edgecolor=RULE, hatch=_HATCHES[state], label=state.value)
            for state in shown
        ]
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=len(handles),
            fontsize=SMALL,
            frameon=False,
        )
