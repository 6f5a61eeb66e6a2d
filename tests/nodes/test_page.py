"""The page about placement: its example runs and prints what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from data.node_fields import NodeEntry
from stoker.domain.placement import Misfit
from tests.support.cli import ROOT, stoker

TEXT = (ROOT / "docs" / "placement.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    found = re.search(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nodes.yaml").write_text(block("yaml"), encoding="utf-8")
    Path("plan.json").write_text(block("json"), encoding="utf-8")
    command, _, printed = block("console").partition("\n")
    result = stoker(*command.removeprefix("$ stoker ").split(), columns=None)
    assert result.exit_code == 3
    assert result.stdout == printed


def test_every_key_and_reason_is_explained() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))
    assert explained == set(NodeEntry.model_fields) | {reason.value for reason in Misfit}
