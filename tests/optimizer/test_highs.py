"""Models that go straight to HiGHS are those that PuLP would build, and have the same answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import highspy
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from optimizer.formulation import ExtraRow, single_model
from optimizer.highs import GrowingProgram, solve_by_highs
from optimizer.linear_model import LinearModel, SolveLimits, SolveStatus
from optimizer.milp import place_milp
from optimizer.readable import readable_model, write_model
from optimizer.solver import CBC, HIGHS, as_pulp, solve
from optimizer.table import FloatArray
from stoker.domain.errors import SolverUnavailableError
from stoker.domain.settings import OptimizerSettings
from tests.support.tables import Case, Option, cases, make_table


@st.composite
def models(draw: st.DrawFn) -> LinearModel:
    """Small models with every kind of row and column, feasible or not."""
    columns, rows = draw(st.integers(1, 5)), draw(st.integers(0, 4))
    whole = st.integers(-5, 5)
    cost = draw(st.lists(whole, min_size=columns, max_size=columns))
    dense = draw(st.lists(st.lists(whole, min_size=columns, max_size=columns), min_size=rows))
    entries = [
        (row, column, value)
        for row, values in enumerate(dense[:rows])
        for column, value in enumerate(values)
        if value
    ]
    kinds = draw(
        st.lists(
            st.tuples(st.sampled_from(["<=", ">=", "==", "both"]), whole, st.integers(1, 4)),
            min_size=rows,
            max_size=rows,
        )
    )
    most = draw(st.lists(st.integers(1, 4), min_size=columns, max_size=columns))
    low = [-np.inf if kind == "<=" else float(at) for kind, at, _ in kinds]
    high = [
        np.inf if kind == ">=" else float(at + (wide if kind == "both" else 0))
        for kind, at, wide in kinds
    ]
    return LinearModel(
        cost=np.array(cost, dtype=np.float64),
        lower=np.zeros(columns),
        upper=np.array(most, dtype=np.float64),
        integer=np.array(draw(st.lists(st.booleans(), min_size=columns, max_size=columns))),
        entry_row=np.array([row for row, _, _ in entries], dtype=np.int64),
        entry_column=np.array([column for _, column, _ in entries], dtype=np.int64),
        entry_value=np.array([value for _, _, value in entries], dtype=np.float64),
        row_lower=np.array(low),
        row_upper=np.array(high),
    )


def keeps_the_rows(model: LinearModel, x: FloatArray) -> bool:
    activity = np.zeros(model.row_lower.size)
    np.add.at(activity, model.entry_row, model.entry_value * x[model.entry_column])
    inside = (activity >= model.row_lower - 1e-6) & (activity <= model.row_upper + 1e-6)
    bounds = (x >= model.lower - 1e-6) & (x <= model.upper + 1e-6)
    return bool(np.all(inside) and np.all(bounds))


@given(model=models(), relaxed=st.booleans())
@settings(max_examples=60, deadline=None)
def test_both_ways_find_the_same(model: LinearModel, relaxed: bool) -> None:
    straight = solve(model, HIGHS, SolveLimits(), relaxed=relaxed)
    through = solve(model, CBC, SolveLimits(), relaxed=relaxed)
    assert straight.status is through.status
    if straight.x is None:
        assert straight.status is SolveStatus.INFEASIBLE
        return
    assert straight.objective == pytest.approx(through.objective, abs=1e-6)
    assert keeps_the_rows(model, straight.x)
    assert straight.bound == pytest.approx(straight.objective, abs=1e-5)


@given(model=models())
@settings(max_examples=30, deadline=None)
def test_reduced_costs_tell_what_is_worth_taking(model: LinearModel) -> None:
    found = solve(model, HIGHS, SolveLimits(), relaxed=True)
    assume(found.x is not None)
    assert found.reduced is not None
    assert found.x is not None
    # Optimality: what costs more than it is worth stays at its lower bound, and the reverse.
    assert np.all(found.x[found.reduced > 1e-6] <= 1e-6)
    gains = found.reduced < -1e-6
    assert found.x[gains] == pytest.approx(model.upper[gains], abs=1e-6)


@given(model=models(), data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_start_changes_no_answer(model: LinearModel, data: st.DataObject) -> None:
    alone = solve(model, HIGHS, SolveLimits())
    start = data.draw(
        st.lists(st.integers(0, 9), min_size=model.cost.size, max_size=model.cost.size)
    )
    started = solve(model, HIGHS, SolveLimits(), start=np.array(start, float))
    assert started.status is alone.status
    assert started.objective == pytest.approx(alone.objective, abs=1e-6)


def test_a_start_is_what_a_search_without_time_ends_with() -> None:
    # A knapsack that takes a search: what is given beforehand is kept where there is none.
    size = 60
    random = np.random.default_rng(3)
    weight = random.integers(20, 100, size)
    model = LinearModel(
        cost=-(weight + random.integers(0, 5, size)).astype(float),
        lower=np.zeros(size),
        upper=np.ones(size),
        integer=np.ones(size, dtype=np.bool_),
        entry_row=np.repeat(np.arange(3), size),
        entry_column=np.tile(np.arange(size), 3),
        entry_value=np.concatenate([weight, random.integers(20, 100, 2 * size)]).astype(float),
        row_lower=np.full(3, -np.inf),
        row_upper=np.full(3, 900.0),
    )
    best = solve(model, HIGHS, SolveLimits(relative_gap=1e-3))
    assert best.x is not None
    none = SolveLimits(max_nodes=0)
    kept = solve(model, HIGHS, none, start=best.x)
    assert kept.objective is not None
    assert best.objective is not None
    assert kept.objective <= best.objective + 1e-9


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("cost", np.nan),
        ("cost", np.inf),
        ("entry_value", np.nan),
        ("entry_value", -np.inf),
        ("lower", np.nan),
        ("upper", np.nan),
        ("row_lower", np.nan),
        ("row_upper", np.nan),
    ],
)
def test_what_is_no_number_never_reaches_the_library(field: str, wrong: float) -> None:
    model = LinearModel(
        cost=np.array([1.0]),
        lower=np.zeros(1),
        upper=np.array([np.inf]),
        integer=np.ones(1, dtype=np.bool_),
        entry_row=np.zeros(1, dtype=np.int64),
        entry_column=np.zeros(1, dtype=np.int64),
        entry_value=np.ones(1),
        row_lower=np.array([1.0]),
        row_upper=np.array([np.inf]),
    )
    assert solve_by_highs(model, SolveLimits(), relaxed=False).objective == 1.0
    broken = replace(model, **{field: np.array([wrong])})
    with pytest.raises(SolverUnavailableError, match="out of range"):
        solve_by_highs(broken, SolveLimits(), relaxed=False)
    with pytest.raises(SolverUnavailableError, match="out of range"):
        solve(broken, CBC, SolveLimits())


@pytest.mark.parametrize(("cost", "value"), [(np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0)])
def test_no_column_of_such_numbers_is_added(cost: float, value: float) -> None:
    program = GrowingProgram(np.ones(1))
    none = np.zeros(1, dtype=np.int64)
    with pytest.raises(SolverUnavailableError, match="out of range"):
        program.add(np.array([cost]), none, none, np.array([value]))


def said(problem: Any) -> tuple[dict[str, Any], dict[str, float], list[Any]]:
    """Columns of a problem of PuLP with bounds and kind, costs, and rows; columns by table row."""
    told = problem.toDict()

    def terms(part: Any) -> dict[str, float]:
        pairs = ((each["name"], each["value"]) for each in part["coefficients"])
        named = [(name, value) for name, value in pairs if value and not name.startswith("__")]
        return {name.rsplit("_", 1)[-1]: float(value) for name, value in named}

    columns = {
        each["name"].rsplit("_", 1)[-1]: (each["lowBound"], each["upBound"], each["cat"])
        for each in told["variables"]
        if not each["name"].startswith("__")  # PuLP's stand-in for an empty objective
    }
    rows = [
        (sorted(terms(row).items()), row["sense"], float(row["constant"]))
        for row in told["constraints"]
        if terms(row)  # a type of which nobody could take a card is no row to a reader
    ]
    return columns, terms(told["objective"]), sorted(rows, key=str)


@given(case=cases(servers=5, options=4), everybody=st.booleans(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_what_can_be_read_is_what_is_solved(
    case: Case, everybody: bool, data: st.DataObject
) -> None:
    table, capacity = make_table(case)
    form = single_model(table, capacity)
    counts: tuple[ExtraRow, ...] = ()
    served: dict[int, int] | None = None
    if everybody:
        form = form.serving_all()
    else:
        served = {
            priority: data.draw(st.integers(0, 3)) for priority in set(table.priority.tolist())
        }
        counts = tuple(
            ExtraRow(columns, np.ones(columns.size), float(count), float(count))
            for priority, count in served.items()
            if (columns := form.served_columns(np.equal(table.priority, priority))).size
        )
    solved, variables = as_pulp(form.model(form.value, counts))
    for column, variable in enumerate(variables):
        variable.name = f"take_{form.table_row[column]}"
    assert said(readable_model(table, capacity, served)) == said(solved)


@pytest.mark.parametrize("name", ["plan.lp", "plan.mps"])
def test_the_file_of_a_model_has_the_same_answer(name: str, tmp_path: Path) -> None:
    case = Case(
        ((1, 3.0, 0, (Option(0, 0, 1, 2.0, 1.0), Option(1, 1, 2, 1.5, 1.0))),) * 3,
        (4, 9),
        ((-1, 0.0),) * 3,
    )
    table, capacity = make_table(case)
    plan = place_milp(table, capacity, OptimizerSettings())
    served = {service.priority: service.served for service in plan.services}
    path = tmp_path / name
    write_model(readable_model(table, capacity, served), path)
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.setOptionValue("output_flag", False)
    assert solver.readModel(str(path)) == highspy.HighsStatus.kOk
    solver.run()
    assert solver.getObjectiveValue() == pytest.approx(plan.objective)
