"""Rows that another row of the same server makes needless.

Rows are compared on one accelerator alone: what a server would take on another one is asked for in
explanations, and between card types nothing is as good as anything else. A row goes where another
is at least as good in everything that a constraint or an objective can see. Of rows that are equal
in all of that the first in table order stays, so that what is left is a choice of the same worth:
neither the served vector nor the value of the best plan changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.table import EMPTY, BoolArray, CandidateTable, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Visible:
    """What constraints and objectives can see of a row beside cards, price and what it carries.

    Attributes:
        replicas: Their number, and whether they are what runs now: bounds, zones, survival,
            fairness, changes.
        power: Electrical power, which rises with utilization.
        slack: How much of the targets is used, which no row tells in full: nothing is pruned.
        batch_now: Batch limit that runs for each server, as another one is a change, (servers,), 0
            where that is not told; None where no limit is seen.
    """

    replicas: bool = False
    power: bool = False
    slack: bool = False
    batch_now: IntArray | None = None


CARDS_AND_PRICE = Visible()
"""What is seen where card types with a count are all that bounds a plan, and cost its one aim."""

EVERYTHING_TOLD = Visible(replicas=True, power=True)
"""What is seen where anything else may matter, but for the slack of targets."""


def pruned(table: CandidateTable, visible: Visible = CARDS_AND_PRICE) -> CandidateTable:
    """Return a table without the rows that are needless; the same one where there are none."""
    needless = needless_rows(table, visible)
    if not np.any(needless):
        return table
    return table.take(np.flatnonzero(~needless))


def needless_rows(table: CandidateTable, visible: Visible = CARDS_AND_PRICE) -> BoolArray:
    """Mask the accepted rows that another one on the same accelerator is at least as good as.

    Rejected rows are never needless: their reasons are told.
    """
    needless = np.zeros(len(table.server), dtype=np.bool_)
    several = np.zeros(len(table.server), dtype=np.bool_)
    same = (table.server[1:] == table.server[:-1]) & (
        table.accelerator[1:] == table.accelerator[:-1]
    )
    several[1:] |= same
    several[:-1] |= same
    rows = np.flatnonzero(several & table.accepted & (table.accelerator != EMPTY))
    if visible.slack or not len(rows):
        return needless
    one, other = _pairs_within(table, rows)
    for figures in _figures(table, visible):
        as_good = figures[other] <= figures[one]
        one, other = one[as_good], other[as_good]
    equal = np.ones(len(one), dtype=np.bool_)
    for figures in _figures(table, visible):
        equal &= figures[other] == figures[one]
    needless[one[~equal | (other < one)]] = True
    return needless


def _figures(table: CandidateTable, visible: Visible) -> list[FloatArray]:
    """Return what is compared, by row: the less, the better."""
    found: list[IntArray | FloatArray] = [
        table.cards_per_replica,
        table.cards,
        table.unit_cost_per_hour,
        table.cost_per_hour,
        table.value,
        -table.max_rate_rps,  # what a replica of a mix, or of best effort, is good for
    ]
    if table.bundled is not None:
        found.append(table.bundled)  # slices that others could have
    if visible.replicas:
        # Fewer are no better where they must stand apart, and more are none where they are few;
        # another configuration is a change where changes are counted.
        for exact in (table.replicas, table.all_replicas, table.configured):
            found += [exact, -exact]
        apart = table.disaggregated.astype(np.int64)
        found += [apart, -apart]
    if visible.batch_now is not None:
        now = visible.batch_now[table.server]
        other = ((now > 0) & (table.max_batch != now)).astype(np.int64)
        found += [other, -other]
    if visible.power:
        found.append(table.utilization)
    return [np.asarray(values, dtype=np.float64) for values in found]


def _pairs_within(table: CandidateTable, rows: IntArray) -> tuple[IntArray, IntArray]:
    """Return all ordered pairs of different rows of the same server and accelerator."""
    group = table.server[rows] * len(table.accelerators) + table.accelerator[rows]
    first = np.flatnonzero(np.diff(group, prepend=-1))
    size = np.diff(first, append=len(rows))
    own_size = np.repeat(size, size)
    own_first = np.repeat(first, size)
    one = np.repeat(np.arange(len(rows)), own_size)
    start = np.repeat(np.cumsum(own_size) - own_size, own_size)
    other = own_first[one] + np.arange(len(one)) - start
    different = one != other
    return rows[one[different]], rows[other[different]]
