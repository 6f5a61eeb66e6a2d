"""The folder keeps whole results, once each, of one sweep alone."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

import studies.sweeping.folder as folders
import studies.sweeping.sweep as sweep
from stoker import __version__
from stoker.domain.errors import InvalidInputError
from stoker.domain.settings import Analysis
from studies.sweeping.folder import LOG, MANIFEST, SweepFolder
from studies.sweeping.grid import Point, Study, grid_study
from studies.sweeping.planning import PointResult, plan_points
from studies.sweeping.rows import Layout
from studies.sweeping.sweep import CSV, PARQUET, done_before, run_sweep
from tests.support.small_fleets import make_fleet, make_server

FLEET = make_fleet(make_server("a"), make_server("b", service_class="bronze"))
FLEET = replace(FLEET, settings=replace(FLEET.settings, analysis=Analysis.REFERENCE))
STUDY = grid_study(FLEET, ["load=1,2", "cards=x0.5,x1,x2"])


def results(study: Study, points: Sequence[Point]) -> list[PointResult]:
    return list(plan_points(study, points, Layout.of(study)))


def test_what_is_done_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SweepFolder(tmp_path / "s", STUDY, __version__) as folder:
        folder.add(results(STUDY, STUDY.points[:4]))
    planned: list[int] = []

    def watched(study: Study, layout: Layout, tasks: Sequence[Sequence[Point]]) -> object:
        planned.extend(point.index for task in tasks for point in task)
        return ([result] for task in tasks for result in plan_points(study, task, layout))

    monkeypatch.setattr(sweep, "run_here", watched)
    counts: list[int] = []
    done = run_sweep(STUDY, folder=tmp_path / "s", report=counts.append)
    assert planned == [4, 5]
    assert counts == [4, 5, 6]
    assert (done.planned, len(done.rows)) == (2, 6)
    assert [row["point"] for row in done.rows] == list(range(6))
    assert {path.name for path in done.written} == {CSV, PARQUET}
    again = run_sweep(STUDY, folder=tmp_path / "s")
    assert (again.planned, again.rows) == (0, done.rows)


@pytest.mark.parametrize("cut", [1, 20, 10_000])
def test_a_line_that_was_cut_off_is_planned_again(tmp_path: Path, cut: int) -> None:
    with SweepFolder(tmp_path, STUDY, __version__) as folder:
        folder.add(results(STUDY, STUDY.points[:3]))
    log = tmp_path / LOG
    whole = log.read_bytes()
    last = whole[:-1].rfind(b"\n") + 1
    log.write_bytes(whole[: max(last, len(whole) - cut)] if cut < 10_000 else whole + b'{"poi')
    kept = 3 if cut == 10_000 else 2
    assert done_before(STUDY, tmp_path) == kept
    done = run_sweep(STUDY, folder=tmp_path)
    assert done.planned == 6 - kept
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert sorted(line["point"] for line in lines) == list(range(6))


def test_results_that_come_twice_are_kept_once(tmp_path: Path) -> None:
    made = results(STUDY, STUDY.points[:2])
    with SweepFolder(tmp_path, STUDY, "1") as folder:
        assert len(folder.add([made[0], made[0], made[1]])) == 2
        assert folder.add(made) == []
    assert len((tmp_path / LOG).read_text().splitlines()) == 2


def test_another_fleet_grid_or_version_is_refused_by_name(tmp_path: Path) -> None:
    with SweepFolder(tmp_path, STUDY, "1"):
        pass
    dearer = replace(FLEET, accelerators=(replace(FLEET.accelerators[0], cost_per_hour=5.01),))
    other_fleet = replace(STUDY, fleet=dearer)
    other_grid = grid_study(FLEET, ["load=1,2", "cards=x0.5,x1,x3"])
    for study, version, word in (
        (other_fleet, "1", "another fleet "),
        (other_grid, "1", "another grid "),
        (STUDY, "2", "another Stoker "),
        (replace(other_grid, fleet=dearer), "1", "another fleet and grid "),
    ):
        with pytest.raises(InvalidInputError, match=word), SweepFolder(tmp_path, study, version):
            pass


def test_two_at_a_time_are_refused(tmp_path: Path) -> None:
    with (
        SweepFolder(tmp_path, STUDY, "1"),
        pytest.raises(InvalidInputError, match="another process"),
        SweepFolder(tmp_path, STUDY, "1"),
    ):
        pass


def test_of_two_that_begin_at_once_one_has_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = grid_study(FLEET, ["load=3,4", "cards=x0.5,x1,x2"])
    entered: list[Study] = []

    def enter(study: Study) -> None:
        with SweepFolder(tmp_path, study, __version__) as folder:
            entered.append(study)
            folder.add(results(study, study.points[:1]))

    def write(path: Path, content: bytes) -> None:
        # The other one begins after this one has looked into the folder.
        monkeypatch.setattr(folders, "write_whole", as_it_is)
        with suppress(InvalidInputError):
            enter(other)
        as_it_is(path, content)

    as_it_is = folders.write_whole
    monkeypatch.setattr(folders, "write_whole", write)
    with suppress(InvalidInputError):
        enter(STUDY)
    assert len(entered) == 1
    assert done_before(entered[0], tmp_path) == 1
    stranger = other if entered[0] is STUDY else STUDY
    with pytest.raises(InvalidInputError, match="another grid"):
        done_before(stranger, tmp_path)


def test_what_a_kill_leaves_of_a_beginning_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / LOG).touch()
    (tmp_path / f".{MANIFEST}.4711.tmp").write_bytes(b'{"form"')
    run_sweep(STUDY, folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {MANIFEST, LOG, CSV, PARQUET}
    (tmp_path / f".{CSV}.4711.tmp").write_bytes(b"point,")
    run_sweep(STUDY, folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {MANIFEST, LOG, CSV, PARQUET}


def test_a_log_without_its_sweep_is_no_new_folder(tmp_path: Path) -> None:
    with SweepFolder(tmp_path, STUDY, __version__) as folder:
        folder.add(results(STUDY, STUDY.points[:1]))
    (tmp_path / MANIFEST).unlink()
    with pytest.raises(InvalidInputError, match="holds other files"):
        done_before(STUDY, tmp_path)


def test_folders_of_other_things_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with (
        pytest.raises(InvalidInputError, match="holds other files"),
        SweepFolder(tmp_path, STUDY, "1"),
    ):
        pass
    with (
        pytest.raises(InvalidInputError, match="is a file"),
        SweepFolder(tmp_path / "thesis.txt", STUDY, "1"),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_damage_in_the_middle_is_told(tmp_path: Path) -> None:
    with SweepFolder(tmp_path, STUDY, "1") as folder:
        folder.add(results(STUDY, STUDY.points[:3]))
    lines = (tmp_path / LOG).read_text().splitlines()
    for broken in (["{}", *lines[1:]], [lines[0], lines[0], lines[2]], [lines[0], "x", lines[2]]):
        (tmp_path / LOG).write_text("\n".join(broken) + "\n")
        with (
            pytest.raises(InvalidInputError, match="is damaged"),
            SweepFolder(tmp_path, STUDY, "1"),
        ):
            pass
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(InvalidInputError, match="not JSON"), SweepFolder(tmp_path, STUDY, "1"):
        pass
