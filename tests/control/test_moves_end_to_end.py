"""Moves of emulated servers, seen by the real collector and made by the loop of `control run`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controller.record import CycleRecord
from stoker.cli.control_wiring import wired
from tests.demos.conftest import skip_without_programs
from tests.support.moving_servers import BEFORE, NEW, OLD, WANTED, MovingServer, moving_server
from tests.support.real_cluster import RealCluster, eventually

pytestmark = pytest.mark.timeout(400)  # moves have many steps, and the machine may be busy
ROOT = Path(__file__).parents[2]
PATIENCE_S = 150.0


def reason(record: CycleRecord) -> str:
    found = record.document["servers"]["chat"]["decision"]
    return "" if found is None else str(found["reason"])


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        ({"error_rate": 0.5}, "of the requests to the new replicas fail"),
        ({"latency_factor": 8.0}, "of its target"),
    ],
    ids=["errors", "latency"],
)
def test_a_canary_whose_new_replica_does_badly_goes_back(
    real_cluster: RealCluster, tmp_path: Path, spoilt: dict[str, float], words: str
) -> None:
    skip_without_programs()
    canary = {"kind": "canary", "canary_steps": [0.5, 1.0], "canary_hold_s": 3600}
    with moving_server(real_cluster, tmp_path, 60, canary) as server:
        records: list[CycleRecord] = []
        with wired(server.document, None, records.append) as loop:

            def went_back() -> bool:
                loop.loop.cycle()
                told = reason(records[-1])
                if "watched for" in told:
                    server.spoil_new_ones(**spoilt)
                return told.startswith("went back") and words in told

            try:
                eventually(went_back, PATIENCE_S)
            except AssertionError:
                told = list(dict.fromkeys(map(reason, records)))
                pytest.fail(f"{server.sizes()}, {server.serving()}: {told}")
        # The old ones stayed: the new one came, and went again.
        changed = {each["workload"] for record in records for each in record.document["changes"]}
        assert {each.rpartition("/")[2] for each in changed} == {NEW}
        eventually(lambda: server.serving() == (BEFORE, 0), PATIENCE_S)


def test_a_move_is_over_when_the_old_replicas_have_finished_their_requests(
    real_cluster: RealCluster, tmp_path: Path
) -> None:
    skip_without_programs()
    with moving_server(real_cluster, tmp_path, 60, {"kind": "blue-green"}) as server:
        records: list[CycleRecord] = []
        with wired(server.document, None, records.append) as loop:

            def moved() -> bool:
                loop.loop.cycle()
                return reason(records[-1]) == "moved"

            eventually(moved, PATIENCE_S)
        seen = {
            each["workload"].rpartition("/")[2]: each
            for each in records[-1].document["cluster"]["workloads"]
        }
        assert (seen[OLD]["replicas_wanted"], seen[OLD]["terminating"]) == (0, 0)
        assert seen[NEW]["ready"] == WANTED
        served = server.emulated.answered(OLD)
        assert served
        assert all(each.done for each in served)


def test_a_loop_that_is_killed_at_every_step_of_a_move_gets_there(
    real_cluster: RealCluster, tmp_path: Path
) -> None:
    skip_without_programs()
    with moving_server(real_cluster, tmp_path, 5, {"kind": "rolling"}) as server:
        steps = [server.sizes()]
        while steps[-1] != (0, WANTED):
            killed_at_next_step(server, steps)
            assert sum(server.serving()) >= WANTED
        assert steps == [(BEFORE, 0), (BEFORE, WANTED), (0, WANTED)]
        eventually(lambda: server.serving() == (0, WANTED), PATIENCE_S)
        # The one that comes after it finds nothing to do.
        done = subprocess.run(
            command(server, "--cycles", "2"),
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert server.sizes() == (0, WANTED), done.stderr


def killed_at_next_step(server: MovingServer, steps: list[tuple[int, int]]) -> None:
    """Run a loop until it has changed something, and kill it that moment; note the step."""
    process = subprocess.Popen(
        command(server), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + PATIENCE_S
        while (sizes := server.sizes()) == steps[-1]:
            assert process.poll() is None, "it ended by itself"
            assert time.monotonic() < end, f"it stands at {sizes}"
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        steps.append(sizes)
    finally:
        process.kill()
        process.wait()


def command(server: MovingServer, *more: str) -> list[str]:
    program = [sys.executable, "-m", "stoker.cli.main", "control", "run", str(server.document)]
    return [*program, *more]
