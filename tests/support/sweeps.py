"""Sweeps run by real processes: started, watched, cut off, and compared with undisturbed ones."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.cli import ROOT

ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    "PATH": "/usr/bin:/bin",
    "OMP_NUM_THREADS": "1",
    "HOME": "/tmp",
}


def start_sweep(*arguments: object) -> subprocess.Popen[str]:
    """Start `stoker sweep` in a process group of its own."""
    command = [sys.executable, "-m", "stoker.cli.main", "sweep", *map(str, arguments)]
    return subprocess.Popen(
        command,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Whoever runs the tests in the background ignores interrupts, and so would the sweep.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_until(true: Callable[[], bool], what: str, limit_s: float = 60.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.01)


def lines_of(log: Path) -> int:
    """Return the whole lines of a log, 0 where there is none yet."""
    return log.read_bytes().count(b"\n") if log.exists() else 0


def group_is_gone(group: int) -> bool:
    """Whether no process of a group is left but zombies that nobody can have reaped yet."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a process as the kernel does when memory runs out: no time to say goodbye."""
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file, timings apart."""
    with path.open(newline="", encoding="utf-8") as stream:
        return [
            {name: cell for name, cell in row.items() if not name.endswith("_ms")}
            for row in csv.DictReader(stream)
        ]


class Cluster:
    """A Dask scheduler and workers, each a process of its own on the loopback interface.

    Attributes:
        address: Address of the scheduler.
        workers: The worker processes.
    """

    def __init__(self, folder: Path, workers: int) -> None:
        """Start all of them, and wait until the scheduler listens.

        Args:
            folder: Where they may write.
            workers: Number of workers.
        """
        found = folder / "scheduler.json"
        self.scheduler = _start_dask(
            folder, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
            "--no-show", "--scheduler-file", str(found),
        )  # fmt: skip
        wait_until(found.exists, "the scheduler")
        self.address = str(json.loads(found.read_text())["address"])
        self.workers = [
            _start_dask(
                folder, "worker", self.address, "--host", "127.0.0.1", "--nthreads", "1",
                "--no-nanny", "--no-dashboard", "--local-directory", str(folder / f"worker-{k}"),
            )
            for k in range(workers)
        ]  # fmt: skip

    def close(self) -> None:
        """End what still runs."""
        for process in (*self.workers, self.scheduler):
            if process.poll() is None:
                kill(process)


def _start_dask(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments],
        env=ENVIRONMENT,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
