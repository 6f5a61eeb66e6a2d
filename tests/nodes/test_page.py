"""The page about placement: its example runs and prints what it shows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from data.node_fields import NodeEntry
from stoker.domain.placement import Misfit
from tests.support.cli import ROOT, stoker
from tests.support.rest import rest_client

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


def test_the_plan_that_fits_is_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    section = TEXT.split("## A plan that fits its nodes")[1].split("\n## ")[0]
    (fleet,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    Path("fleet.yaml").write_text(fleet, encoding="utf-8")
    shown = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    assert len(shown) == 2
    for text in shown:
        solve, place, printed = text.split("\n", 2)
        assert stoker(*solve.removeprefix("$ stoker ").split(), columns=None).exit_code == 0
        result = stoker(*place.removeprefix("$ stoker ").split(), columns=None)
        assert result.stdout == printed
        cost = json.loads(Path("plan.json").read_text(encoding="utf-8"))["cost_per_hour"]
        assert f"{cost:g} USD per hour" in section


def test_the_request_shown_is_answered() -> None:
    section = TEXT.split("## Over REST")[1]
    (request,) = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    with rest_client() as client:
        answer = client.post("/v1/placements", content=request)
    assert answer.status_code == 200
    assert answer.json()["complete"] is False


def test_every_key_and_reason_is_explained() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))
    assert explained == set(NodeEntry.model_fields) | {reason.value for reason in Misfit}
