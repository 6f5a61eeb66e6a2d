"""The page about the simulator: its examples run, and every field is explained."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from data import network_fields, replica_fields
from data.simulation_fields import FIELDS
from tests.support.simulation_cli import simulate

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")


def test_the_example_line_runs() -> None:
    match = re.search(r"\$ stoker simulate -\n(.*?)\n```", TEXT, re.DOTALL)
    assert match is not None
    assert simulate("-", stdin=match.group(1)).exit_code == 0


def test_the_snippet_runs() -> None:
    match = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert match is not None
    done = subprocess.run(
        [sys.executable, "-c", match.group(1)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"p95 TTFT \d+ ms\n", done.stdout)


def test_every_field_is_explained() -> None:
    section = TEXT.split("## A case\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    own = set(FIELDS) - set(replica_fields.FIELDS) - set(network_fields.FIELDS)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == own
