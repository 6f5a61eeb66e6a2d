"""From a candidate table to a mixed-integer model, as plain arrays.

Two models share one shape. `single_model`: one binary per candidate (its replica count is
precomputed, which the solvers take far better than integer replicas beside a binary choice).
`optimizer.mixed_formulation`: integer replicas of each accelerator, so that a server may mix them.

In both, some columns mark a server as served; the stages of `optimizer.milp` count those, fix the
counts as rows, and minimize value, then cards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optimizer.configurations.cut_cards import alike, amounts
from optimizer.linear_model import LinearModel
from optimizer.table import BoolArray, CandidateTable, FloatArray, IntArray

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
        cut_type: Card type of columns that stand for cards cut into slices, -1 for others,
            shape (columns,); None where there are none.
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
    cut_type: IntArray | None = None

    def serving_all(self) -> Formulation:
        """Return the model in which every server that can be served must be.

        Said row by row: one row over all servers would say the same, and slows the solvers a lot.
        """
        lower = self.row_lower.copy()
        lower[self.serve_row] = 1.0
        return replace(self, row_lower=lower)

    def serving(self, servers: BoolArray) -> Formulation:
        """Return the model in which every masked server that can be served must be."""
        rows = self.served_rows(servers)
        lower = self.row_lower.copy()
        lower[rows] = 1.0
        return replace(self, row_lower=lower)

    def served_rows(self, servers: BoolArray) -> IntArray:
        """Return the rows that let the masked servers be served at most once."""
        marks = np.zeros(self.upper.size, dtype=np.bool_)
        marks[self.served_columns(servers)] = True
        own = np.zeros(self.row_lower.size, dtype=np.bool_)
        own[self.serve_row] = True
        entries = marks[self.entry_column] & own[self.entry_row]
        return np.unique(self.entry_row[entries])

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


def single_model(
    table: CandidateTable, capacity: IntArray, like: IntArray | None = None
) -> Formulation:
    """Return the model with one accelerator configuration per server.

    Args:
        table: Candidates.
        capacity: Cards available by type, shape (types,).
        like: Rows of different numbers are never exchanged for one another, shape (rows,); None
            where cards of a type are all that counts.
    """
    rows = undominated_rows(table, fitting_rows(table, capacity), alike(table, like))
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
    return np.flatnonzero(table.accepted & (table.cards <= cards_available(table, capacity)))


def undominated_rows(
    table: CandidateTable, rows: IntArray, like: IntArray | None = None
) -> IntArray:
    """Return the rows that no other row of the same server and card type beats.

    A row with as many cards (or slices) or more and as much value or more can be exchanged for the
    other in any plan without making it worse, so dropping it never changes the optimum. Of equal
    rows the first in table order stays. Rows that are not `like` one another are not compared.
    """
    kind = np.zeros(len(table.server), dtype=np.int64) if like is None else like
    amount = amounts(table)
    order = rows[
        np.lexsort(
            (
                rows,
                table.value[rows],
                amount[rows],
                kind[rows],
                table.card_type[rows],
                table.server[rows],
            )
        )
    ]
    keep = np.zeros(order.size, dtype=np.bool_)
    group = (-1, -2, 0)
    least = np.inf
    servers, types = table.server[order].tolist(), table.card_type[order].tolist()
    kinds = kind[order].tolist()
    for k, value in enumerate(table.value[order].tolist()):
        if (servers[k], types[k], kinds[k]) != group:
            group, least = (servers[k], types[k], kinds[k]), np.inf
        if value < least:
            keep[k], least = True, value
    return np.sort(order[keep])


def cards_available(table: CandidateTable, capacity: IntArray) -> IntArray:
    """Return the cards of each row's type; unbounded for an empty allocation."""
    unbounded = np.iinfo(np.int64).max
    typed = table.card_type >= 0
    if capacity.size == 0:
        return np.where(typed, 0, unbounded)
    return np.where(typed, capacity[np.where(typed, table.card_type, 0)], unbounded)
