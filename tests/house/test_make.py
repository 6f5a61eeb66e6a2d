"""The make targets, as a newcomer meets them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def make(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run make in the repository, free of the settings of a make that runs these tests."""
    program = shutil.which("make")
    if program is None:
        pytest.skip("no make on this machine")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    if path is not None:
        environment["PATH"] = path
    return subprocess.run(
        [program, "--no-print-directory", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def declared_targets() -> set[str]:
    match = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert match is not None
    return set(match.group(1).split())


def test_help_is_the_default_and_lists_every_target() -> None:
    done = make()
    assert done.returncode == 0
    listed = re.findall(r"^  make (\S+) +\S", done.stdout, flags=re.MULTILINE)
    assert set(listed) == declared_targets()
    assert done.stdout == make("help").stdout


@pytest.mark.parametrize(
    "target", ["plan", "watch", "test", "lint", "bench", "wheel", "docs", "help"]
)
def test_promised_targets_exist(target: str) -> None:
    assert target in declared_targets()


def test_an_unsuitable_python_is_refused_with_the_remedy(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" || exit 1\n')
    old.chmod(0o755)
    done = make(f"VENV={tmp_path}/env", f"{tmp_path}/env/.python", path=str(tmp_path))
    assert done.returncode == 2
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert "Python 3.9.2" in done.stderr
    assert not (tmp_path / "env").exists()


def test_ci_runs_the_three_checks() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    commands = re.findall(r"^make (\w+)$", script.read_text(), flags=re.MULTILINE)
    assert commands == ["lint", "wheel", "test"]
