"""Lines about fleets behind a router and about two pools, analysed and simulated."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.network_lines import (
    CARDS,
    DISTRIBUTIONS,
    FLEET,
    POOLS,
    REPLICA,
    ROUTERS,
    one,
    played,
)
from tests.support.replica_cli import ask, read_strictly, run
from tests.support.simulation_cli import simulate


@pytest.mark.parametrize(
    "case",
    [
        *(FLEET | {"router": router} for router in ROUTERS),
        FLEET | {"replicas": 8, "RPS": 45, "arrivalCV": 1.4, "router": "round-robin"},
        FLEET | {"kvTokens": 12_000, "prefixHitRate": 0.3},
        POOLS,
        POOLS | {"prefillRouter": "random", "decodeRouter": "least-kv", "transferMs": 40},
        POOLS | {"prefillParameters": {"alpha": 4, "beta": 0.06, "gamma": 0}},
        CARDS,
    ],
)
def test_analysis_and_simulation_of_the_same_line_agree(case: dict[str, Any]) -> None:
    told, seen = one("solve", case), played(case)
    assert told["status"] == seen["status"] == "ok"
    assert told["analysis"] == "full"
    for name in DISTRIBUTIONS:
        assert set(told[name]) == set(seen[name]) - {"ci95"}
    for name, mean, tail in (
        ("ttft_ms", 0.12, 0.2),
        ("itl_ms", 0.04, 0.08),
        ("e2e_ms", 0.04, 0.07),
    ):
        assert told[name]["mean"] == pytest.approx(seen[name]["mean"], rel=mean), name
        assert told[name]["p95"] == pytest.approx(seen[name]["p95"], rel=tail), name
    gaps = told["token_itl_ms"]["mean"], seen["token_itl_ms"]["mean"]
    assert gaps[0] == pytest.approx(gaps[1], rel=0.04)
    for name in ("throughput", "outputTokensPerSecond", "avgNumInServ", "utilization"):
        assert told[name] == pytest.approx(seen[name], rel=0.04), name
    for pool in ("prefill", "decode"):
        assert (pool in told) is (pool in seen)
        if pool in told:
            assert told[pool]["replicas"] == seen[pool]["replicas"]
            assert told[pool]["avgNumInServ"] == pytest.approx(seen[pool]["avgNumInServ"], rel=0.06)
    if "kvTokens" in case:
        assert told["kvUse"] == pytest.approx(seen["kvUse"], rel=0.05)


def test_one_replica_behind_a_router_is_one_replica() -> None:
    alone = one("solve", REPLICA | {"RPS": 5})
    for router in ROUTERS:
        assert one("solve", REPLICA | {"RPS": 5, "replicas": 1, "router": router}) == alone
    for question in ("target", "concurrency"):
        fields = {"targetITL": 12}
        assert one(question, REPLICA | fields | {"replicas": 1}) == one(question, REPLICA | fields)
    assert set(DISTRIBUTIONS) <= set(
        one("solve", {k: v for k, v in FLEET.items() if k != "percentiles"} | {"replicas": 1})
    )


def test_names_of_routers_may_have_underscores() -> None:
    assert one("solve", FLEET | {"router": "shortest_queue"}) == one("solve", FLEET)
    assert one("solve", FLEET | {"router": "random"}) != one("solve", FLEET)


@pytest.mark.parametrize("case", [FLEET, POOLS, CARDS])
@pytest.mark.parametrize("percentile", [None, 95])
def test_targets_hold_for_all_replicas(case: dict[str, Any], percentile: int | None) -> None:
    targets: dict[str, Any] = {"targetTTFT": 120, "targetITL": 13}
    name = "mean"
    if percentile is not None:
        targets["targetPercentile"], name = percentile, f"p{percentile}"
    found = one("target", case | targets)
    assert found["status"] == "ok"
    assert found["ttft_ms"][name] <= 120 * (1 + 1e-6)
    assert found["itl_ms"][name] <= 13 * (1 + 1e-6)
    assert found["offeredRPS"] <= min(found["RPSTargetTTFT"], found["RPSTargetITL"])
    more = one("solve", case | targets | {"RPS": 1.03 * found["offeredRPS"]})
    assert more["ttft_ms"][name] > 120 or more["itl_ms"][name] > 13
    tokens = one("target", case | {"targetTPS": 100})
    assert tokens["RPSTargetTPS"] == pytest.approx(0.9 * tokens["maxRPS"])


def test_a_fleet_carries_more_the_better_its_router() -> None:
    targets = {"targetTTFT": 100, "targetPercentile": 95}
    rates = [one("target", FLEET | targets | {"router": name})["offeredRPS"] for name in ROUTERS]
    assert rates[0] < rates[1] < rates[2]
    half = one("target", FLEET | targets | {"router": "random", "replicas": 2})["offeredRPS"]
    assert rates[0] == pytest.approx(2 * half, rel=0.01)


def test_every_split_is_listed_and_the_best_is_taken() -> None:
    targets = {"targetTTFT": 120, "targetITL": 12, "targetPercentile": 95}
    found = one("target", CARDS | targets)
    splits = found["splits"]
    assert [(split["prefillReplicas"], split["decodeReplicas"]) for split in splits] == [
        (1, 4),
        (2, 3),
        (3, 2),
        (4, 1),
    ]
    sizes = {"prefillReplicas", "decodeReplicas"}
    by_hand = []
    for split in splits:
        told = {name: split[name] for name in sizes}
        case = {name: value for name, value in CARDS.items() if name != "cards"} | targets | told
        by_hand.append(one("target", case))
        assert split["RPS"] == pytest.approx(by_hand[-1]["offeredRPS"], rel=1e-6)
        assert split["cards"] == 5
    best = max(by_hand, key=lambda answer: float(answer["offeredRPS"]))
    assert {name: value for name, value in found.items() if name != "splits"} == {
        name: pytest.approx(value) if isinstance(value, float | dict) else value
        for name, value in best.items()
        if name not in ("prefill", "decode")
    } | {name: found[name] for name in ("prefill", "decode")}
    assert found["prefill"]["replicas"] == best["prefill"]["replicas"]


def test_replicas_of_several_cards_leave_some_idle() -> None:
    splits = one("target", CARDS | {"cards": 9, "prefillCards": 2, "decodeCards": 4})["splits"]
    assert [tuple(split.values())[:3] for split in splits] == [(1, 1, 6), (2, 1, 8)]


def test_bottleneck_and_loads() -> None:
    few = one("solve", POOLS | {"RPS": 12, "decodeReplicas": 1})
    many = one("solve", POOLS | {"RPS": 12, "prefillReplicas": 1, "decodeReplicas": 8})
    assert (few["bottleneck"], many["bottleneck"]) == ("decode", "prefill")
    for answer in (few, many):
        loads = {name: answer[name]["load"] for name in ("prefill", "decode")}
        assert max(loads, key=lambda name: loads[name]) == answer["bottleneck"]
        assert answer["maxRPS"] == pytest.approx(12 / max(loads.values()), rel=0.01)
    memory = one("solve", POOLS | {"kvTokens": 50_000, "prefillKvTokens": 20_000})
    assert 0 < memory["prefill"]["kvUse"] < 1
    assert 0 < memory["decode"]["kvUse"] < 1
    assert "kvUse" not in memory


def test_pools_offered_too_much_are_told_with_their_loads() -> None:
    case = POOLS | {"RPS": 90, "prefillReplicas": 6, "decodeReplicas": 1}
    ran = ask("solve", [case])
    (answer,) = ran.answers
    assert ran.exit_code == 3
    assert "offered more than they complete" in ran.stderr
    assert answer["status"] == "infeasible"
    assert "the decode pool is overloaded: RPS is 90 (allowed: below " in answer["message"]
    assert answer["decode"]["load"] > 1 > answer["prefill"]["load"]
    assert answer["throughput"] == answer["maxRPS"] < 90
    assert answer["avgTTFT"] is None


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (FLEET, "with 4 replicas of a batch limit of 16"),
        (POOLS, "with 2 + 3 replicas for prefill and decode"),
        (CARDS, "with 1 + 4 replicas for prefill and decode"),
    ],
)
def test_targets_out_of_reach_are_told(case: dict[str, Any], words: str) -> None:
    ran = ask("target", [case | {"targetTTFT": 5, "targetPercentile": 95}])
    (answer,) = ran.answers
    assert ran.exit_code == 3
    assert answer["status"] == "infeasible"
    assert answer["message"].startswith("the p95 TTFT target of 5 ms is below the ")
    assert answer["message"].endswith(words)
    assert all(split["RPS"] == 0 for split in answer.get("splits", []))
    assert ("splits" in answer) is ("cards" in case)


def test_a_trace_runs_on_pools_of_told_sizes(tmp_path: Any) -> None:
    trace, case = tmp_path / "trace.csv", tmp_path / "case.json"
    rows = [f"{0.1 * k},{100 + k % 50},{20 + k % 30}" for k in range(300)]
    trace.write_text("arrival_s,in_tokens,out_tokens\n" + "\n".join(rows), encoding="utf-8")
    case.write_text(json.dumps(POOLS), encoding="utf-8")
    found = read_strictly(simulate("--trace", trace, "--case", case).stdout)
    assert (found["prefill"]["replicas"], found["decode"]["replicas"]) == (2, 3)
    case.write_text(json.dumps(CARDS), encoding="utf-8")
    refused = simulate("--trace", trace, "--case", case)
    assert refused.exit_code == 2
    assert "cards: is given with a trace" in " ".join(refused.stderr.split())


def test_tables_show_pools_and_splits() -> None:
    lines = "\n".join(json.dumps(case) for case in (FLEET, CARDS))
    shown = run("target", "-", "--format", "table", stdin=lines).stdout
    assert "bottleneck" in shown
    assert shown.count("taken") == 1
    pools = simulate("-", "--format", "table", stdin=json.dumps(POOLS | {"requests": 500})).stdout
    assert "prefill" in pools
    plain = run("target", "-", "--format", "table", stdin=json.dumps(FLEET)).stdout
    assert "Pools" not in plain


def test_an_answer_does_not_depend_on_its_neighbours() -> None:
    cases = [
        FLEET,
        FLEET | {"router": "random"},
        POOLS,
        CARDS,
        CARDS | {"cards": 7, "prefillRouter": "random"},
        CARDS | {"cards": 6, "maxBatchSize": 8},
        REPLICA | {"RPS": 4},
    ]
    for question in ("solve", "target"):
        alone = [ask(question, [case]).answers[0] for case in cases]
        together = ask(question, cases).answers
        for mine, theirs in zip(alone, together, strict=True):
            assert list(mine) == list(theirs)
            for name in ("throughput", "avgTTFT", "avgITL", "utilization"):
                assert mine[name] == pytest.approx(theirs[name], rel=1e-6)
