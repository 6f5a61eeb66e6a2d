"""Which rows say that a server is served, in both models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from optimizer.formulation import single_model
from optimizer.milp import place_milp
from optimizer.mixed_formulation import MIX_MARGIN, mixed_model
from stoker.domain.settings import OptimizerSettings
from tests.support.tables import Case, Option, cases, make_table


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


@pytest.mark.parametrize(("spare", "value"), [(0.0, 203.5), (1.1 * MIX_MARGIN, 114.0)])
def test_a_mix_is_taken_where_it_could_carry_the_margin_more(spare: float, value: float) -> None:
    """One replica of 1.5 and four of 0.4 requests/s, or else two and one."""
    carried = 1.5 + 4 * 0.4
    options = (Option(3, 0, 1, 100.0, 1.5), Option(1, 0, 1, 3.5, 0.4))
    table, capacity = make_table(
        Case(((1, carried * (1 - spare), 0, options),), (5,), ((-1, 0.0),), 0.0)
    )
    outcome = place_milp(table, capacity, OptimizerSettings(heterogeneous=True))
    assert outcome.objective == pytest.approx(value)
