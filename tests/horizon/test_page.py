"""The page about horizons: its example runs and prints what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.cli import ROOT, stoker

TEXT = (ROOT / "docs" / "horizon.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    found = re.search(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fleet.yaml").write_text(block("yaml"), encoding="utf-8")
    exec(compile(block("python"), "docs/horizon.md", "exec"), {})
    command, _, printed = block("console").partition("\n")
    result = stoker(*command.removeprefix("$ stoker ").split(), columns=None)
    assert result.exit_code == 0
    assert result.stdout == printed


def test_pictures_are_there_and_small() -> None:
    for path in re.findall(r"\]\((images/[^)]+)\)", TEXT):
        assert (ROOT / "docs" / path).stat().st_size < 150_000


def test_options_of_the_page_exist() -> None:
    usage = stoker("horizon", "--help", columns=200).stdout
    for option in re.findall(r"`(--[a-z-]+)", TEXT):
        assert option in usage, option
