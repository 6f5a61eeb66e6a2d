"""The README runs: its commands work, and the output it prints is what they print."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)
PYTHON = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
ELISION = "..."
STOKER = f"{shlex.quote(sys.executable)} -m stoker.cli.main"


def run(command: str, folder: Path) -> str:
    """Run a shell line of the README with this checkout's `stoker`, and return its output."""
    line = re.sub(r"(^|\| )stoker ", rf"\1{STOKER} ", command)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("COLUMNS", None)
    done = subprocess.run(
        line, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    # 3 is an answer: not every server is served in full.
    assert done.returncode in (0, 3), done.stderr
    return done.stdout


def assert_shown(printed: str, output: str) -> None:
    """Check that printed lines stand in the output in order, with nothing left out but `...`."""
    actual = [line.rstrip() for line in output.splitlines()]
    at, gap = 0, False
    for line in printed.splitlines():
        if line == ELISION:
            gap = True
            continue
        # Rules across the page are cut to fit.
        matches = [
            k
            for k in range(at, len(actual))
            if actual[k] == line or (actual[k].startswith(f"{line} ─") and line)
        ]
        assert matches, f"not in the output: {line!r}"
        assert gap or matches[0] == at, f"something is left out before {line!r}"
        at, gap = matches[0] + 1, False
    assert gap or at == len(actual), "the output goes on"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0][:60])
def test_commands_print_what_the_readme_says(block: str, tmp_path: Path) -> None:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        output = run(command, tmp_path)
        if printed:
            assert_shown(printed, output)


@pytest.mark.parametrize("snippet", PYTHON)
def test_python_snippets_run(snippet: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", snippet],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "USD optimal" in done.stdout


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_make_targets_of_the_readme_exist() -> None:
    make = shutil.which("make")
    assert make is not None
    for target in set(re.findall(r"^make ([a-z]+)", README, flags=re.MULTILINE)):
        subprocess.run([make, "-n", target], cwd=ROOT, check=True, capture_output=True)
