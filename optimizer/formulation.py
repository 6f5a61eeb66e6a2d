"""From a candidate table to a mixed-integer model, as plain arrays.

Two models share one shape. `single_model`: one binary per candidate (its replica count is
precomputed, which the solvers take far better than integer replicas beside a binary choice).
`mixed_model`: integer replicas of each accelerator, so that a server may mix them.

In both, some columns mark a server as served; the stages of `optimizer.milp` count those, fix the
counts as rows, and minimize value, then cards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optimizer.linear_model import FEASIBILITY_TOLERANCE, LinearModel
from optimizer.table import EMPTY, BoolArray, CandidateTable, FloatArray, IntArray

NO_ROW = -1
NO_SERVER = -1


@dataclass(frozen=True, slots=True)
class Formulation:
    """A model without objective, and what its columns mean; arrays of shape (columns,).

    Attributes:
        table_row: Row of the candidate table that a column stands for, or `NO_ROW`.
        server: Server of the column.
        serves: Server that the column marks as served when 1, or `NO_SERVER`.
        value: Contribution of one unit of the column to the value of the plan.
        cards: Cards that one unit of the column takes.
        upper: Upper bound; the lower bound is 0 and all columns are integer.
        entry_row: Row of each coefficient, shape (entries,).
        entry_column: Column of each coefficient, shape (entries,).
        entry_value: Value of each coefficient, shape (entries,).
        row_lower: Lower bounds of rows, shape (rows,).
        row_upper: Upper bounds of rows, shape (rows,).
        serve_row: Rows that say "served at most once", one a server that can be served.
    """

    table_row: IntArray
    server: IntArray
    serves: IntArray
    value: FloatArray
    cards: IntArray
    upper: FloatArray
    entry_row: IntArray
    entry_column: IntArray
    entry_value: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray
    serve_row: IntArray

    def serving_all(self) -> Formulation:
        """Return the model in which every server that can be served must be.

        Said row by row: one row over all servers would say the same, and slows the solvers a lot.
        """
        lower = self.row_lower.copy()
        lower[self.serve_row] = 1.0
        return replace(self, row_lower=lower)

    def served_columns(self, servers: BoolArray) -> IntArray:
        """Return the columns that mark any of the masked servers as served."""
        marks = self.serves >= 0
        return np.flatnonzero(marks & servers[np.where(marks, self.serves, 0)])

    def model(self, cost: FloatArray, rows: tuple[ExtraRow, ...] = ()) -> LinearModel:
        """Return the model that minimizes ``cost @ columns`` with further rows."""
        base = self.row_lower.size
        return LinearModel(
            cost=cost,
            lower=np.zeros(self.upper.size),
            upper=self.upper,
            integer=np.ones(self.upper.size, dtype=np.bool_),
            entry_row=np.concatenate(
                [
                    self.entry_row,
                    *(np.full(row.columns.size, base + k) for k, row in enumerate(rows)),
                ]
            ).astype(np.int64),
            entry_column=np.concatenate([self.entry_column, *(row.columns for row in rows)]),
            entry_value=np.concatenate([self.entry_value, *(row.values for row in rows)]),
            row_lower=np.concatenate([self.row_lower, [row.lower for row in rows]]),
            row_upper=np.concatenate([self.row_upper, [row.upper for row in rows]]),
        )


@dataclass(frozen=True, slots=True)
class ExtraRow:
    """A further constraint: ``lower <= values @ x[columns] <= upper``."""

    columns: IntArray
    values: FloatArray
    lower: float
    upper: float


def single_model(table: CandidateTable, capacity: IntArray) -> Formulation:
    """Return the model with one accelerator configuration per server.

    Args:
        table: Candidates.
        capacity: Cards available by type, shape (types,).
    """
    rows = undominated_rows(table, fitting_rows(table, capacity))
    server = table.server[rows]
    chosen, position = np.unique(server, return_inverse=True)
    card_type = table.card_type[rows]
    uses = np.flatnonzero((card_type >= 0) & (table.cards[rows] > 0))
    columns = np.arange(rows.size)
    return Formulation(
        table_row=rows,
        server=server,
        serves=server,
        value=table.value[rows],
        cards=table.cards[rows],
        upper=np.ones(rows.size),
        entry_row=np.concatenate([position, chosen.size + card_type[uses]]).astype(np.int64),
        entry_column=np.concatenate([columns, columns[uses]]).astype(np.int64),
        entry_value=np.concatenate([np.ones(rows.size), table.cards[rows][uses]]).astype(float),
        row_lower=np.full(chosen.size + capacity.size, -np.inf),
        row_upper=np.concatenate([np.ones(chosen.size), capacity]).astype(float),
        serve_row=np.arange(chosen.size),
    )


def fitting_rows(table: CandidateTable, capacity: IntArray) -> IntArray:
    """Return the accepted rows whose full allocation fits the fleet when it is alone."""
    return np.flatnonzero(table.accepted & (table.cards <= _capacity_of(table, capacity)))


def undominated_rows(table: CandidateTable, rows: IntArray) -> IntArray:
    """Return the rows that no other row of the same server and card type beats.

    A row with as many cards or more and as much value or more can be exchanged for the other in
    any plan without making it worse, so dropping it never changes the optimum. Of equal rows the
    first in table order stays.
    """
    order = rows[
        np.lexsort(
            (
                rows,
                table.value[rows],
                table.cards[rows],
                table.card_type[rows],
                table.server[rows],
            )
        )
    ]
    keep = np.zeros(order.size, dtype=np.bool_)
    group = (-1, -2)
    least = np.inf
    servers, types = table.server[order].tolist(), table.card_type[order].tolist()
    for k, value in enumerate(table.value[order].tolist()):
        if (servers[k], types[k]) != group:
            group, least = (servers[k], types[k]), np.inf
        if value < least:
            keep[k], least = True, value
    return np.sort(order[keep])


def mixed_model(table: CandidateTable, capacity: IntArray) -> Formulation:
    """Return the model in which a server may mix accelerator configurations.

    A server is served when the largest rates of its replicas add up to its total rate, with its
    minimum of replicas and no more than its maximum. The transition penalty counts each part on
    an accelerator other than the current one, and what is torn down if none stays on it.

    Args:
        table: Candidates; a row's full replica count bounds its part of a mix.
        capacity: Cards available by type, shape (types,).
    """
    accepted = np.flatnonzero(table.accepted)
    room = _capacity_of(table, capacity)
    parts = accepted[
        (table.accelerator[accepted] != EMPTY)
        & (table.cards_per_replica[accepted] <= room[accepted])
        & (table.replicas[accepted] > 0)
    ]
    empties = accepted[table.accelerator[accepted] == EMPTY]
    served = np.unique(np.concatenate([table.server[parts], table.server[empties]]))
    builder = _MixedBuilder(table, capacity, parts, served, empties)
    return builder.build(room)


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
        server = table.server[self.parts]
        now = transitions.accelerator[server]
        stays = (now != EMPTY) & (now == table.accelerator[self.parts])
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
        # Twice the solver's tolerance is kept off, so that no load is left over; but a part that
        # carries the whole load alone counts as whole, whatever the rounding.
        share = table.max_rate_rps[self.parts] / total[server] * (1.0 - 2 * FEASIBILITY_TOLERANCE)
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


def _capacity_of(table: CandidateTable, capacity: IntArray) -> IntArray:
    """Return the cards of each row's type; unbounded for an empty allocation."""
    unbounded = np.iinfo(np.int64).max
    typed = table.card_type >= 0
    if capacity.size == 0:
        return np.where(typed, 0, unbounded)
    return np.where(typed, capacity[np.where(typed, table.card_type, 0)], unbounded)
