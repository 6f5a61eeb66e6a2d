"""A pool of processes gives what one process gives, and outlives the death of its own."""

import os
import pickle
from dataclasses import dataclass, replace

import pytest

from stoker.domain.fleet import Fleet
from stoker.domain.settings import Analysis
from studies.sweeping.grid import Study, grid_study
from studies.sweeping.pool import DIED
from studies.sweeping.rows import FAILED
from studies.sweeping.sweep import run_sweep
from studies.sweeping.tasks import make_tasks
from studies.sweeping.values import Value
from tests.support.small_fleets import make_fleet, make_server


@dataclass(frozen=True, slots=True)
class Trap:
    """A change that ends the process that applies it, at some values."""

    deadly: tuple[float, ...]

    def apply(self, fleet: Fleet, value: Value) -> Fleet:
        if value.number in self.deadly:
            os._exit(9)
        return fleet


def study_with_trap(deadly: tuple[float, ...]) -> Study:
    fleet = make_fleet(make_server("a"))
    fleet = replace(fleet, settings=replace(fleet.settings, analysis=Analysis.REFERENCE))
    study = grid_study(fleet, ["load=1:6:1"])
    trapped = replace(study.parameters[0], change=Trap(deadly))  # type: ignore[arg-type]
    return replace(study, parameters=(trapped,))


def test_points_that_kill_their_process_are_named_and_no_other_is_lost() -> None:
    study = study_with_trap((4.0,))
    rows = run_sweep(study, jobs=2).rows
    assert [row["point"] for row in rows] == list(range(6))
    assert [row["load"] for row in rows if row["status"] == FAILED] == [4.0]
    assert {row["reason"] for row in rows if row["status"] == FAILED} == {DIED}


def test_tasks_hold_every_point_once_and_one_group_each() -> None:
    fleet = make_fleet(make_server("a"))
    study = grid_study(fleet, ["price.C=1:9:1", "load=1:5:1", "cards=x1,x2"])
    for jobs in (1, 2, 16):
        tasks = make_tasks(study, study.points, jobs)
        indices = [point.index for task in tasks for point in task]
        assert sorted(indices) == list(range(90))
        assert all(len({point.values[1] for point in task}) == 1 for task in tasks)
        assert max(map(len, tasks)) <= 16


def test_what_is_sent_along_does_not_grow_with_the_points() -> None:
    fleet = make_fleet(make_server("a"))
    few = pickle.dumps(grid_study(fleet, ["load=1,2"]).without_points())
    many = pickle.dumps(grid_study(fleet, ["load=1:9000:1"]).without_points())
    assert len(few) == len(many)


def test_no_process_is_started_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.sweeping.sweep.run_pool", None)
    study = grid_study(make_fleet(make_server("a")), ["load=1", "analysis=reference"])
    assert run_sweep(study, jobs=8).rows[0]["status"] == "optimal"
