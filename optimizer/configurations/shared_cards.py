"""Cards cut into slices in the planner's program: slices of different servers share them.

The program counts how many cards are cut in each of the patterns of
`optimizer.configurations.slices`, and lets slices of a kind be taken as far as the cut cards hold
them, whoever takes them. That is exact: a card holds what some pattern holds, and nothing else.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.configurations.cut_cards import kind_of, on_slices
from optimizer.configurations.slices import slicing_patterns
from optimizer.formulation import NO_ROW, NO_SERVER, Formulation
from optimizer.table import CandidateTable, IntArray


def with_shared_cards(form: Formulation, table: CandidateTable, capacity: IntArray) -> Formulation:
    """Return a model whose slices come from cut cards, whoever uses them; the same without slices.

    Args:
        form: A model in which columns take rows of the table whole, its rows of card types behind
            those of servers.
        table: Candidates.
        capacity: Cards available by type, shape (types,).
    """
    columns = np.flatnonzero(form.table_row != NO_ROW)
    columns = columns[on_slices(table)[form.table_row[columns]]]
    if not columns.size or table.bundled is None:
        return form
    row = form.table_row[columns]
    entry_row, entry_column, entry_value = [], [], []
    cut_type: list[int] = []
    first_row, kinds_added = form.row_lower.size, 0
    for card_type in np.unique(table.card_type[row]).tolist():
        own = columns[table.card_type[row] == card_type]
        accelerator = table.accelerator[form.table_row[own]]
        kinds = list(dict.fromkeys(kind_of(table, int(item)) for item in accelerator.tolist()))
        patterns = slicing_patterns(kinds)
        added = form.upper.size + len(cut_type) + np.arange(len(patterns))
        cut_type += [card_type] * len(patterns)
        place = np.array([kinds.index(kind_of(table, int(item))) for item in accelerator.tolist()])
        pattern, kind = np.nonzero(patterns)
        entry_row += [first_row + kinds_added + place, first_row + kinds_added + kind]
        entry_column += [own, added[pattern]]
        entry_value += [
            table.bundled[form.table_row[own]].astype(np.float64),
            -patterns[pattern, kind].astype(np.float64),
        ]
        entry_row.append(np.full(len(patterns), form.serve_row.size + card_type))
        entry_column.append(added)
        entry_value.append(np.ones(len(patterns)))
        kinds_added += len(kinds)
    new = len(cut_type)
    kept = ~(np.isin(form.entry_column, columns) & (form.entry_row >= form.serve_row.size))
    cards = form.cards.copy()
    cards[columns] = 0
    cut = np.array(cut_type, dtype=np.int64)
    return replace(
        form,
        table_row=np.concatenate([form.table_row, np.full(new, NO_ROW)]),
        # They are of no server; the index is never read but must be one.
        server=np.concatenate([form.server, np.zeros(new, dtype=np.int64)]),
        serves=np.concatenate([form.serves, np.full(new, NO_SERVER)]),
        value=np.concatenate([form.value, np.zeros(new)]),
        cards=np.concatenate([cards, np.ones(new, dtype=np.int64)]),
        upper=np.concatenate([form.upper, capacity[cut].astype(np.float64)]),
        entry_row=np.concatenate([form.entry_row[kept], *entry_row]).astype(np.int64),
        entry_column=np.concatenate([form.entry_column[kept], *entry_column]).astype(np.int64),
        entry_value=np.concatenate([form.entry_value[kept], *entry_value]),
        row_lower=np.concatenate([form.row_lower, np.full(kinds_added, -np.inf)]),
        row_upper=np.concatenate([form.row_upper, np.zeros(kinds_added)]),
        cut_type=np.concatenate([np.full(form.upper.size, -1), cut]),
    )
