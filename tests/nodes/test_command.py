"""`stoker place`: from a plan and a file of nodes to places, as people and programs read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli import stoker


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    assert stoker("solve", "small", "--format", "json", "--output", path).exit_code == 0
    return path


def nodes_file(folder: Path, a100: int, g2: int) -> Path:
    path = folder / "nodes.yaml"
    path.write_text(
        "nodes:\n"
        f"  - {{name: a100, count: {a100}, card_type: A100, cards: 8, zone: east}}\n"
        f"  - {{name: g2, count: {g2}, card_type: G2, cards: 8, zone: west}}\n"
    )
    return path


@pytest.mark.parametrize("strategy", ["pack", "spread"])
def test_a_whole_plan_on_enough_nodes(plan: Path, tmp_path: Path, strategy: str) -> None:
    nodes = nodes_file(tmp_path, 100, 90)
    arguments = ("place", plan, "--nodes", nodes, "--strategy", strategy, "--fleet", "small")
    result = stoker(*arguments, "--format", "json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    planned = json.loads(plan.read_text())["allocations"]
    assert answer["complete"] is True
    assert {server: len(own) for server, own in answer["placed"].items()} == {
        server: item["replicas"] for server, item in planned.items()
    }
    assert [goal["name"] for goal in answer["goals"][:3]] == [
        f"replicas placed, priority {priority}" for priority in (1, 2, 3)
    ]


def test_priorities_decide_who_is_left_out(plan: Path, tmp_path: Path) -> None:
    nodes = nodes_file(tmp_path, 20, 90)
    result = stoker("place", plan, "--nodes", nodes, "--fleet", "small", "--format", "json")
    assert result.exit_code == 3
    unfit = {item["server"]: item for item in json.loads(result.stdout)["unfit"]}
    assert "Premium-llama_70b" not in unfit
    assert unfit["Free-llama_70b"]["reason"] == "cards"
    planned = json.loads(plan.read_text())["allocations"].values()
    cards = sum(item["cards"] for item in planned if item["card_type"] == "A100")
    remedy = f"add {-(-cards // 8) - 20} nodes with 8 cards of A100 for everything"
    assert remedy in unfit["Free-llama_70b"]["remedy"]


def test_servers_that_the_fleet_does_not_know_are_told(plan: Path, tmp_path: Path) -> None:
    nodes = nodes_file(tmp_path, 100, 90)
    right = stoker("place", plan, "--nodes", nodes, "--fleet", "small")
    assert "the fleet has no" not in right.stderr
    other = tmp_path / "other.json"
    other.write_text(plan.read_text().replace('"Premium-llama_70b": {', '"Premium-llama": {'))
    result = stoker("place", other, "--nodes", nodes, "--fleet", "small")
    assert (
        "the fleet has no Premium-llama: 1 server of the plan placed as of the first priority"
        in " ".join(result.stderr.split())
    )


def test_table_file_and_picture(plan: Path, tmp_path: Path) -> None:
    nodes, table = nodes_file(tmp_path, 100, 90), tmp_path / "table.txt"
    plots = tmp_path / "plots"
    result = stoker("place", plan, "--nodes", nodes, "--output", table, "--plots", plots)
    assert result.exit_code == 0
    text = table.read_text(encoding="utf-8")
    assert "a100-1 " in text
    assert "idle nodes taken into use (proven)" in text
    assert (plots / "nodes.png").read_bytes().startswith(b"\x89PNG")


def test_mistakes_end_with_code_2(plan: Path, tmp_path: Path) -> None:
    missing = stoker("place", plan, "--nodes", tmp_path / "none.yaml")
    assert missing.exit_code == 2
    assert "there is no such file" in missing.stderr
    nodes = nodes_file(tmp_path, 1, 1)
    assert stoker("place", nodes, "--nodes", nodes).exit_code == 2
    assert stoker("place", plan, "--nodes", nodes, "--most-per-node", 0).exit_code == 2
