"""A plan at once: servers in turn, each with the first of its columns that there is room for."""

from __future__ import annotations

import numpy as np

from optimizer.linear_model import LinearModel
from optimizer.table import BoolArray, FloatArray, IntArray

_WHOLE = 1e-6
_ROOM = 1e-9


def planned_in_turn(
    model: LinearModel, server: IntArray, whole: BoolArray, share: FloatArray
) -> tuple[FloatArray, float] | None:
    """Return a plan and its cost; None where rows ask for more than was found in turn.

    What a relaxation takes whole comes first, then servers by what their best column is worth; of
    a server's columns those with a share in the relaxation, then the cheapest.

    Args:
        model: What is minimized; all columns of servers are choices of 0 or 1.
        server: Server of each column; -1 for none.
        whole: Columns that hold a server's replicas by themselves.
        share: Values of columns in a relaxation; zeros if there is none.
    """
    wanted = np.flatnonzero((server >= 0) & whole & ((model.cost < 0) | (share > _WHOLE)))
    best = np.zeros(int(server.max(initial=-1)) + 1)
    np.minimum.at(best, server[wanted], model.cost[wanted])
    own = share[wanted]
    settled = np.where(own > 1 - _WHOLE, 0, 1)
    order = wanted[np.lexsort((model.cost[wanted], -own, best[server[wanted]], settled))]
    by_column = np.argsort(model.entry_column, kind="stable")
    entry_row, entry_value = model.entry_row[by_column], model.entry_value[by_column]
    start = np.searchsorted(model.entry_column[by_column], np.arange(model.cost.size + 1)).tolist()
    room = model.row_upper + _ROOM * np.maximum(1.0, np.abs(model.row_upper))
    done = np.zeros(best.size, dtype=np.bool_)
    x = np.zeros(model.cost.size)
    for column in order.tolist():
        owner = server[column]
        if done[owner]:
            continue
        span = slice(start[column], start[column + 1])
        rows, values = entry_row[span], entry_value[span]
        if np.all((values <= 0) | (values <= room[rows])):
            room[rows] -= values
            x[column] = 1.0
            done[owner] = True
    used = np.bincount(
        model.entry_row,
        weights=model.entry_value * x[model.entry_column],
        minlength=model.row_lower.size,
    )
    slack = _ROOM * np.maximum(1.0, np.abs(used))
    if np.any(used < model.row_lower - slack) or np.any(used > model.row_upper + slack):
        return None
    return x, float(model.cost @ x)
