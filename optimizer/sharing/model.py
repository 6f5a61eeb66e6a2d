"""The model that chooses between common replicas and replicas of their own.

Every member of a set has a column, which marks it as served; the columns of a set are equal. The
one of the first member takes the cards and has the value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optimizer.formulation import Formulation, single_model
from optimizer.table import CandidateTable, IntArray


@dataclass(frozen=True, slots=True)
class SharingModel:
    """Builds the model of a table that `optimizer.sharing.extended.extended` returned.

    Attributes:
        of_candidate: The candidate whose member each row is, -1 for the others, shape (rows,).
    """

    of_candidate: IntArray

    def __call__(
        self, table: CandidateTable, capacity: IntArray, like: IntArray | None = None
    ) -> Formulation:
        """Return the model (see `optimizer.formulation.single_model`).

        Args:
            table: The extended table.
            capacity: Cards available by type, shape (types,).
            like: Rows of different numbers are never exchanged for one another.
        """
        kinds = np.zeros(len(table.server), dtype=np.int64) if like is None else like
        # Members are exchanged for nothing: a set is taken whole.
        most = int(kinds.max(initial=0)) + 1
        own = np.where(self.of_candidate >= 0, most + np.arange(len(kinds)), kinds)
        return self._linked(single_model(table, capacity, own))

    def _linked(self, form: Formulation) -> Formulation:
        candidate = np.where(form.table_row >= 0, self.of_candidate[form.table_row], -1)
        columns = np.flatnonzero(candidate >= 0)
        columns = columns[np.argsort(candidate[columns], kind="stable")]
        # Neighbours of one candidate are equal.
        same = np.flatnonzero(candidate[columns[1:]] == candidate[columns[:-1]])
        one, other = columns[same], columns[same + 1]
        row = form.row_lower.size + np.arange(same.size)
        none = np.zeros(same.size)
        return replace(
            form,
            entry_row=np.concatenate([form.entry_row, row, row]).astype(np.int64),
            entry_column=np.concatenate([form.entry_column, one, other]).astype(np.int64),
            entry_value=np.concatenate([form.entry_value, none + 1.0, none - 1.0]),
            row_lower=np.concatenate([form.row_lower, none]),
            row_upper=np.concatenate([form.row_upper, none]),
        )
