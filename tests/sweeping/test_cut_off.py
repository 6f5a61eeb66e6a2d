"""Real sweeps, cut off: nothing is lost, doubled or half-written, and no process stays behind."""

import json
import os
import random
import signal
from pathlib import Path

import pytest

from studies.sweeping.folder import LOG
from tests.support.cli import stoker
from tests.support.sweeps import (
    group_is_gone,
    kill,
    lines_of,
    rows_of,
    start_sweep,
    wait_until,
)

POINTS = 24
SWEEP = (
    "small",
    "--vary",
    "analysis=reference",
    "--vary",
    "cards=x0.05:0.6:0.05",
    "--vary",
    "price.A100=0.2,0.4",
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    folder = tmp_path_factory.mktemp("undisturbed") / "sweep"
    result = stoker("sweep", *SWEEP, "--jobs", 1, "--output", folder)
    assert result.exit_code == 0
    return rows_of(folder / "results.csv")


def test_killed_at_random_points_and_gone_on_with(
    tmp_path: Path, undisturbed: list[dict[str, str]]
) -> None:
    folder, seed = tmp_path / "sweep", random.randrange(10**6)
    draw = random.Random(seed)
    for jobs in (2, 1):
        before = lines_of(folder / LOG)
        process = start_sweep(*SWEEP, "--jobs", jobs, "--output", folder)
        target = before + draw.randint(1, 6)
        wait_until(lambda wanted=target: lines_of(folder / LOG) >= wanted, f"seed {seed}")  # type: ignore[misc]
        kill(process)
        wait_until(lambda gone=process.pid: group_is_gone(gone), "workers outlive it")  # type: ignore[misc]
        assert not (folder / "results.csv").exists()
    done = lines_of(folder / LOG)
    assert 0 < done < POINTS, seed
    with (folder / LOG).open("ab") as log:
        log.write(b'{"point": 7, "row": [7, "half of a li')

    result = stoker("sweep", *SWEEP, "--jobs", 1, "--output", folder)
    assert result.exit_code == 0
    assert f"{done} of {POINTS} points were done before" in result.stderr
    assert rows_of(folder / "results.csv") == undisturbed
    indices = [json.loads(line)["point"] for line in (folder / LOG).read_text().splitlines()]
    assert sorted(indices) == list(range(POINTS)), seed


def test_an_interrupt_keeps_what_is_done_and_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    # More points than a quick machine plans before the interrupt comes.
    many = [word.replace(":0.05", ":0.005") for word in SWEEP]
    process = start_sweep(*many, "--jobs", 2, "--output", folder)
    wait_until(lambda: lines_of(folder / LOG) >= 2, "first points")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers, too
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output == ""
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    wait_until(lambda: group_is_gone(process.pid), "workers outlive it")
    assert 2 <= lines_of(folder / LOG) < 9 * POINTS
