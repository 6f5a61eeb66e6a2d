"""How often a replica holds 0, 1, 2, ... requests, by the analysis of the engine."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from queueing.arrays import FloatArray
from queueing.engine.open import analyze_engine, in_service
from queueing.engine.saturation import saturation
from queueing.engine.states import full
from stoker.cli.figures import small_share
from stoker.cli.plots.engine_replica import EngineReplica
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
)

_FAINT = 1e-3
"""States beyond the last one of this share of the likeliest are left out of the picture."""


def engine_states_figure(replica: EngineReplica) -> Figure:
    """Return the distribution of the requests in service, the full state told apart.

    States are 0 up to the batch limit, or to what the KV memory holds; the far end where next to
    nothing happens is left out, and the axis label says so.
    """
    where = f"{label(replica.server)} on {label(replica.accelerator)}"
    if not replica.case.usable()[0]:
        return message_figure(where, "The distribution is unknown: the case cannot be analysed.")
    point = analyze_engine(replica.case, replica.arrival_rate_rps, ())
    if not point.stable[0]:
        return message_figure(where, "More arrives than the replica can carry.")
    shares = state_shares(replica)
    limit = len(shares) - 1
    taken = f"all {limit} slots are taken"
    if limit < replica.max_batch:
        taken = f"KV memory is full, at about {limit} requests,"
    title = f"{where}:\n{taken} {small_share(float(shares[-1]))} of the time"
    figure = blank_figure(7.5, 3.8, title)
    axes = figure.subplots()
    last = int(np.flatnonzero(shares >= _FAINT * shares.max())[-1])
    edges = np.arange(last + 2) - 0.5
    inside = min(limit, last + 1)
    axes.stairs(
        shares[:inside],
        edges[: inside + 1],
        fill=True,
        facecolor=BLUE,
        edgecolor=INK,
        linewidth=0.4,
        label="slots free: an arrival starts with the next iteration",
    )
    if last == limit:
        axes.stairs(
            shares[limit:],
            edges[limit:],
            fill=True,
            facecolor=ORANGE,
            edgecolor=INK,
            hatch=HATCH,
            linewidth=0.4,
            label="full: an arrival waits",
        )
    axes.set_xlim(-0.5, last + 0.5)
    axes.set_ylim(0.0, float(shares.max()) * 1.28)
    beyond = f" (beyond {last:,}: {small_share(float(shares[last + 1 :].sum()))})"
    dress(
        axes,
        xlabel=f"requests in service{beyond if last < limit else ''}",
        ylabel="share of time",
        grid="y",
    )
    axes.legend(loc="upper left", fontsize=SMALL, frameon=False)
    return figure


def state_shares(replica: EngineReplica) -> FloatArray:
    """Return the share of time with 0, 1, ... requests in service; the last is the full replica.

    Between the numbers that the analysis looks at, where the batch is large, shares are
    interpolated.
    """
    with np.errstate(all="ignore"):
        most = saturation(replica.case)
        limit = int(full(replica.case, most.memory.requests, most).limit[0])
    found = in_service(replica.case, replica.arrival_rate_rps)
    count, share = found.number[:, 0], found.probability[:, 0]
    known = share > 0.0
    filled = float(found.full[0])
    below = np.zeros(limit)
    if known.any():
        below = np.interp(np.arange(limit), count[known], share[known], left=0.0, right=0.0)
    total = float(below.sum())
    return np.append(below * ((1.0 - filled) / total if total > 0.0 else 0.0), filled)
