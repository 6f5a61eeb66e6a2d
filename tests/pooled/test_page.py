"""The page about pools: its example with slices and shared replicas prints what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.support.cli import ROOT, stoker
from tests.support.rest import rest_client

TEXT = (ROOT / "docs" / "pools.md").read_text(encoding="utf-8")
SECTION = TEXT.partition("## Slices of cards and shared replicas")[2]


def block(kind: str) -> str:
    found = re.search(rf"```{kind}\n(.*?)```", SECTION, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small-models.yaml").write_text(block("yaml"), encoding="utf-8")
    command, _, printed = block("console").partition("\n")
    result = stoker(*command.removeprefix("$ stoker ").split(), columns=None)
    assert result.exit_code == 0
    lines = [line for line in result.stdout.splitlines() if not line.startswith("Time ")]
    assert lines == printed.splitlines()


def test_what_it_would_cost_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    apart = block("yaml").partition("sharing:\n")[0]
    Path("apart.yaml").write_text(apart, encoding="utf-8")
    result = stoker("solve", "apart.yaml", columns=None)
    assert "Cost       3.36 USD per hour" in result.stdout  # of it 0.96 of reports


def test_the_service_answers_with_the_same_plan() -> None:
    with rest_client() as client:
        answer = client.post("/v1/plan", json=yaml.safe_load(block("yaml")))
    assert answer.status_code == 200
    told = answer.json()["allocations"]
    assert {name: item["cards"] for name, item in told.items()} == {
        "chat": 2,
        "mail": 0,
        "reports": 0,
    }
    assert told["mail"]["counted_with"] == "chat"
    assert [part["cards"] for part in told["reports"]["placements"]] == [0, 0]
    assert all(item["sliced"] for item in told.values())
