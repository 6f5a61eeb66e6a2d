"""The mixed-integer model in which a server may mix accelerator configurations."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from optimizer.formulation import NO_ROW, NO_SERVER, Formulation, cards_available
from optimizer.linear_model import FEASIBILITY_TOLERANCE
from optimizer.table import EMPTY, BoolArray, CandidateTable, FloatArray, IntArray
from optimizer.transition import stays_put

MIX_MARGIN = 2 * FEASIBILITY_TOLERANCE
"""Share of the load that a mix must be able to carry beyond it: a solver keeps a row within its
tolerance, and a mix that carries just the load could not be told from one that carries less."""
_ROUNDING = 1e-12
"""So that a price of exactly k times another counts as k times."""


def mixed_model(
    table: CandidateTable, capacity: IntArray, like: IntArray | None = None
) -> Formulation:
    """Return the model in which a server may mix accelerator configurations.

    A server is served when the largest rates of its replicas add up to its total rate (those of
    several accelerators to `MIX_MARGIN` more), with its minimum of replicas and no more than its
    maximum. The transition penalty counts each part on
    an accelerator other than the current one, and what is torn down if none stays on it.

    Args:
        table: Candidates; a row's full replica count bounds its part of a mix.
        capacity: Cards available by type, shape (types,).
        like: Parts of different numbers never replace one another, shape (rows,); None where
            cards of a type are all that counts.
    """
    accepted = np.flatnonzero(table.accepted)
    room = cards_available(table, capacity)
    parts = accepted[
        (table.accelerator[accepted] != EMPTY)
        & (table.cards_per_replica[accepted] <= room[accepted])
        & (table.replicas[accepted] > 0)
    ]
    groups = [parts] if like is None else [parts[like[parts] == k] for k in np.unique(like[parts])]
    parts = np.sort(np.concatenate([parts[:0], *(useful_parts(table, own) for own in groups)]))
    empties = accepted[table.accelerator[accepted] == EMPTY]
    served = np.unique(np.concatenate([table.server[parts], table.server[empties]]))
    builder = _MixedBuilder(table, capacity, parts, served, empties)
    return builder.build(room)


def useful_parts(table: CandidateTable, parts: IntArray) -> IntArray:
    """Return the parts that some best mix may need.

    A replica that k replicas of another part of the same server and card type replace (no more
    cards, no more cost, no less rate) is needed in no best mix, unless it stays on the current
    accelerator or the server's maximum of replicas could stand in the way. A mix that wastes
    nothing has at most one replica more than its slowest part would need alone, and one more to
    stay on the current accelerator.
    """
    now = np.full(len(table.servers), EMPTY)
    if table.transitions is not None:
        now = table.transitions.accelerator
    keep = np.ones(parts.size, dtype=np.bool_)
    key = table.server[parts] * len(table.card_types) + table.card_type[parts]
    order = np.argsort(key, kind="stable")
    edges = np.flatnonzero(np.diff(key[order], prepend=-1, append=-1))
    for first, last in pairwise(edges.tolist()):
        group = order[first:last]
        rows = parts[group]
        if rows.size == 1:
            continue
        server = int(table.server[rows[0]])
        if table.max_replicas[rows].min() < table.replicas[rows].max() + 2:
            continue
        keep[group] = ~_replaceable(
            table.cards_per_replica[rows].astype(np.float64),
            table.unit_cost_per_hour[rows],
            table.max_rate_rps[rows],
        ) | (table.accelerator[rows] == now[server])
    return parts[keep]


def _replaceable(cards: FloatArray, cost: FloatArray, rate: FloatArray) -> BoolArray:
    """Return which parts k replicas of another one replace; of equal parts the first stays."""
    with np.errstate(divide="ignore", invalid="ignore"):
        by_cost = np.where(cost[None, :] > 0, cost[:, None] / cost[None, :], np.inf)
        times = np.floor(np.minimum(cards[:, None] / cards[None, :], by_cost) + _ROUNDING)
    better = (times >= 1) & (times * rate[None, :] >= rate[:, None])
    # Two parts that replace each other are alike: the earlier one stays.
    either = better & better.T
    index = np.arange(cards.size)
    better &= ~(either & (index[None, :] >= index[:, None]))
    np.fill_diagonal(better, False)
    return np.asarray(better.any(axis=1), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class _MixedBuilder:
    """Puts the pieces of the mixed model side by side: parts, served marks, kept accelerators."""

    table: CandidateTable
    capacity: IntArray
    parts: IntArray
    served: IntArray
    empties: IntArray

    def build(self, room: IntArray) -> Formulation:
        table, parts, served = self.table, self.parts, self.served
        server = table.server[parts]
        mark = np.searchsorted(served, server)
        stays, cost_now, penalty = self._transition()
        kept = parts[stays]
        count = parts.size + served.size + kept.size
        mark_column = parts.size + np.arange(served.size)
        kept_column = parts.size + served.size + np.arange(kept.size)
        unit = table.unit_cost_per_hour[parts]
        value = np.concatenate(
            [
                unit * np.where(stays, 1.0, 1.0 + penalty),
                (penalty - 1.0) * cost_now[served],
                -penalty * cost_now[table.server[kept]],
            ]
        )
        per_replica = table.cards_per_replica[parts]
        most = np.minimum(table.replicas[parts], room[parts] // np.maximum(per_replica, 1))
        rows = _Rows()
        part = np.arange(parts.size)
        serve_row = rows.add(np.full(served.size, -np.inf), np.ones(served.size))
        rows.put(serve_row, mark_column, np.ones(served.size))
        type_row = rows.add(np.full(self.capacity.size, -np.inf), self.capacity.astype(float))
        rows.put(type_row[table.card_type[parts]], part, per_replica.astype(float))
        self._coverage(rows, part, server, mark, mark_column)
        if kept.size:
            # "Keeps its accelerator" may only be claimed with at least one replica on it.
            keep_row = rows.add(np.zeros(kept.size), np.full(kept.size, np.inf))
            rows.put(keep_row, np.flatnonzero(stays), np.ones(kept.size))
            rows.put(keep_row, kept_column, -np.ones(kept.size))
            only_served = rows.add(np.zeros(kept.size), np.full(kept.size, np.inf))
            rows.put(only_served, mark_column[mark[stays]], np.ones(kept.size))
            rows.put(only_served, kept_column, -np.ones(kept.size))
        serves = np.full(count, NO_SERVER)
        serves[mark_column] = served
        entry_row, entry_column, entry_value, low, high = rows.arrays()
        return Formulation(
            table_row=np.concatenate([parts, np.full(served.size + kept.size, NO_ROW)]),
            server=np.concatenate([server, served, table.server[kept]]),
            serves=serves,
            value=value,
            cards=np.concatenate([per_replica, np.zeros(count - parts.size, dtype=np.int64)]),
            upper=np.concatenate([most, np.ones(count - parts.size)]).astype(float),
            entry_row=entry_row,
            entry_column=entry_column,
            entry_value=entry_value,
            row_lower=low,
            row_upper=high,
            serve_row=serve_row,
        )

    def _transition(self) -> tuple[BoolArray, FloatArray, float]:
        """Return which parts stay on the current accelerator, current costs, and the penalty."""
        table, transitions = self.table, self.table.transitions
        if transitions is None:
            nothing = np.zeros(len(table.servers))
            return np.zeros(self.parts.size, dtype=np.bool_), nothing, 0.0
        parts = self.parts
        stays = stays_put(
            transitions,
            table.server[parts],
            table.accelerator[parts],
            None if table.configuration is None else table.configuration[parts],
            np.zeros(parts.size, dtype=np.int64),
        )
        return stays, transitions.cost_per_hour, transitions.penalty

    def _coverage(
        self, rows: _Rows, part: IntArray, server: IntArray, mark: IntArray, marks: IntArray
    ) -> None:
        """Add the rows that tie a served mark to rate, minimum and maximum of replicas."""
        table = self.table
        size = self.served.size
        # An empty server is served by nothing; its rows must not ask for anything.
        loaded = ~np.isin(self.served, table.server[self.empties])
        total = np.where(table.total_rate_rps > 0, table.total_rate_rps, np.inf)
        needs_rate = loaded & np.isfinite(total[self.served])
        cover = rows.add(np.zeros(size), np.full(size, np.inf))
        # A part that carries the whole load alone counts as whole, whatever the rounding.
        share = table.max_rate_rps[self.parts] / total[server] * (1.0 - MIX_MARGIN)
        share = np.maximum(share, 1.0 / table.replicas[self.parts])
        rows.put(cover[mark], part, np.where(needs_rate[mark], share, 0.0))
        rows.put(cover, marks, np.where(needs_rate, -1.0, 0.0))
        least = np.zeros(len(table.servers), dtype=np.int64)
        np.maximum.at(least, server, table.min_replicas[self.parts])
        most = np.zeros(len(table.servers), dtype=np.int64)
        np.maximum.at(most, server, table.max_replicas[self.parts])
        floor = np.where(loaded, np.maximum(least[self.served], np.where(needs_rate, 0, 1)), 0)
        minimum = rows.add(np.zeros(size), np.full(size, np.inf))
        rows.put(minimum[mark], part, np.ones(part.size))
        rows.put(minimum, marks, -floor.astype(float))
        maximum = rows.add(np.full(size, -np.inf), most[self.served].astype(float))
        rows.put(maximum[mark], part, np.ones(part.size))


class _Rows:
    """Collects rows and coefficients; the only mutable thing here, and private to a call."""

    def __init__(self) -> None:
        self._row: list[IntArray] = []
        self._column: list[IntArray] = []
        self._value: list[FloatArray] = []
        self._lower: list[FloatArray] = []
        self._upper: list[FloatArray] = []
        self._count = 0

    def add(self, lower: FloatArray, upper: FloatArray) -> IntArray:
        """Add rows with these bounds and return their indices."""
        first, self._count = self._count, self._count + lower.size
        self._lower.append(lower)
        self._upper.append(upper)
        return np.arange(first, self._count)

    def put(self, row: IntArray, column: IntArray, value: FloatArray) -> None:
        """Add coefficients; zeros are dropped."""
        keep = value != 0
        self._row.append(row[keep])
        self._column.append(column[keep])
        self._value.append(value[keep])

    def arrays(self) -> tuple[IntArray, IntArray, FloatArray, FloatArray, FloatArray]:
        """Return entry rows, columns, values, and lower and upper bounds of the rows."""
        return (
            np.concatenate(self._row).astype(np.int64),
            np.concatenate(self._column).astype(np.int64),
            np.concatenate(self._value),
            np.concatenate(self._lower),
            np.concatenate(self._upper),
        )
