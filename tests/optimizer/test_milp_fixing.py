"""Large plain models by fixing, against the solver on the whole model."""

from __future__ import annotations

import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fleets import scaled_large
from optimizer.formulation import single_model
from optimizer.linear_model import SolveLimits
from optimizer.milp_fixing import relaxed_with_prices, solve_by_fixing
from optimizer.milp_weighted import FEW_SERVERS
from optimizer.planner import plan_fleet
from optimizer.scaled_solve import solve_in_scale
from stoker.domain.scaling import scale_capacity
from stoker.domain.settings import Analysis, OptimizerSettings
from tests.support.tables import Case, cases, make_table


@settings(max_examples=60, deadline=None)
@given(case=cases(servers=5, options=3), first_open=st.integers(0, 3))
def test_the_bound_holds_and_the_plan_is_as_good_as_is_said(case: Case, first_open: int) -> None:
    table, capacity = make_table(case)
    form = single_model(table, capacity)
    if not form.upper.size:
        return
    price = 10.0 * (1.0 + np.abs(form.value).max())
    model = form.model(form.value - price)
    limits = SolveLimits()
    exact = solve_in_scale(model, "HiGHS", limits, relaxed=False, clock=time.perf_counter)
    assert exact.objective is not None
    priced = relaxed_with_prices(model, form.server, form.serve_row, 60.0)
    assert priced is not None
    room = 1e-7 * (1.0 + abs(exact.objective))
    assert priced.bound <= exact.objective + room
    for allowed in (0.0, 0.5 * price, 1e9):
        found = solve_by_fixing(
            model,
            form.server,
            priced,
            allowed,
            backend="HiGHS",
            time_left=lambda: 60.0,
            clock=time.perf_counter,
            first_open=first_open,
        )
        assert found.x is not None
        assert found.objective is not None
        assert found.bound == priced.bound
        assert found.objective >= exact.objective - room
        used = np.bincount(
            form.entry_row,
            weights=form.entry_value * found.x[form.entry_column],
            minlength=form.row_upper.size,
        )
        assert np.all(used <= form.row_upper + 1e-6)
        assert np.all(found.x == np.rint(found.x))


def test_a_scarce_fleet_of_hundreds_is_planned_within_the_gap() -> None:
    fleet = scale_capacity(scaled_large(FEW_SERVERS + 10, 0), 0.5)
    chosen = OptimizerSettings(analysis=Analysis.REFERENCE, relative_gap=1e-2)
    plan = plan_fleet(fleet, chosen)
    assert plan.method == "milp-weighted"
    assert plan.gap is not None
    assert plan.gap <= 1e-2
    assert plan.bound is not None
    assert plan.bound <= plan.objective
    first, second, third = plan.services
    assert (first.served, second.served) == (first.servers, second.servers)
    assert third.bound is not None
    assert 0 < third.served <= third.bound < third.servers
