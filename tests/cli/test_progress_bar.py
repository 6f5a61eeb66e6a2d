"""The bar for what takes long."""

import io
import sys
import time

import pytest

from stoker.cli import progress_bar
from stoker.cli.progress_bar import steps_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(
    monkeypatch: pytest.MonkeyPatch, steps: int, seconds: float, *, wanted: bool = True
) -> str:
    """Return what a terminal sees of work that takes so long."""
    # Not in a fixture: pytest puts its own standard error back before a test begins.
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with steps_bar("Fitting", steps, wanted=wanted) as report:
        report(1)
        time.sleep(seconds)
    monkeypatch.undo()
    return stream.getvalue()


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bar, "PATIENCE_S", 0.02)


def test_what_is_quick_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Fitting" not in shown(monkeypatch, 3, 0.0)


def test_what_is_slow_shows_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    text = shown(monkeypatch, 3, 0.4)
    assert "Fitting" in text
    assert "1/3" in text


def test_one_step_has_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    text = shown(monkeypatch, 1, 0.4)
    assert "Fitting" in text
    assert "1/1" not in text


def test_no_bar_beside_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    assert shown(monkeypatch, 3, 0.2, wanted=False) == ""


def test_no_bar_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with steps_bar("Fitting", 3) as report:
        report(1)
    assert capsys.readouterr().err == ""
