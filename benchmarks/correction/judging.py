"""How good a network is on examples that it has not seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from rich.table import Table as RichTable

from benchmarks.correction.table import FIGURES, Table
from queueing.engine.correction import LEAST_MARGIN
from queueing.engine.network import Network
from queueing.engine.traits import LOAD

Array = npt.NDArray[np.float64]

HIGHEST_LOAD = 0.8


def judged(name: str, after: Array, examples: Table, wide: npt.NDArray[np.bool_]) -> RichTable:
    """Return errors at the median / 90th percentile, before and after, up to a load of 0.8.

    Args:
        name: of the latency.
        after: logs of corrections by networks that have not seen the examples, array
            (examples, figures).
        examples: the examples.
        wide: which of them are of the wider range.
    """
    load = examples.traits[:, LOAD]
    table = RichTable(title=f"{name}: {len(load)} examples unseen", title_justify="left")
    for column in ("figure", "as the grid", "corrected", "wider", "corrected"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for index, figure in enumerate(FIGURES):
        missed = examples.missed[:, index]
        cells = []
        for family in (~wide, wide):
            rows = family & (load <= HIGHEST_LOAD) & np.isfinite(missed)
            cells += [
                _errors(np.expm1(-missed[rows])),
                _errors(np.expm1(after[rows, index] - missed[rows])),
            ]
        table.add_row(figure, *cells)
    return table


def judged_margins(name: str, network: Network, examples: Table) -> RichTable:
    """Return how many sized rates are too high after margins, and how large margins are.

    Args:
        name: of the latency.
        network: that of its margins.
        examples: what it has not seen; they count by their weights.
    """
    wanted, _ = network(examples.traits.T)
    table = RichTable(title=f"rates sized to {name}, held back", title_justify="left")
    for column in ("figure", "too high before", "after", "margin, median", "90th percentile"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for index, figure in enumerate(FIGURES):
        known = np.isfinite(examples.missed[:, index])
        error, weight = examples.missed[known, index], examples.weight[known, index]
        margin = np.maximum(wanted[index, known], LEAST_MARGIN)
        table.add_row(
            figure,
            f"{np.average(error > 0.0, weights=weight):.1%}",
            f"{np.average(error > margin, weights=weight):.1%}",
            f"{-np.expm1(-np.median(margin)):.1%}",
            f"{-np.expm1(-np.quantile(margin, 0.9)):.1%}",
        )
    return table


def _errors(errors: Array) -> str:
    size = np.abs(errors)
    if not len(size):
        return ""
    return f"{np.median(size):.1%} / {np.quantile(size, 0.9):.1%}"
