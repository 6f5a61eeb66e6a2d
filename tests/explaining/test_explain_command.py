"""`stoker explain`, `stoker diff` and `stoker solve --explain`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli import stoker


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plans")
    for name, scale in (("full", "1"), ("half", "0.5")):
        stoker(
            *("solve", "small", "--analysis", "reference", "--capacity-scale", scale),
            *("--format", "json", "--output", folder / f"{name}.json"),
        )
    return folder


def test_json_has_every_part(plans: Path) -> None:
    result = stoker(
        *("explain", plans / "half.json", "--fleet", "small", "--profile-error", "10%"),
        *("--server", "Bronze-llama_70b", "--server", "Free-llama_70b", "--format", "json"),
    )
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert list(document) == [
        "currency",
        "cost_per_hour",
        "objective",
        "method",
        "allocations",
        "unplaced",
        "shadow_prices",
        "regret",
        "notes",
    ]
    item = document["allocations"]["Bronze-llama_70b"]
    assert item["binding"] == "ttft_ms.mean"
    assert item["runner_up"]["without"] == item["accelerator"]
    assert item["replica_range"]["error"] == 0.1
    (name,) = document["unplaced"]
    assert name == "Free-llama_70b"
    assert document["unplaced"][name]["loads"][0]["scope"] == "cards_left"
    assert {price["of"] for price in document["shadow_prices"]} == {"A100", "AIU2", "G2", "L4"}


def test_text_tells_what_binds_and_what_would_help(plans: Path) -> None:
    result = stoker(
        *("explain", plans / "half.json", "--fleet", "small", "--server", "Free-llama_70b")
    )
    assert result.exit_code == 0, result.output
    for words in ("load that would fit", "cards to buy", "One more", "best effort"):
        assert words in result.stdout


def test_alone_and_as_a_table(plans: Path) -> None:
    result = stoker("explain", plans / "full.json")
    assert result.exit_code == 0
    assert "Bound by" in result.stdout
    assert "Runner-up" not in result.stdout
    assert "without the fleet" in result.stdout


def test_difference_in_words_and_as_json(plans: Path) -> None:
    for command in (("diff",), ("explain",)):
        result = stoker(*command, plans / "full.json", plans / "half.json")
        assert result.exit_code == 0
        assert "no longer served in full" in result.stdout
        assert "the cards of A100 changed: 768 → 384" in result.stdout
    document = json.loads(
        stoker("diff", plans / "full.json", plans / "half.json", "--format", "json").stdout
    )
    assert document["no_longer_served"] == ["Free-llama_70b", "Free-mixtral_8_7b"]
    assert document["cost_per_hour"]["change"] < 0
    assert document["servers"]["Free-llama_70b"]["change"] == "lost"


def test_solve_explains_below_the_table_and_in_json(plans: Path) -> None:
    result = stoker("solve", "small", "--analysis", "reference", "--explain")
    assert result.exit_code == 0
    assert "Plan of small" in result.stdout
    assert "Why this plan" in result.stdout
    result = stoker(*("solve", "small", "--analysis", "reference", "--explain", "--format", "json"))
    document = json.loads(result.stdout)
    assert document["status"] == "optimal"
    assert set(document["explanation"]["allocations"]) == set(document["allocations"])
    written = plans / "why.txt"
    assert stoker("explain", plans / "full.json", "--output", written).exit_code == 0
    assert written.read_text().startswith("Why this plan")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explain", "full.json", "--fleet", "large"], "the plan has no word on server"),
        (["explain", "full.json", "--server", "Free-llama_70c"], "did you mean"),
        (["explain", "full.json", "--profile-error", "2"], "such as 10%"),
        (["explain", "missing.json"], "no such file"),
        (["diff", "full.json", "missing.json"], "no such file"),
        (["solve", "small", "--explain", "--format", "csv"], "no place for an explanation"),
        (["solve", "small", "--profile-error", "none"], "such as 10%"),
    ],
)
def test_bad_input_is_named(plans: Path, arguments: list[str], words: str) -> None:
    given = [plans / each if each.endswith(".json") else each for each in arguments]
    result = stoker(*given)
    assert result.exit_code == 2
    assert words in result.stderr


def test_explanations_and_differences_are_drawn(plans: Path, tmp_path: Path) -> None:
    result = stoker(
        *("explain", plans / "half.json", "--fleet", "small", "--server", "Bronze-llama_70b"),
        *("--profile-error", "10%", "--plots", tmp_path / "why"),
    )
    assert result.exit_code == 0, result.output
    names = {path.name for path in (tmp_path / "why").iterdir()}
    assert names == {"alternatives.png", "shadow-prices.png", "replica-ranges.png"}
    for command in ("diff", "explain"):
        folder = tmp_path / command
        result = stoker(command, plans / "full.json", plans / "half.json", "--plots", folder)
        assert result.exit_code == 0, result.output
        assert [path.name for path in folder.iterdir()] == ["difference.png"]


def test_a_plan_alone_has_nothing_to_draw_and_says_so(plans: Path, tmp_path: Path) -> None:
    result = stoker("explain", plans / "half.json", "--plots", tmp_path)
    assert result.exit_code == 0, result.output
    assert "give --fleet" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_solve_draws_its_explanation_too(tmp_path: Path) -> None:
    stoker("solve", "small", "--analysis", "reference", "--explain", "--plots", tmp_path)
    assert {"alternatives.png", "shadow-prices.png"} <= {path.name for path in tmp_path.iterdir()}
