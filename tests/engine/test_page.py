"""The page about the analysis: its examples run, and print what the page shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from queueing.engine import EngineCases
from queueing.engine.cases import LARGEST_BATCH
from queueing.engine.held import BLOCK_TOKENS
from queueing.engine.lengths import WEIGHTS
from queueing.engine.sizing import FIRST_LOAD, LARGEST_LOAD, SMALLEST_LOAD
from queueing.engine.window import COARSE, FINE
from tests.support.replica_cli import run
from tests.support.simulation_cli import simulate

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "engine.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
WITHIN = 0.01
"""What an approximation may be changed by before the page has to show other figures."""


def block(pattern: str) -> str:
    """Return what a pattern finds on the page, once."""
    found: list[str] = re.findall(pattern, TEXT, re.DOTALL)
    assert len(found) == 1
    return found[0]


LINE = block(r"\$ stoker replica solve - --analysis full\n(.*?)\n```")


def test_the_snippet_prints_what_the_page_shows() -> None:
    done = subprocess.run(
        [sys.executable, "-c", block(r"```python\n(.*?)```")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = block(r"```text\n(.*?)```")
    assert NUMBER.sub("#", done.stdout) == NUMBER.sub("#", shown)
    printed, expected = (
        [float(number) for number in NUMBER.findall(text)] for text in (done.stdout, shown)
    )
    # As printed: one in the last digit is rounding.
    assert printed == pytest.approx(expected, rel=WITHIN, abs=0.11)


def test_the_command_answers_what_the_page_shows() -> None:
    (answer,) = run("solve", "-", "--analysis", "full", stdin=LINE).answers
    shown = json.loads(block(r"```json\n(.*?)```"))
    assert {name: answer[name] for name in shown} == {
        name: pytest.approx(value, rel=WITHIN) for name, value in shown.items()
    }


def test_the_simulator_takes_the_same_line() -> None:
    assert simulate("-", stdin=LINE).exit_code == 0


def test_every_input_has_a_symbol() -> None:
    section = TEXT.split("## Words and symbols\n")[1].split("\n## ")[0]
    rows = re.findall(r"\| (`[^|]*) \|$", section, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == {field.name for field in fields(EngineCases)} - {"times"}


def test_modules_that_headings_name_are_there() -> None:
    headings = re.findall(r"^### .* — (.*)$", TEXT, re.MULTILINE)
    modules = {name for heading in headings for name in re.findall(r"`(\w+)`", heading)}
    assert len(modules) > 20
    folder = ROOT / "queueing" / "engine"
    assert modules <= {path.stem for path in folder.glob("*.py")}


def test_constants_are_those_of_the_program() -> None:
    flowing = " ".join(TEXT.split())
    assert f"in at most {FINE} numbers" in flowing
    assert f"So a limit of {LARGEST_BATCH:,} costs" in flowing
    assert f"in blocks of {BLOCK_TOKENS:g}" in flowing
    assert f"Rates up to {LARGEST_LOAD:.1%} of saturation" in flowing
    assert f"{FIRST_LOAD:.0%} of the load is tried first" in flowing
    assert f"{LARGEST_LOAD:.1%} or {SMALLEST_LOAD:.2%}: targets missed even there" in flowing
    # "nine strata" and "evaluated at ten", the empty replica among them.
    assert (len(WEIGHTS), COARSE + 1) == (9, 10)
