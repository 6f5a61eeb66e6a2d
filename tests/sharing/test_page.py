"""The page about sharing: its example runs and prints what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from data.sharing_fields import MOST_SERVERS, SharingEntry
from tests.support.cli import ROOT, stoker

TEXT = (ROOT / "docs" / "sharing.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    found = re.search(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    return found[1]


def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sharing.yaml").write_text(text, encoding="utf-8")


def test_the_example_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, monkeypatch, block("yaml"))
    command, _, printed = block("console").partition("\n")
    result = stoker(*command.removeprefix("$ stoker ").split(), columns=None)
    assert result.exit_code == 0
    lines = [line for line in result.stdout.splitlines() if not line.startswith("Time ")]
    assert lines == printed.splitlines()


def test_the_explanation_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, monkeypatch, block("yaml"))
    (shown,) = (
        part for part in re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL) if "explain" in part
    )
    solve, explain, printed = shown.split("\n", 2)
    for command in (solve, explain):
        result = stoker(*command.removeprefix("$ stoker ").split(), columns=None)
        assert result.exit_code == 0
    assert result.stdout.startswith(printed)


@pytest.mark.parametrize(
    ("old", "new", "cost"),
    [("priorities: true", "priorities: false", "4.20"), ("sharing:\n- {name", "#", "5.60")],
)
def test_what_it_would_cost_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, cost: str
) -> None:
    assert old in block("yaml")
    written(tmp_path, monkeypatch, block("yaml").replace(old, new))
    result = stoker("solve", "sharing.yaml", columns=None)
    assert f"Cost       {cost} USD per hour" in result.stdout
    assert cost in TEXT


def test_the_simulation_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, monkeypatch, block("yaml"))
    exec(compile(block("python"), "page", "exec"), {})
    shown = block("text").splitlines() if "```text" in TEXT else []
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(shown) == 6
    for one, other in zip(printed, shown, strict=True):
        assert re.sub(r"\d{2,}", "", one) == re.sub(r"\d{2,}", "", other)
        values = [float(value) for value in re.findall(r"(\d+) ms", one)]
        told = [float(value) for value in re.findall(r"(\d+) ms", other)]
        assert values == pytest.approx(told, rel=0.02)


def test_every_key_is_told() -> None:
    for key in SharingEntry.model_fields:
        assert f"`{key}`" in TEXT
    assert f"2 to {MOST_SERVERS} servers" in TEXT
