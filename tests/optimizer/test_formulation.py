"""Which rows say that a server is served, in both models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from optimizer.formulation import single_model
from optimizer.mixed_formulation import mixed_model
from tests.support.tables import Case, cases, make_table


@pytest.mark.parametrize("model", [single_model, mixed_model])
@given(case=cases())
@settings(max_examples=40, deadline=None)
def test_asking_for_servers_asks_for_those_and_no_others(model: object, case: Case) -> None:
    table, capacity = make_table(case)
    build = mixed_model if model is mixed_model else single_model
    form = build(table, capacity)
    for priority in np.unique(table.priority):
        members = np.equal(table.priority, priority)
        rows = form.served_rows(members)
        columns = form.served_columns(members)
        assert rows.size == np.unique(form.serves[columns]).size
        asked = form.serving(members)
        assert np.all(asked.row_lower[rows] == 1.0)
        others = np.setdiff1d(np.arange(form.row_lower.size), rows)
        assert np.array_equal(asked.row_lower[others], form.row_lower[others])
        # The rows of the group hold all its marks, once each.
        marks = np.isin(form.entry_column, columns) & np.isin(form.entry_row, rows)
        assert np.array_equal(np.sort(form.entry_column[marks]), np.sort(columns))
    everybody = np.ones(len(table.servers), dtype=np.bool_)
    assert np.array_equal(form.serving(everybody).row_lower, form.serving_all().row_lower)
