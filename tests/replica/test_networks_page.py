"""The page about fleets and pools: its examples run and print what it shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data import network_fields
from tests.support.replica_cli import ask, read_strictly, run
from tests.support.simulation_cli import simulate

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
WITHIN = 0.02
"""What the analysis may be changed by before the page has to show other figures."""

TABLES = re.findall(
    r"\$ stoker replica target - --format table\n(.*?)\n---\n(.*?)\n```", TEXT, re.DOTALL
)
(LINE,) = re.findall(r"\$ stoker replica solve -\n(.*)\n```", TEXT)
SHOWN = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]


def words(text: str) -> str:
    """The text without its figures, and without the room that they take."""
    return " ".join(NUMBER.sub("#", text).split())


def figures(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in NUMBER.findall(text)]


@pytest.mark.parametrize(("lines", "shown"), TABLES, ids=["fleets", "pools"])
def test_tables_are_those_that_the_command_prints(lines: str, shown: str) -> None:
    printed = run("target", "-", "--format", "table", stdin=lines).stdout
    assert words(printed) == words(shown)
    assert figures(printed) == pytest.approx(figures(shown), rel=WITHIN, abs=1.01)


def test_analysis_and_simulation_answer_what_the_page_shows() -> None:
    told = run("solve", "-", stdin=LINE).answers[0]
    seen = read_strictly(simulate("-", stdin=LINE).stdout)
    for answer, shown in zip((told, seen), SHOWN, strict=True):
        for name, value in shown.items():
            assert_alike(answer[name], value, name)


def assert_alike(value: Any, shown: Any, name: str) -> None:
    if isinstance(shown, dict):
        assert list(value) == list(shown)
        for key in shown:
            assert_alike(value[key], shown[key], f"{name}.{key}")
    else:
        assert value == (pytest.approx(shown, rel=WITHIN) if isinstance(shown, float) else shown)


def explained(heading: str) -> set[str]:
    """Names in the first column of the table under a heading."""
    section = TEXT.split(f"### {heading}\n")[1].split("\n##")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_field_is_explained() -> None:
    assert explained("Fields of a line") == set(network_fields.FIELDS)
    assert f"1 to {network_fields.LARGEST_FLEET:,}" in TEXT
    assert f"2 to {network_fields.LARGEST_CARDS:,}" in TEXT
    for router in network_fields.ROUTERS:
        assert f"`{router}`" in TEXT


def test_every_field_of_an_answer_is_explained() -> None:
    case = {name: value for name, value in json.loads(LINE).items() if "Replicas" not in name}
    pools = ask("target", [case | {"cards": 3, "kvTokens": 100_000}]).answers[0]
    alone = ask("target", [{**case, "prefillReplicas": 1, "decodeReplicas": 2}]).answers[0]
    plain = {
        name: value for name, value in case.items() if not name.startswith(("prefill", "transfer"))
    }
    one = ask("target", [plain | {"kvTokens": 100_000}]).answers[0]
    assert set(pools) | set(alone) == (set(one) - {"kvUse"}) | explained("Fields of an answer")
    for part in (pools["prefill"], pools["splits"][0]):
        assert all(f"`{name}`" in TEXT for name in part)


@pytest.mark.parametrize("snippet", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_snippets_run(snippet: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", snippet],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
