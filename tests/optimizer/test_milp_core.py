"""The plan that a search starts from: it keeps all rules, and is near the best."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from benchmarks.fleets import scaled_large
from optimizer import milp
from optimizer.at_hand import keeping_what_runs
from optimizer.formulation import single_model
from optimizer.linear_model import LinearModel, SolveResult
from optimizer.milp import place_milp
from optimizer.milp_core import FEWEST_COLUMNS, plan_of_core
from optimizer.milp_session import Session, priority_groups
from optimizer.preparation import prepare
from optimizer.solver import CBC, HIGHS
from optimizer.table import FloatArray
from optimizer.usage import card_counts
from stoker.domain.scaling import scale_capacity
from stoker.domain.settings import Analysis, OptimizerSettings
from tests.support.tables import Case, Option, cases, make_table

GAP = 1e-3


def scarce(servers: int, seed: int, *, share: float = 0.5) -> tuple[Session, LinearModel]:
    """A run over a fleet with half its cards, and the model that serves all it can be asked to."""
    fleet = scale_capacity(scaled_large(servers, 0, seed=seed), share)
    table = prepare(fleet, OptimizerSettings(analysis=Analysis.REFERENCE)).table
    counts = card_counts(fleet)
    capacity = np.array([counts[name] for name in table.card_types], dtype=np.int64)
    form = single_model(table, capacity)
    groups = priority_groups(table, form)
    session = Session(
        table, form, groups, HIGHS, GAP, time.perf_counter() + 60.0, time.perf_counter
    )
    # Those of the highest two priorities are always served here; of the lowest, what is left.
    session = replace(session, form=form.serving(groups[0].members | groups[1].members))
    return session, session.form.model(session.form.value)


@pytest.mark.parametrize("seed", [1, 4])
def test_it_keeps_all_rules_and_is_near_the_best(seed: int) -> None:
    session, model = scarce(100, seed)
    x = plan_of_core(session, model)
    assert x is not None
    assert set(x.tolist()) <= {0.0, 1.0}
    used = np.zeros(model.row_lower.size)
    np.add.at(used, model.entry_row, model.entry_value * x[model.entry_column])
    assert np.all(used >= model.row_lower)
    assert np.all(used <= model.row_upper)
    bound = session.run(session.form.value, (), relaxed=True).objective
    assert bound is not None
    # The relaxation of these fleets lies up to one and a half percent below their best plan.
    assert bound <= float(model.cost @ x) <= bound * 1.03
    again = plan_of_core(session, model)
    assert again is not None
    assert np.array_equal(x, again)


def test_none_where_the_solver_needs_no_help_or_takes_none() -> None:
    session, model = scarce(10, 1)
    assert model.cost.size < FEWEST_COLUMNS
    assert plan_of_core(session, model) is None
    session, model = scarce(100, 1)
    assert plan_of_core(replace(session, backend=CBC), model) is None


def test_none_where_nothing_fits_or_no_time_is_left() -> None:
    session, _ = scarce(100, 1)
    everybody = session.form.serving_all()
    assert plan_of_core(session, everybody.model(everybody.value)) is None
    late = replace(session, deadline=session.clock() - 1.0)
    assert plan_of_core(late, session.form.model(session.form.value)) is None


@given(case=cases(servers=6, options=4))
@settings(max_examples=60, deadline=None)
def test_a_search_starts_from_what_runs_and_ends_as_it_would_without(case: Case) -> None:
    table, capacity = make_table(case)
    starts: list[FloatArray | None] = []
    run = Session.run

    def told(self: Session, *args: Any, **options: Any) -> SolveResult:
        starts.append(None if options.get("relaxed") else self.known)
        return run(self, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "run", told)
        started = place_milp(table, capacity, OptimizerSettings())
        patch.setattr(milp, "_known", lambda *_: None)
        alone = place_milp(table, capacity, OptimizerSettings())
    kept = keeping_what_runs(table, capacity, OptimizerSettings())
    known = [start for start in starts if start is not None]
    assert kept is not None or not known
    for start in known:
        model = single_model(table, capacity)
        assert kept is not None
        assert set(model.table_row[start > 0]) <= set(kept.row.tolist())
    assert started.objective == pytest.approx(alone.objective, rel=1e-9, abs=1e-9)
    assert [each.served for each in started.services] == [each.served for each in alone.services]


def test_what_runs_is_where_a_search_starts() -> None:
    here, there = Option(0, 0, 1, 2.0, 1.0), Option(1, 1, 1, 1.0, 1.0)
    case = Case(((1, 2.0, 0, (here, there)),) * 2, (4, 4), ((0, 4.0), (1, 2.0)))
    table, capacity = make_table(case)
    starts: list[FloatArray | None] = []
    run = Session.run

    def told(self: Session, *args: Any, **options: Any) -> SolveResult:
        starts.append(options.get("start"))
        return run(self, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "run", told)
        place_milp(table, capacity, OptimizerSettings())
    model = single_model(table, capacity)
    first = next(start for start in starts if start is not None)
    assert table.accelerator[model.table_row[first > 0]].tolist() == [0, 1]
