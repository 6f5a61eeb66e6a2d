"""Answers about replicas by the analysis of the engine: which cases get them, and what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.replica_cli import Answer, ask, run
from tests.support.simulation_cli import simulate as simulate_lines

CASE: dict[str, Any] = {
    "RPS": 8,
    "maxBatchSize": 64,
    "maxQueueSize": 128,
    "avgInputTokens": 512,
    "avgOutputTokens": 128,
    "alpha": 8,
    "beta": 0.03,
    "gamma": 0.0003,
}
DISTRIBUTIONS = ("ttft_ms", "itl_ms", "token_itl_ms", "e2e_ms", "wait_ms")


def one(question: str, *arguments: str, **fields: object) -> Answer:
    line = json.dumps({**CASE, **fields})
    (answer,) = run(question, "-", *arguments, stdin=line).answers
    return answer


@pytest.mark.parametrize(
    "fields",
    [
        {"arrivalCV": 1},
        {"inputTokensCV": 0.5},
        {"outputTokensCV": 0},
        {"kvTokens": 100_000},
        {"maxNumTokens": 4096},
        {"prefixHitRate": 0.5},
        {"concurrency": 4},
        {"percentiles": [95]},
        {"targetPercentile": 90},
    ],
    ids=lambda fields: next(iter(fields)),
)
@pytest.mark.parametrize("question", ["solve", "target", "concurrency"])
def test_any_further_field_brings_distributions(question: str, fields: dict[str, Any]) -> None:
    answer = one(question, **fields)
    assert answer["status"] == "ok"
    names = [f"p{p}" for p in fields.get("percentiles", (50, 90, 95, 99))]
    for name in DISTRIBUTIONS:
        assert list(answer[name]) == ["mean", *names]
        values = [answer[name][each] for each in names]
        assert values == sorted(values)
    assert ("kvUse" in answer) is ("kvTokens" in fields)


@pytest.mark.parametrize("question", ["solve", "target", "concurrency"])
def test_other_lines_are_answered_by_the_reference(question: str) -> None:
    answer = one(question)
    assert not set(DISTRIBUTIONS) & set(answer)
    assert "analysis" not in answer
    assert one(question, maxNumTokens=0) == one(question, percentiles=None) == answer
    full = one(question, "--analysis", "full")
    assert full["analysis"] == "full"
    assert set(DISTRIBUTIONS) <= set(full)


def test_a_token_budget_alone_leaves_the_reference_its_figures() -> None:
    answer = one("solve", maxNumTokens=300)
    plain = one("solve", "--analysis", "reference", maxNumTokens=300)
    assert {name: answer[name] for name in plain} == plain
    assert "analysis" not in answer
    assert answer["ttft_ms"]["mean"] > one("solve", percentiles=[])["ttft_ms"]["mean"]


def test_the_reference_asked_for_by_name_refuses_what_it_lacks() -> None:
    answer = one("solve", "--analysis", "reference", arrivalCV=2, kvTokens=10_000)
    assert answer["status"] == "invalid"
    assert "arrivalCV and kvTokens are unknown to the analysis reference" in answer["message"]
    assert "full" in answer["message"]


def test_means_are_the_same_in_both_places() -> None:
    answer = one("solve", percentiles=[50])
    assert answer["avgTTFT"] == answer["ttft_ms"]["mean"]
    assert answer["avgITL"] == answer["itl_ms"]["mean"]
    assert answer["avgRespTime"] == answer["e2e_ms"]["mean"]
    assert answer["avgWaitTime"] == answer["wait_ms"]["mean"]


@pytest.mark.parametrize("percentile", [50, 95, 99.9])
def test_targets_hold_at_the_percentile(percentile: float) -> None:
    targets = {"targetTTFT": 90, "targetITL": 22, "targetPercentile": percentile}
    name = f"p{percentile:g}"
    found = one("target", **targets, percentiles=[percentile])
    assert found["status"] == "ok"
    assert found["ttft_ms"][name] <= 90 * (1 + 1e-3)
    assert found["itl_ms"][name] <= 22 * (1 + 1e-3)
    assert found["offeredRPS"] == pytest.approx(
        min(found["RPSTargetTTFT"], found["RPSTargetITL"], found["maxRPS"]), rel=1e-3
    )
    # Below them by a margin, so that hardly any replica misses them, and not by a large one.
    assert found["ttft_ms"][name] > 0.7 * 90 or found["itl_ms"][name] > 0.7 * 22
    more = one("solve", percentiles=[percentile], RPS=1.5 * found["offeredRPS"])
    assert more["ttft_ms"][name] > 90 or more["itl_ms"][name] > 22
    limit = one("concurrency", **targets, percentiles=[percentile])
    assert limit["feasible"]
    assert limit["concurrency"] <= 64
    assert limit["throughput"] >= 0.97 * found["throughput"]


def test_percentiles_out_of_reach_are_told_with_the_best() -> None:
    for question in ("target", "concurrency"):
        answer = one(question, targetTTFT=5, targetITL=20, targetPercentile=95)
        assert answer["status"] == "infeasible"
        assert "the p95 TTFT target of 5 ms is below" in answer["message"]
        assert answer["offeredRPS"] == 0.0
        assert answer["RPSTargetTTFT"] == 0.0
        assert answer["RPSTargetITL"] > 0.0


def test_a_closed_loop_keeps_its_clients_busy() -> None:
    answer = one("solve", concurrency=8, RPS=None)
    in_system = answer["throughput"] * answer["e2e_ms"]["mean"] / 1000
    assert in_system == pytest.approx(8, rel=0.02)
    assert answer["blocking"] == 0.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("arrivalCV", -1),
        ("inputTokensCV", "1"),
        ("outputTokensCV", 101),
        ("kvTokens", 15),
        ("kvTokens", 1.5),
        ("prefixHitRate", 1.1),
        ("concurrency", 0),
        ("percentiles", [101]),
        ("percentiles", 95),
        ("targetPercentile", 100),
        ("targetPercentile", 0),
    ],
)
def test_a_value_out_of_bounds_is_named(field: str, value: object) -> None:
    answer = one("solve", **{field: value})
    assert answer["status"] == "invalid"
    assert answer["message"].startswith(f"line 1: {field}: is ")
    assert "allowed: " in answer["message"]


def test_limits_of_the_analysis_are_told() -> None:
    assert "1 to 4096" in one("solve", maxBatchSize=5000, percentiles=[95])["message"]
    assert "0 to 10" in one("solve", arrivalCV=11)["message"]


def test_an_answer_does_not_depend_on_its_neighbours() -> None:
    others = [
        CASE | {"percentiles": [50, 90, 95, 99], "RPS": rate, "maxBatchSize": batch}
        for rate, batch in ((1, 1), (30, 256), (8, 64), (5, 7))
    ]
    for question in ("solve", "target"):
        alone = [ask(question, [case]).answers[0] for case in others]
        together = ask(question, others).answers
        for mine, theirs in zip(alone, together, strict=True):
            for name in ("throughput", "avgTTFT", "avgITL", "utilization"):
                assert mine[name] == pytest.approx(theirs[name], rel=1e-6)


def test_the_simulator_takes_the_same_line_and_answers_alike() -> None:
    line = CASE | {"outputTokensCV": 1, "percentiles": [50, 95], "RPS": 10}
    mine = one("solve", **line)
    result = simulate_lines("-", stdin=json.dumps(line | {"requests": 20_000, "seed": 2}))
    seen = json.loads(result.stdout)
    for name in DISTRIBUTIONS:
        assert set(mine[name]) == set(seen[name]) - {"ci95"}
    for name in ("ttft_ms", "itl_ms", "e2e_ms"):
        for statistic in ("mean", "p50", "p95"):
            assert mine[name][statistic] == pytest.approx(seen[name][statistic], rel=0.12)


CURVE = {
    "batches": [0, 64],
    "context_tokens": [0, 1000],
    "decode_ms": [[8, 8], [9.92, 29.12]],
    "prefill_tokens": [0, 4096],
    "prefill_context_tokens": [0, 10_000],
    "prefill_ms": [[8, 11], [130.88, 133.88]],
    "shared_ms": 8,
}
"""What alpha 8, beta 0.03 and gamma 0.0003 give at these knots."""


def with_curve(**fields: object) -> dict[str, Any]:
    plain = {name: CASE[name] for name in CASE if name not in ("alpha", "beta", "gamma")}
    return plain | {"curve": CURVE} | fields


@pytest.mark.parametrize("question", ["solve", "target", "concurrency"])
def test_a_curve_of_the_same_times_gives_the_same_answer(question: str) -> None:
    (answer,) = ask(question, [with_curve(targetTTFT=90, targetITL=22)]).answers
    plain = one(question, targetTTFT=90, targetITL=22, percentiles=[50, 90, 95, 99])
    assert answer["analysis"] == "full"
    assert answer["throughput"] == pytest.approx(plain["throughput"], rel=0.02)
    for name in ("ttft_ms", "itl_ms"):
        assert answer[name]["mean"] == pytest.approx(plain[name]["mean"], rel=0.05)


def test_a_curve_that_makes_no_sense_is_told() -> None:
    broken = CURVE | {"batches": [8, 1]}
    (answer,) = ask("solve", [with_curve(curve=broken, alpha=1)]).answers
    assert answer["status"] == "invalid"
    assert "curve.batches" in answer["message"]
    assert "alpha: is given beside a curve" in answer["message"]
    (bare,) = ask("solve", [{"RPS": 1, "maxBatchSize": 4}]).answers
    assert "alpha: is missing" in bare["message"]
    (refused,) = run(
        "solve", "-", "--analysis", "reference", stdin=json.dumps(with_curve())
    ).answers
    assert "curve is unknown to the analysis reference" in refused["message"]


OVERLAP = {
    "base_ms": 4,
    "weights_ms": 4,
    "token_ms": 0,
    "sequence_ms": 0.03,
    "kv_token_ms": 0.0003,
    "attention_ms": 0,
    "prompts_ms": 2,
    "first_token_ms": 10,
}


def with_overlap(**fields: object) -> dict[str, Any]:
    plain = {name: CASE[name] for name in CASE if name not in ("alpha", "beta", "gamma")}
    return plain | {"overlap": OVERLAP} | fields


def test_overlap_parameters_answer_as_the_simulator_does() -> None:
    line = with_overlap(inputTokensCV=0.5, outputTokensCV=0.5)
    (told,) = ask("solve", [line]).answers
    assert told["analysis"] == "full"
    played = json.loads(
        simulate_lines("-", stdin=json.dumps(line | {"requests": 8000, "seed": 2})).stdout
    )
    for name in ("ttft_ms", "itl_ms", "e2e_ms"):
        assert told[name]["mean"] == pytest.approx(played[name]["mean"], rel=0.05)
    (late,) = ask("solve", [line | {"overlap": OVERLAP | {"first_token_ms": 60}}]).answers
    for name in ("ttft_ms", "e2e_ms"):
        assert late[name]["mean"] == pytest.approx(told[name]["mean"] + 50)
    assert late["itl_ms"] == told["itl_ms"]
    (target,) = ask("target", [line | {"targetTTFT": 90, "targetITL": 22}]).answers
    assert target["status"] == "ok"
    assert target["ttft_ms"]["mean"] <= 90 * (1 + 1e-3)


def test_overlap_parameters_that_make_no_sense_are_told() -> None:
    broken = {**OVERLAP, "base_ms": -1, "delay": 3}
    (answer,) = ask("solve", [with_overlap(overlap=broken, alpha=1)]).answers
    assert answer["status"] == "invalid"
    assert "overlap.base_ms" in answer["message"]
    assert "overlap.delay" in answer["message"]
    assert "alpha: is given beside overlap parameters" in answer["message"]
    (both,) = ask("solve", [with_overlap(curve=CURVE)]).answers
    assert "overlap: is given beside a curve" in both["message"]
    nothing = with_overlap(overlap=dict.fromkeys(OVERLAP, 0))
    (idle,) = ask("solve", [nothing]).answers
    assert "every parameter of engine time is zero" in idle["message"]
    (refused,) = run(
        "solve", "-", "--analysis", "reference", stdin=json.dumps(with_overlap())
    ).answers
    assert "overlap is unknown to the analysis reference" in refused["message"]


@settings(max_examples=60)
@given(
    st.sampled_from(["solve", "target", "concurrency"]),
    st.fixed_dictionaries(
        {
            "RPS": st.floats(0.01, 200),
            "maxBatchSize": st.integers(1, 40),
            "maxQueueSize": st.integers(0, 1000),
            "avgInputTokens": st.floats(0, 9000),
            "avgOutputTokens": st.floats(1, 2000),
            "alpha": st.floats(0.1, 50),
            "beta": st.floats(0, 0.3),
            "gamma": st.floats(0, 1e-3),
        },
        optional={
            "delta": st.floats(0, 0.01),
            "maxNumTokens": st.integers(64, 9000),
            "arrivalCV": st.floats(0, 4),
            "inputTokensCV": st.floats(0, 2),
            "outputTokensCV": st.floats(0, 2),
            "kvTokens": st.integers(2000, 10**6),
            "prefixHitRate": st.floats(0, 1),
            "concurrency": st.integers(1, 60),
            "percentiles": st.lists(st.floats(1, 99.9), max_size=3),
            "targetPercentile": st.floats(1, 99.9),
            "targetTTFT": st.floats(0, 5000),
            "targetITL": st.floats(0, 200),
            "targetTPS": st.floats(0, 1000),
        },
    ),
)
def test_cases_of_all_features(question: str, case: dict[str, Any]) -> None:
    ran = ask(question, [case])
    (answer,) = ran.answers
    assert answer["status"] in {"ok", "infeasible", "invalid"}
    assert (answer["message"] == "") is (answer["status"] == "ok")
    if answer["status"] != "ok" or "ttft_ms" not in answer:
        return
    assert answer["throughput"] <= answer["offeredRPS"] * (1 + 1e-9)
    assert 0.0 <= answer["blocking"] <= 1.0
    assert answer["utilization"] <= 1.0 + 1e-6
    for name in DISTRIBUTIONS:
        values = [value for key, value in answer[name].items() if key != "mean"]
        known = [value for value in values if value is not None]
        assert known == sorted(known), (name, answer[name])
        assert all(value >= 0.0 for value in known)
