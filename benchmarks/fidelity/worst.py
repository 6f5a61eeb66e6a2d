"""The operating points where predictions are furthest off."""

from __future__ import annotations

import numpy as np

from benchmarks.fidelity.case import Replica
from benchmarks.fidelity.comparison import LIMITED, LOADED, Comparison
from benchmarks.fidelity.tables import Table, share

_HEADERS = (
    "parameters",
    "batch",
    "in (CV)",
    "out (CV)",
    "arrival CV",
    "budget",
    "KV tokens",
    "hits",
    "load",
    "figure",
    "error",
)


def worst_table(comparison: Comparison, points: int) -> Table:
    """Return the points with the largest errors, relative to their limits, of judged loads."""
    over = np.array(
        [
            np.nan_to_num(np.abs(comparison.signed(judged.figure)), nan=0.0, posinf=1e6)
            / (judged.high or 1.0)
            for judged in LIMITED
        ]
    )
    over[:, ~comparison.quiet()] = 0.0
    order = np.argsort(-over.max(axis=0), kind="stable")[:points]
    rows = []
    for index in order:
        item = comparison.measured[index]
        figure = int(np.argmax(over[:, index]))
        error = float(comparison.signed(LIMITED[figure].figure)[index])
        rows.append(
            [
                *_description(item.point.replica),
                f"{item.point.load:.2f}",
                LIMITED[figure].name,
                share(error),
            ]
        )
    return Table(
        f"The points with the largest errors up to load {LOADED:g}, each with its worst figure",
        _HEADERS,
        rows,
    )


def _description(replica: Replica) -> list[str]:
    return [
        replica.kind,
        str(replica.max_batch),
        f"{replica.input_tokens:g} ({replica.input_cv:.2g})",
        f"{replica.output_tokens:g} ({replica.output_cv:.2g})",
        f"{replica.arrival_cv:.2g}",
        f"{replica.token_budget:,}",
        "" if replica.kv_tokens is None else f"{replica.kv_tokens:,}",
        f"{replica.prefix_hit_rate:.2g}" if replica.prefix_hit_rate else "",
    ]
