"""Loops in processes of their own, that end or stand still at the very moment of acting."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path

from demos.cluster.processes import ServerProcess
from tests.support.cli import ROOT

_PROGRAM = """
import os, runpy, signal, sys

from actuator.kubernetes.hands import ClusterHands

moment = sys.argv[1]
sys.argv = ["stoker", "control", "run", *sys.argv[2:]]
apply = ClusterHands.apply


def at_the_moment(self, targets, **options):
    if moment == "killed before":
        os.kill(os.getpid(), signal.SIGKILL)
    if moment == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    results = apply(self, targets, **options)
    if moment == "killed after":
        os.kill(os.getpid(), signal.SIGKILL)
    return results


ClusterHands.apply = at_the_moment
runpy.run_module("stoker.cli.main", run_name="__main__")
"""


class Moment(StrEnum):
    """What becomes of a loop that has decided and written down what it is about to do."""

    NONE = "none"
    KILLED_BEFORE = "killed before"
    """SIGKILL before the first write of the cycle."""
    KILLED_AFTER = "killed after"
    """SIGKILL after the last one, before it is written down that it was done."""
    STOPPED = "stopped"
    """SIGSTOP before the first write."""


def other_loop(document: Path, moment: Moment, *options: str) -> ServerProcess:
    """Return a loop that can be started: `stoker control run` but for that moment."""
    program = [sys.executable, "-W", "ignore", "-c", _PROGRAM]
    command = [*program, moment.value, str(document), *options]
    log = document.with_suffix(f".{moment.value.replace(' ', '-')}.log")
    return ServerProcess(document.stem, command, log, {"PYTHONPATH": str(ROOT)})


def stands_still(process: ServerProcess) -> bool:
    """Whether a process was stopped by a signal."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    except OSError:
        return False
    return any(line.startswith("State:\tT") for line in status.splitlines())
