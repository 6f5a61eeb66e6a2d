"""Plans on nodes, drawn side by side: who stands where, and what is carried when nodes are lost."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from demos.on_nodes import Placed, carried_without, losses_of, worst_of
from stoker.cli.figures import count_of, money
from stoker.cli.plots.style import (
    BLUE,
    HATCH,
    INK,
    ORANGE,
    PALE,
    RULE,
    SKY,
    SMALL,
    VERMILION,
    blank_figure,
    dress,
    name_rows,
)
from stoker.domain.fleet import Fleet


def placement_figure(fleet: Fleet, ways: Mapping[str, Placed], currency: str) -> Figure:
    """Return a column for each plan: its replicas on the nodes, and what is carried after losses.

    Args:
        fleet: The fleet, whose nodes are drawn in their order.
        ways: Plans on these nodes, by name, of the same servers.
        currency: Currency of their costs.
    """
    servers = [item.server for item in next(iter(ways.values())).plan.allocations]
    fills = dict(zip(servers, (BLUE, ORANGE, SKY), strict=False))
    figure = blank_figure(10.0, 5.6, "A plan by card counts, and one that fits its nodes")
    grid = figure.add_gridspec(2, len(ways), height_ratios=(2.2, 1.0))
    first = None
    for column, (name, placed) in enumerate(ways.items()):
        axes = figure.add_subplot(grid[0, column], sharey=first)
        first = first or axes
        unfit = sum(item.replicas for item in placed.placement.unfit)
        told = f"{count_of(unfit, 'replica')} without a place" if unfit else "all have a place"
        axes.set_title(
            f"{name}\n{money(placed.plan.cost_per_hour)} {currency}/h, {told}",
            fontsize=9,
            color=VERMILION if unfit else INK,
        )
        for row, node in enumerate(fleet.nodes):
            start = 0
            pieces = [("white", HATCH, 1)] * node.taken
            for replica in placed.placement.placed:
                if replica.node == node.name:
                    pieces.append((fills[replica.server], "", replica.cards))
            pieces += [(PALE, "", 1)] * (node.cards - sum(cards for *_, cards in pieces))
            for fill, hatch, cards in pieces:
                edge = RULE if fill == PALE else INK
                axes.barh(
                    row, cards, 0.74, left=start, color=fill, hatch=hatch, edgecolor=edge, lw=0.8
                )
                start += cards
        dress(axes, xlabel="cards of a node")
        if column:
            axes.tick_params(labelleft=False)
        else:
            name_rows(axes, [node.name for node in fleet.nodes])
        below = figure.add_subplot(grid[1, column])
        _draw_losses(below, fleet, placed, fills, first=column == 0)
    keys = [Patch(facecolor="white", hatch=HATCH, edgecolor=INK, label="taken before")]
    keys += [Patch(facecolor=fill, edgecolor=INK, label=name) for name, fill in fills.items()]
    keys.append(Patch(facecolor=PALE, edgecolor=RULE, label="free"))
    figure.legend(handles=keys, loc="outside lower center", ncols=4, fontsize=SMALL, frameon=False)
    return figure


def _draw_losses(
    axes: Axes, fleet: Fleet, placed: Placed, fills: Mapping[str, str], *, first: bool
) -> None:
    """Draw the share of each server's load that is carried with all nodes, and after a loss."""
    cases = {
        "all nodes": carried_without(placed),
        "worst node lost": worst_of(losses_of(fleet, placed)),
        "worst zone lost": worst_of(losses_of(fleet, placed, zones=True)),
    }
    width = 0.8 / len(fills)
    for place, server in enumerate(fills):
        for at, shares in enumerate(cases.values()):
            x = at + (place - (len(fills) - 1) / 2) * width
            axes.bar(x, 100 * shares[server], 0.94 * width, color=fills[server], edgecolor=INK)
            axes.text(
                x, 100 * shares[server] + 2, f"{shares[server]:.0%}", ha="center", fontsize=SMALL
            )
    dress(axes, ylabel="load carried, %" if first else "", grid="y")
    axes.set_xticks(range(len(cases)), list(cases))
    axes.set_ylim(0, 118)
    axes.set_yticks((0, 50, 100))
