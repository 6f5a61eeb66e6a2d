"""The order in which servers and their candidates are tried: the greedy method's and best effort's.

Candidates of a server stand by value, ties by accelerator name. The *delta* of a candidate is the
value of the next one minus its own: what it would cost to be turned away now; infinite at the last.
Servers stand by priority, then largest delta, then largest value, then name.

Values and deltas are compared in steps of 1e-9 currency units, so that a tie in money is a tie
here and is decided by name, not by the last bit of a float.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.table import EMPTY, CandidateTable, FloatArray

_DECIMALS = 9
_LARGEST_ROUNDED = 1e9
"""Above it a float64 has no step as fine as the rounding."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Accepted rows of a table in the order in which they are tried.

    Plain lists, because the methods walk them one at a time. Candidate k of server s stands at
    ``start[s] + k``, for k up to ``start[s + 1]``.

    Attributes:
        start: First position of each server, one more entry than servers.
        row: Row of the table.
        value: Value, rounded.
        delta: Value of the server's next candidate minus this one's; infinite at the last.
        card_type: Index of the card type; -1 for an empty allocation.
        cards_per_replica: Cards that one replica takes.
        replicas: Replicas in full; 0 only for an empty allocation.
        priority: Priority by server.
        name_rank: Position of each server in the order of names.
    """

    start: list[int]
    row: list[int]
    value: list[float]
    delta: list[float]
    card_type: list[int]
    cards_per_replica: list[int]
    replicas: list[int]
    priority: list[int]
    name_rank: list[int]

    def of(self, server: int) -> range:
        """Return the positions of a server's candidates."""
        return range(self.start[server], self.start[server + 1])

    def key(self, server: int, position: int) -> tuple[int, float, float]:
        """Return the sort key of a server that stands at one of its candidates."""
        return self.priority[server], -self.delta[position], -self.value[position]

    def in_order(self, servers: list[int]) -> list[int]:
        """Return servers that have candidates, in the order of their first ones."""
        return sorted(
            (server for server in servers if self.start[server] < self.start[server + 1]),
            key=lambda server: (*self.key(server, self.start[server]), self.name_rank[server]),
        )


def ranks(names: tuple[str, ...]) -> list[int]:
    """Return the position of each name in their sorted order."""
    position = [0] * len(names)
    for rank, index in enumerate(sorted(range(len(names)), key=names.__getitem__)):
        position[index] = rank
    return position


def candidates_by_value(table: CandidateTable) -> Candidates:
    """Sort the accepted rows of a table into the order in which they are tried."""
    rows = np.flatnonzero(table.accepted)
    server = table.server[rows]
    accelerator = table.accelerator[rows]
    value = _rounded(table.value[rows])
    accelerator_rank = np.array([*ranks(table.accelerators), -1], dtype=np.int64)
    order = np.lexsort((accelerator_rank[accelerator], value, server))
    rows, server, value = rows[order], server[order], value[order]

    delta = np.full(len(rows), np.inf)
    same_server = server[1:] == server[:-1]
    delta[:-1][same_server] = _rounded(np.diff(value)[same_server])
    start = np.searchsorted(server, np.arange(len(table.servers) + 1))
    return Candidates(
        start=start.tolist(),
        row=rows.tolist(),
        value=value.tolist(),
        delta=delta.tolist(),
        card_type=table.card_type[rows].tolist(),
        cards_per_replica=table.cards_per_replica[rows].tolist(),
        replicas=np.where(table.accelerator[rows] == EMPTY, 0, table.replicas[rows]).tolist(),
        priority=table.priority.tolist(),
        name_rank=ranks(table.servers),
    )


def _rounded(money: FloatArray) -> FloatArray:
    fine = np.abs(money) < _LARGEST_ROUNDED
    return np.where(fine, np.round(np.where(fine, money, 0.0), _DECIMALS), money)
