"""How good a network is on examples that it has not seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from rich.table import Table as RichTable

from benchmarks.correction.table import FIGURES, Table
from queueing.engine.correction import expected_logs
from queueing.engine.network import Network
from queueing.engine.traits import LOAD

HIGHEST_LOAD = 0.8


def judged(name: str, network: Network, examples: Table, wide: npt.NDArray[np.bool_]) -> RichTable:
    """Return errors at the median / 90th percentile, before and after, up to a load of 0.8.

    Args:
        name: of the latency.
        network: the network.
        examples: what it has not seen.
        wide: which of them are of the wider range.
    """
    logs, trust = network(examples.traits.T)
    number = len(FIGURES)
    after = expected_logs(logs[:number], trust).T
    high = logs[number:].T
    load = examples.traits[:, LOAD]
    table = RichTable(title=f"{name}: {len(load)} examples held back", title_justify="left")
    for column in ("figure", "as the grid", "corrected", "wider", "corrected", "above the high"):
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
        known = np.isfinite(missed)
        above = np.mean(missed[known] > high[known, index])
        table.add_row(figure, *cells, f"{above:.1%}")
    return table


def _errors(errors: npt.NDArray[np.float64]) -> str:
    size = np.abs(errors)
    if not len(size):
        return ""
    return f"{np.median(size):.1%} / {np.quantile(size, 0.9):.1%}"
