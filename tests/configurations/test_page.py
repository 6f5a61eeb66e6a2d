"""The page about configurations: its example runs and prints what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from data.configuration_fields import DisaggregatedEntry, ParallelEntry
from tests.support.cli import ROOT, stoker

TEXT = (ROOT / "docs" / "configurations.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    found = re.search(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configured.yaml").write_text(block("yaml"), encoding="utf-8")
    command, _, printed = block("console").partition("\n")
    result = stoker(*command.removeprefix("$ stoker ").split(), columns=None)
    assert result.exit_code == 0
    lines = [line for line in result.stdout.splitlines() if not line.startswith("Time ")]
    assert lines == printed.splitlines()


def test_without_pools_the_documents_do_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = block("yaml").replace("serving: [aggregated, disaggregated]", "")
    Path("configured.yaml").write_text(text, encoding="utf-8")
    result = stoker("solve", "configured.yaml", columns=None)
    assert result.exit_code == 3
    assert "9 replicas on H100 (fp8-tp4) take 36 cards" in result.stdout


def test_every_key_is_explained() -> None:
    explained = set(re.findall(r"`(\w+)`", TEXT))
    assert set(ParallelEntry.model_fields) <= explained
    assert set(DisaggregatedEntry.model_fields) <= explained


def test_a_plan_in_infernos_form_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configured.yaml").write_text(block("yaml"), encoding="utf-8")
    result = stoker("solve", "configured.yaml", "--format", "inferno", columns=None)
    assert result.exit_code == 2
    assert "inferno tells no configuration, which the plan of this fleet decides" in result.stderr
