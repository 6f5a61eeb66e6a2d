"""A sweep gives what planning every point by itself gives."""

import pickle
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import studies.sweeping.planning as planning
from data.yaml_writer import to_yaml
from optimizer.candidates import build_candidates
from optimizer.planner import plan_fleet
from optimizer.table import CandidateTable
from stoker.domain.fleet import Fleet
from stoker.domain.server import Allocation
from stoker.domain.settings import Analysis
from studies.sweeping.grid import Study, grid_study
from studies.sweeping.planning import in_groups, plan_points
from studies.sweeping.reuse import is_plain, neutral_table, repriced
from studies.sweeping.rows import FAILED, Cell, Layout, Row
from studies.sweeping.sweep import run_sweep
from studies.sweeping.tasks import make_tasks, plan_task
from tests.support.configured_fleets import TP1, TP2, configured_fleet, profile, server
from tests.support.small_fleets import fleets, make_fleet, make_server

QUICK = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def with_analysis(fleet: Fleet, analysis: Analysis) -> Fleet:
    return replace(fleet, settings=replace(fleet.settings, analysis=analysis))


def untimed(row: Row) -> dict[str, Cell]:
    return {name: cell for name, cell in row.items() if not name.endswith("_ms")}


def swept(study: Study) -> list[dict[str, Cell]]:
    layout = Layout.of(study)
    results = [
        result
        for group in in_groups(study, study.points)
        for result in plan_points(study, group, layout)
    ]
    return [untimed(result.row) for result in sorted(results, key=lambda item: item.index)]


def one_by_one(study: Study) -> list[dict[str, Cell]]:
    layout = Layout.of(study)
    rows = []
    for point in study.points:
        fleet = study.at(point)
        rows.append(untimed(layout.plan_row(point, fleet, plan_fleet(fleet))))
    return rows


def assert_same_tables(ours: CandidateTable, theirs: CandidateTable) -> None:
    for field in fields(CandidateTable):
        mine, other = getattr(ours, field.name), getattr(theirs, field.name)
        if isinstance(mine, np.ndarray):
            np.testing.assert_array_equal(mine, other, field.name)
        elif field.name != "transitions":
            assert mine == other, field.name


@QUICK
@given(fleets(), st.floats(0.0, 10.0), st.floats(0.01, 10.0))
def test_a_repriced_table_is_the_table_of_those_prices(
    fleet: Fleet, price: float, factor: float
) -> None:
    texts = [f"price.C={price!r}", f"price.Big=x{factor!r}", "transition_penalty=0.3", "cards=x0.5"]
    study = grid_study(fleet, texts)
    there = study.at(study.points[0])
    table = neutral_table(fleet, Analysis.REFERENCE)
    assert_same_tables(repriced(table, there), build_candidates(there, Analysis.REFERENCE))


@QUICK
@given(fleets(most_servers=4))
def test_rows_are_those_of_plans_one_by_one(fleet: Fleet) -> None:
    texts = ["transition_penalty=0.2", "price.C=0.7,3", "cards=x0.5,x1", "solver=milp,greedy"]
    if any(server.load for server in fleet.servers):
        texts.append("load=2")
    study = grid_study(with_analysis(fleet, Analysis.REFERENCE), texts)
    assert swept(study) == one_by_one(study)


def test_rows_of_the_full_analysis_are_those_of_plans_one_by_one() -> None:
    fleet = make_fleet(
        make_server("a", current=Allocation("Cheap", 2, cost_per_hour=2.0)),
        make_server("b", service_class="bronze", choose_batch=True),
        make_server("c", load=None, current=Allocation("Cheap", 1, cost_per_hour=1.0)),
    )
    study = grid_study(
        fleet,
        [
            "target.gold.ttft_ms.p95=2500",
            "price.Big=0.5,50",
            "cards.C=4,40",
            "saturation_policy=RoundRobin",
        ],
    )
    rows = swept(study)
    assert rows == one_by_one(study)
    assert len({row["cost_per_hour"] for row in rows}) > 2
    margins = [row["worst_ttft_margin"] for row in rows]
    assert all(isinstance(margin, float) and -1e-3 <= margin < 1 for margin in margins)


def test_mixes_are_planned_too() -> None:
    fleet = make_fleet(make_server("a"), make_server("b", service_class="bronze"))
    study = grid_study(
        with_analysis(fleet, Analysis.REFERENCE), ["heterogeneous=true,false", "cards=x0.4,x1"]
    )
    assert swept(study) == one_by_one(study)


def test_limits_are_heeded_too() -> None:
    fleet = make_fleet(make_server("a"), make_server("b", service_class="bronze"))
    study = grid_study(with_analysis(fleet, Analysis.REFERENCE), ["budget=1,2.5,none", "surge=1,2"])
    rows = swept(study)
    assert rows == one_by_one(study)
    costs = [cost for row in rows if isinstance(cost := row["cost_per_hour"], float)]
    assert max(costs[:2]) <= 1
    assert max(costs[2:4]) <= 2.5
    assert costs[5] > costs[4] > 2.5


def test_predictions_are_made_once_for_all_points_that_share_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Analysis] = []

    def counted(fleet: Fleet, analysis: Analysis) -> CandidateTable:
        made.append(analysis)
        return neutral_table(fleet, analysis)

    monkeypatch.setattr(planning, "neutral_table", counted)
    fleet = with_analysis(make_fleet(make_server("a")), Analysis.REFERENCE)
    texts = ["price.C=1,2,3", "load=1,2", "cards.B=1,4", "analysis=reference", "solver=milp,greedy"]
    study = grid_study(fleet, texts)
    assert len(swept(study)) == 24
    assert made == [Analysis.REFERENCE] * 2
    rows = run_sweep(study).rows
    assert made == [Analysis.REFERENCE] * 4
    assert list(map(untimed, rows)) == swept(study)
    shared = pickle.dumps((study.without_points(), Layout.of(study)))
    made.clear()
    tasks = make_tasks(study, study.points, jobs=2)
    assert len(tasks) > 4
    planned = [result for task in tasks for result in plan_task(shared, task)]
    assert made == [Analysis.REFERENCE] * 2
    planned.sort(key=lambda result: result.index)
    assert [untimed(result.row) for result in planned] == list(map(untimed, rows))


def test_a_point_that_fails_says_why_and_the_others_go_on() -> None:
    fleet = make_fleet(make_server("a"))
    study = grid_study(fleet, ["backend=highs,nobody", "load=1,2"])
    rows = swept(study)
    assert [row["status"] for row in rows] == ["optimal", "optimal", FAILED, FAILED]
    assert all("nobody" in str(row["reason"]) for row in rows[2:])
    assert rows[2]["cost_per_hour"] is None
    assert list(rows[2]) == list(rows[0])


def test_a_target_beyond_the_analysis_is_a_failed_point() -> None:
    fleet = make_fleet(make_server("a"))
    study = grid_study(fleet, ["target.ttft_ms.p95=500", "analysis=reference,full"])
    rows = swept(study)
    assert rows[0]["status"] == FAILED
    assert "p95" in str(rows[0]["reason"])
    assert rows[1]["status"] != FAILED


def test_every_fleet_of_today_may_share() -> None:
    assert is_plain(make_fleet(make_server("a", current=Allocation("Cheap", 1))))


def test_a_point_of_several_configurations_is_planned_from_scratch(tmp_path: Path) -> None:
    path = tmp_path / "several.yaml"
    several = {"version": 1, "profiles": [profile(TP1), profile(TP2)]}
    path.write_text(to_yaml(several), encoding="utf-8")
    only = {name: value for name, value in TP1.items() if name != "configuration"}
    now = {"accelerator": "H100", "replicas": 3, "cost_per_hour": 7.5}
    fleet = configured_fleet([profile(only)], server(current=now))
    assert is_plain(fleet)
    study = grid_study(fleet, [f"profile=own,{path}", "price.H100=x1,x2"])
    assert [is_plain(study.at(point)) for point in study.points] == [True, True, False, False]
    rows = swept(study)
    assert rows == one_by_one(study)
    costs = [cost for row in rows if isinstance(cost := row["cost_per_hour"], float)]
    assert costs[1] == 2 * costs[0] > 0
    assert costs[3] == 2 * costs[2] > 0
