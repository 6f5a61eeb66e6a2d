"""The page of docs says what the commands print, and its snippet runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import ROOT, stoker

PAGE = (ROOT / "docs" / "explaining.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    for name, scale in (("full", "1"), ("half", "0.5")):
        output = folder / f"{name}.json"
        stoker("solve", "small", "--capacity-scale", scale, "--format", "json", "-o", output)
    return folder


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "command",
    [
        "stoker explain half.json --fleet small --server Free-mixtral_8_7b",
        "stoker diff full.json half.json",
    ],
)
def test_printed_output_is_what_the_command_prints(folder: Path, command: str) -> None:
    block = PAGE[PAGE.index(f"$ {command}\n") :]
    told = block[: block.index("```")].split("\n", 1)[1].strip()
    _, *arguments = command.split()
    given = [folder / each if each.endswith(".json") else each for each in arguments]
    # On a busy machine the search may take longer than it is given.
    patient = ["--explain-time", "3600"] if arguments[0] == "explain" else []
    printed = stoker(*given, *patient, columns=110).stdout
    assert told in printed


def test_python_snippet_runs() -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", snippet],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("0\n")
