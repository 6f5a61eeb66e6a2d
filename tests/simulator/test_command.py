"""`stoker simulate`: lines and traces in, answers, tables and pictures out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.replica_cli import read_strictly
from tests.support.simulation_cli import simulate

CASE: dict[str, Any] = {
    "RPS": 3.0,
    "maxBatchSize": 8,
    "avgInputTokens": 256,
    "avgOutputTokens": 64,
    "alpha": 8,
    "beta": 0.03,
    "gamma": 0.0003,
    "maxQueueSize": 16,
    "requests": 2000,
}


def answer(**fields: Any) -> dict[str, Any]:
    result = simulate("-", stdin=json.dumps(CASE | fields))
    assert result.exit_code == 0, result.output
    return read_strictly(result.stdout)


def test_answer_has_the_shape_of_the_contract() -> None:
    found = answer(percentiles=[50, 99.9], seed=3)
    assert found["status"] == "ok"
    assert (found["requests"], found["seed"]) == (2000, 3)
    for name in ("ttft_ms", "itl_ms", "token_itl_ms", "e2e_ms", "wait_ms"):
        assert list(found[name]) == ["mean", "p50", "p99.9", "ci95"]
    assert found["avgTTFT"] == found["ttft_ms"]["mean"]
    assert found["avgITL"] == found["itl_ms"]["mean"]
    assert 0 < found["ttft_ms"]["ci95"]["mean"] < 0.2 * found["avgTTFT"]
    assert found["throughput"] == pytest.approx(3.0, rel=0.1)
    assert found["maxRPS"] is None


def test_seeds_repeat() -> None:
    assert answer(seed=1) == answer(seed=1)
    assert answer(seed=1)["avgTTFT"] != answer(seed=2)["avgTTFT"]


def test_every_optional_field_matters() -> None:
    plain = answer(avgInputTokens=1000)
    changes: tuple[dict[str, Any], ...] = (
        {"arrivalCV": 2},
        {"inputTokensCV": 1},
        {"outputTokensCV": 1},
        {"kvTokens": 1600},
        {"maxNumTokens": 300},
        {"prefixHitRate": 0.8},
        {"concurrency": 6},
        {"delta": 0.001},
    )
    for fields in changes:
        assert answer(avgInputTokens=1000, **fields)["avgTTFT"] != plain["avgTTFT"], fields


def test_concurrency_stands_in_for_the_rate() -> None:
    found = answer(RPS=None, concurrency=4)
    assert found["avgNumInServ"] == pytest.approx(4, rel=1e-6)
    assert found["blocking"] == 0


def test_bad_lines_do_not_stop_the_others() -> None:
    bad: list[dict[str, Any]] = [
        {"kvTokens": 3},
        {"percentiles": [101]},
        {"nonsense": 1},
        {"RPS": None},
    ]
    lines = [json.dumps(CASE | each) for each in bad] + ["{oops", "", json.dumps({"input": CASE})]
    result = simulate("-", stdin="\n".join(lines))
    assert result.exit_code == 2
    answers = [read_strictly(line) for line in result.stdout.splitlines()]
    assert [each["status"] for each in answers] == ["invalid"] * 5 + ["ok"]
    for number, (found, name) in enumerate(
        zip(answers, ("kvTokens", "percentiles", "nonsense", "RPS", "not JSON"), strict=False), 1
    ):
        assert found["message"].startswith(f"line {number}: ")
        assert name in found["message"]


def test_memory_that_holds_no_request_is_told() -> None:
    result = simulate("-", stdin=json.dumps(CASE | {"kvTokens": 100}))
    assert result.exit_code == 3
    found = read_strictly(result.stdout)
    assert (found["status"], found["tooLarge"], found["avgTTFT"]) == ("infeasible", 1.0, None)


def test_a_trace(tmp_path: Path) -> None:
    trace, case = tmp_path / "trace.csv", tmp_path / "case.json"
    rows = [f"{100 + 0.2 * k},{100 + k % 50},{20 + k % 30},x" for k in range(400)]
    trace.write_text("arrival_s,in_tokens,out_tokens,more\n" + "\n".join(rows), encoding="utf-8")
    case.write_text(json.dumps(CASE), encoding="utf-8")
    result = simulate("--trace", trace, "--case", case, "--plots", tmp_path / "plots")
    assert result.exit_code == 0, result.output
    found = read_strictly(result.stdout)
    assert (found["requests"], found["measuredRequests"]) == (400, 400)
    assert found["offeredRPS"] == pytest.approx(5.0)
    written = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert written == ["line-1-distributions.png", "line-1-over-time.png"]


def test_a_trace_that_cannot_be_read(tmp_path: Path) -> None:
    trace, case = tmp_path / "trace.csv", tmp_path / "case.json"
    case.write_text(json.dumps(CASE), encoding="utf-8")
    trace.write_text("arrival_s,in_tokens\n1,2\n", encoding="utf-8")
    missing = simulate("--trace", trace, "--case", case)
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert "out_tokens: is missing" in " ".join(missing.stderr.split())
    trace.write_text("arrival_s,in_tokens,out_tokens\n1,2,0\n", encoding="utf-8")
    assert "line 2" in simulate("--trace", trace, "--case", case).stderr


@pytest.mark.parametrize("arguments", [[], ["-", "--trace", "x.csv"], ["--trace", "x.csv"]])
def test_one_thing_to_simulate(arguments: list[str]) -> None:
    result = simulate(*arguments)
    assert result.exit_code == 2
    assert "--trace with --case" in " ".join(result.stderr.split())


def test_the_table() -> None:
    lines = json.dumps(CASE) + "\n" + json.dumps(CASE | {"alpha": -1})
    result = simulate("-", "--format", "table", stdin=lines)
    assert result.exit_code == 2
    assert "±" in result.stdout
    assert "alpha: is -1" in result.stdout
    assert "nan" not in result.stdout.lower()
