"""A real Dask cluster, scheduler and workers in processes of their own, and what befalls it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from studies.sweeping.folder import LOG
from studies.sweeping.grid import grid_study
from studies.sweeping.sweep import run_sweep
from tests.support.cli import stoker
from tests.support.small_fleets import make_fleet, make_server
from tests.support.sweeps import Cluster, kill, lines_of, rows_of, start_sweep, wait_until

POINTS = 40
SWEEP = (
    "small",
    "--vary",
    "analysis=reference",
    "--vary",
    "cards=x0.05:0.5:0.05",
    "--vary",
    "price.A100=0.2,0.4",
    "--vary",
    "load=1,2",
)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    (tmp_path / "dask").mkdir()
    started = Cluster(tmp_path / "dask", workers=2)
    yield started
    started.close()


def test_a_killed_worker_costs_no_point_and_a_lost_scheduler_keeps_them(
    tmp_path: Path, cluster: Cluster
) -> None:
    folder = tmp_path / "sweep"
    sweep = start_sweep(*SWEEP, "--scheduler", cluster.address, "--output", folder)
    wait_until(lambda: lines_of(folder / LOG) >= 4 or sweep.poll() is not None, "first points")
    kill(cluster.workers[0])
    at_death = lines_of(folder / LOG)
    _, errors = sweep.communicate(timeout=100)
    assert sweep.returncode == 0, errors
    assert at_death < POINTS
    indices = [json.loads(line)["point"] for line in (folder / LOG).read_text().splitlines()]
    assert sorted(indices) == list(range(POINTS))
    here = tmp_path / "here"
    assert stoker("sweep", *SWEEP, "--jobs", 1, "--output", here).exit_code == 0
    assert rows_of(folder / "results.csv") == rows_of(here / "results.csv")

    again = tmp_path / "again"
    sweep = start_sweep(*SWEEP, "--scheduler", cluster.address, "--output", again)
    wait_until(lambda: lines_of(again / LOG) >= 2 or sweep.poll() is not None, "first points")
    kill(cluster.scheduler)
    _, errors = sweep.communicate(timeout=100)
    assert sweep.returncode == 2
    assert "went away" in errors
    assert "Traceback" not in errors
    done = lines_of(again / LOG)
    assert 2 <= done < POINTS
    result = stoker("sweep", *SWEEP, "--jobs", 1, "--output", again)
    assert f"{done} of {POINTS} points were done before" in result.stderr
    assert rows_of(again / "results.csv") == rows_of(here / "results.csv")


def test_an_address_where_nobody_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.sweeping.cluster._CONNECT_S", 0.3)
    result = stoker("sweep", "small", "--vary", "load=1", "--scheduler", "tcp://127.0.0.1:9")
    assert result.exit_code == 2
    assert "no scheduler answers at tcp://127.0.0.1:9" in result.stderr
    result = stoker("sweep", "small", "--vary", "load=1", "--scheduler", "nonsense://x")
    assert result.exit_code == 2
    assert "--scheduler" in result.stderr


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.sweeping.cluster.importlib.util.find_spec", lambda name: None)
    study = grid_study(make_fleet(make_server("a")), ["load=1"])
    with pytest.raises(Exception, match=r"stoker\[distributed\]"):
        run_sweep(study, scheduler="tcp://127.0.0.1:1")
