"""How often a replica holds 0, 1, 2, ... requests."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from queueing.arrays import FloatArray
from queueing.replica import state_distribution
from stoker.cli.figures import small_share
from stoker.cli.plots.replica import PlannedReplica
from stoker.cli.plots.style import (
    BLUE,
    HATCH,
    INK,
    ORANGE,
    SMALL,
    blank_figure,
    dress,
    label,
    message_figure,
    number,
)

MOST_STATES = 1_000_000
"""Largest number of states that is computed for a picture."""

_FAINT = 1e-3
"""States beyond the last one of this share of the likeliest are left out of the picture."""


def states_figure(replica: PlannedReplica) -> Figure:
    """Return the distribution of requests in the system, in service and waiting told apart.

    States are 0 up to the batch limit plus the queue limit; the far end where next to nothing
    happens is left out, and the axis label says so.
    """
    where = f"{label(replica.server)} on {label(replica.accelerator)}"
    if replica.max_batch + replica.max_queue > MOST_STATES:
        return message_figure(where, f"More than {MOST_STATES:,} states: not drawn.")
    shares = state_distribution(replica.case, 0, replica.arrival_rate_rps)
    if np.isnan(shares).any():
        return message_figure(where, "The distribution is unknown: the case cannot be analysed.")
    limit = replica.max_batch
    states = np.arange(len(shares))
    busy = float(np.minimum(states, limit) @ shares)
    waits = float(shares[limit:].sum())
    title = (
        f"{where}: {number(busy)} of {limit} slots busy on average;\n"
        f"an arrival finds them all taken {small_share(waits)} of the time"
    )
    figure = blank_figure(7.5, 3.8, title)
    axes = figure.subplots()
    last = _last_shown(shares)
    _draw(axes, shares[: last + 1], limit)
    _mark(axes, replica, last)
    left_out = float(shares[last + 1 :].sum())
    beyond = f" (beyond {last:,}: {small_share(left_out)})" if last + 1 < len(shares) else ""
    dress(axes, xlabel=f"requests in the replica{beyond}", ylabel="share of time", grid="y")
    axes.legend(loc="upper right", fontsize=SMALL, frameon=False)
    return figure


def _last_shown(shares: FloatArray) -> int:
    likely = np.flatnonzero(shares >= _FAINT * shares.max())
    return int(likely[-1])


def _draw(axes: Axes, shares: FloatArray, limit: int) -> None:
    """Draw a step for each state: in service up to the batch limit, waiting beyond it."""
    edges = np.arange(len(shares) + 1) - 0.5
    inside = min(limit + 1, len(shares))
    axes.stairs(
        shares[:inside],
        edges[: inside + 1],
        fill=True,
        facecolor=BLUE,
        edgecolor=INK,
        linewidth=0.4,
        label="all in service",
    )
    if inside < len(shares):
        axes.stairs(
            shares[inside:],
            edges[inside:],
            fill=True,
            facecolor=ORANGE,
            edgecolor=INK,
            hatch=HATCH,
            linewidth=0.4,
            label="some waiting",
        )
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0.0, float(shares.max()) * 1.22)


def _mark(axes: Axes, replica: PlannedReplica, last: int) -> None:
    if replica.max_batch <= last:
        axes.axvline(
            replica.max_batch + 0.5,
            color=INK,
            linestyle="--",
            linewidth=1.0,
            label=f"batch limit {replica.max_batch}",
        )
