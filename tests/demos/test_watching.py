"""The page that shows a closed loop while it runs, and how it ends on Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from demos.cluster.moment import DecisionMade, Moment, ServerMoment, Watched, hour_of
from demos.cluster.view import moment_line, moment_view, sparkline
from emulator.load_phases import Constant, Load
from stoker.cli.output import plain_text
from tests.demos.conftest import skip_without_programs

ROOT = Path(__file__).parents[2]
WATCHED = Watched("chat", "H100", Load((Constant(20.0, 300.0),)), 1500.0, 60.0, 3.0)
CHAT = ServerMoment(
    WATCHED,
    offered_rps=20.0,
    planned_rps=23.5,
    loads=(5.0, 10.0, 20.0),
    serving=3,
    starting=1,
    draining=0,
    asked=4,
    sizes=(1.0, 2.0, 3.0),
    ttft_ms=300.0,
    itl_ms=66.0,
    requests=1234,
    in_time=0.987,
    cost=0.5,
    holds="stays: cooldown",
)
MOMENT = Moment(
    150.0,
    300.0,
    30,
    0.4,
    ("a query was not answered",),
    (CHAT, replace(CHAT, watched=replace(WATCHED, name="reports"), ttft_ms=None, in_time=None)),
    (DecisionMade(100.0, "chat", 3, 4, "23.5/s expected within 10 s"),),
)


def page(moment: Moment = MOMENT, width: int = 100) -> str:
    return plain_text(moment_view(moment, width, "USD", ["a hint"]), width)


def test_the_page_tells_load_replicas_latency_cost_and_decisions() -> None:
    shown = page()
    for words in (
        "12:00",
        "150 of 300 s",
        "30 cycles (0.4 s the last)",
        "24.00 USD/h",
        "chat on H100",
        "reports on H100",
        "20.0/s, planned for 23.5/s",
        "3 of 4 serve, 1 start",
        "300 of 1,500 ms",
        "66 of 60 ms",
        "98.7% of 1,234",
        "12.00 USD/h, 0.50 so far",
        "stays: cooldown",
        "08:00  chat  3 → 4 replicas  23.5/s expected within 10 s",
        "! a query was not answered",
        "a hint",
    ):
        assert words in shown, words


def test_the_page_fits_a_small_terminal_and_does_not_jump() -> None:
    for width in (80, 100, 140):
        lines = page(width=width).splitlines()
        assert max(map(len, lines)) <= width
        first = replace(MOMENT.decisions[0], why="23.5/s expected within 10 s; " * 9)
        many = [replace(first, at_s=10.0 * at) for at in range(20)]
        assert "02:24  chat  3 → 4 replicas  23.5/s" in page(replace(MOMENT, decisions=many), width)
        assert len(page(replace(MOMENT, decisions=many), width).splitlines()) == len(lines)
        assert len(page(replace(MOMENT, decisions=()), width).splitlines()) == len(lines)
        assert len(lines) <= 25


def test_a_line_for_a_log() -> None:
    line = moment_line(MOMENT, "USD")
    assert line.startswith("12:00  chat 20.0/s on 3 of 4 replicas, TTFT 0.20 and ITL 1.10 of")
    assert "TTFT - and" in line
    assert line.endswith("24.00 USD/h")


def test_a_sparkline_grows_with_the_day_and_its_values() -> None:
    assert sparkline([1, 2, 4, 8], 8, 8) == "▁▂▄█"
    assert sparkline([0, 8], 4, 4) == " █"
    assert len(sparkline([1.0] * 60, 24, 60)) == 24
    assert len(sparkline([1.0] * 30, 24, 60)) == 12
    assert sparkline([0.0, 0.0], 4, 4) == ""
    assert sparkline([], 4, 4) == ""


def test_hours_of_the_day() -> None:
    assert [hour_of(at_s, 240.0) for at_s in (0.0, 15.0, 97.0, 240.0)] == [
        "00:00",
        "01:30",
        "09:42",
        "24:00",
    ]


@contextmanager
def a_day(folder: Path, output: Path) -> Iterator[subprocess.Popen[str]]:
    """A day that lasts long, with all that it writes in a folder that tells its processes."""
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "demos.d15_control_loop", "--day", "60", "--output", str(output)],
        cwd=ROOT,
        env={**_environment(), "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background ignores interrupts, and so would the day.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _environment() -> dict[str, str]:

    return {**os.environ, "PYTHONUNBUFFERED": "1"}


def processes_of(folder: Path) -> list[str]:
    """Command lines that name something in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended
        if f"{folder}/" in words:
            found.append(words)
    return found


@pytest.mark.timeout(300)
def test_ctrl_c_ends_all_that_was_started_and_draws_what_was_seen(tmp_path: Path) -> None:
    skip_without_programs()
    folder, output = tmp_path / "world", tmp_path / "out"
    with a_day(folder, output) as process:
        assert process.stderr is not None
        hours = iter(process.stderr.readline, "")
        assert next(hours).startswith("00:")
        assert len(processes_of(folder)) >= 4  # etcd and API server among them
        next(line for line in hours if line.startswith("03:"))
        process.send_signal(signal.SIGINT)
        printed, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    assert processes_of(folder) == []
    assert list(folder.iterdir()) == []
    assert "Traceback" not in told
    data = json.loads((output / "result.json").read_text(encoding="utf-8"))
    assert data["end_s"] < data["day_s"]
    assert "until 0" in printed
    assert {path.name for path in output.iterdir()} == {"result.json", *data["pictures"]}
