"""Lines about fleets and pools that make no sense, and lines that are anything at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    ("fields", "message"),
    [
        ({"replicas": 0}, "replicas: is 0 (allowed: a whole number from 1 to 10000)"),
        ({"replicas": 2.5}, "replicas: is 2.5 (allowed: a whole number"),
        ({"router": "quickest"}, 'router: is "quickest" (allowed: one of random, round-robin'),
        ({"router": 2}, "router: is 2 (allowed: one of random"),
        ({"prefillReplicas": 2}, "decodeReplicas: is missing (allowed: a whole number"),
        ({"transferMs": 3}, "transferMs: is given without pools (allowed: beside prefillReplicas"),
        ({"prefillRouter": "random"}, "prefillRouter: is given without pools"),
        ({"cards": 1}, "cards: is 1 (allowed: a whole number from 2 to 1024)"),
        ({"cards": 4, "decodeCards": 4}, "cards: is 4 (allowed: 5 to 1024"),
        ({"cards": 4, "decodeReplicas": 4}, "decodeReplicas: is given beside cards"),
        ({"cards": 4, "replicas": 4}, "replicas: is given beside cards (allowed: prefillReplicas"),
        ({"cards": 4, "router": "random"}, "router: is given beside cards (allowed: prefillRouter"),
        (
            {"prefillReplicas": 1, "decodeReplicas": 1, "prefillCards": 2},
            "prefillCards: is given without cards",
        ),
        ({"cards": 4, "transferMs": -1}, "transferMs: is -1 (allowed: milliseconds: 0, or"),
        ({"cards": 4, "prefillParameters": 3}, "prefillParameters: is 3 (allowed: an object with"),
        (
            {"cards": 4, "prefillParameters": {"alpha": 1, "beta": -1}},
            "prefillParameters.gamma: is missing (allowed: milliseconds",
        ),
        (
            {"cards": 4, "prefillParameters": {"alpha": 0, "beta": 0, "gamma": 0}},
            "prefillParameters.alpha, prefillParameters.beta, prefillParameters.gamma: are all 0",
        ),
        (
            {"cards": 4, "prefillParameters": {"alpha": 1, "beta": 1, "gamma": 0, "pace": 1}},
            "prefillParameters.pace: is not a field",
        ),
    ],
)
def test_fields_that_make_no_sense_are_named_in_both_commands(
    fields: dict[str, Any], message: str
) -> None:
    line = json.dumps(REPLICA | {"RPS": 2} | fields)
    analysed = run("solve", "-", stdin=line)
    assert analysed.exit_code == 2
    assert analysed.answers[0]["message"].startswith(f"line 1: {message}")
    result = simulate("-", stdin=line)
    assert result.exit_code == 2
    assert read_strictly(result.stdout) == analysed.answers[0]


def test_what_only_one_replica_has_is_refused_for_several() -> None:
    for case, name in (
        (FLEET, "replicas is 4"),
        (POOLS, "prefillReplicas is 2 and decodeReplicas 3"),
        (CARDS, "cards is 5"),
    ):
        limit = one("concurrency", case)
        assert limit["status"] == "invalid"
        assert f"{name} (allowed: one replica in the question concurrency" in limit["message"]
        closed = one("solve", case | {"concurrency": 8})
        assert closed["status"] == "invalid"
        assert f"concurrency is 8 where {name} (allowed: RPS, or one replica" in closed["message"]
        mean = one("solve", case, "--analysis", "reference")
        assert "unknown to the analysis reference" in mean["message"]
    clients = played(FLEET | {"concurrency": 24}, 5000)
    assert clients["avgNumInServ"] == pytest.approx(24, rel=0.01)
    large = one("solve", POOLS | {"prefillMaxBatchSize": 5000})
    assert "prefillMaxBatchSize is 5000 (allowed: 1 to 4096" in large["message"]


@pytest.mark.parametrize("question", ["solve", "target"])
def test_memory_that_holds_no_request_is_told(question: str) -> None:
    fixed = {"inputTokensCV": 0, "outputTokensCV": 0}
    for case in (REPLICA | {"RPS": 2}, FLEET, POOLS, CARDS):
        ran = ask(question, [case | fixed | {"kvTokens": 200, "targetTTFT": 100}])
        assert ran.exit_code == 3
        (answer,) = ran.answers
        assert answer["status"] == "infeasible"
        assert "no request can be served: kvTokens is 200 (allowed: room" in answer["message"]
    memory = {"prefillKvTokens": 100, "kvTokens": 9000}
    (pools,) = ask(question, [POOLS | fixed | memory]).answers
    assert "kvTokens is 9000 and prefillKvTokens is 100" in pools["message"]


def test_simulations_refuse_more_than_memory_holds() -> None:
    huge = played(FLEET | {"replicas": 10_000, "maxBatchSize": 65_536})
    assert huge["status"] == "invalid"
    assert "replicas: make 655,360,000 slots" in huge["message"]
    beyond = played(CARDS | {"maxBatchSize": 5000})
    assert beyond["status"] == "invalid"
    assert "cards: cannot be split" in beyond["message"]


_ROUTER = st.sampled_from(ROUTERS)
_PARAMETERS = st.fixed_dictionaries(
    {"alpha": st.floats(0.1, 50), "beta": st.floats(0, 0.3), "gamma": st.floats(0, 1e-3)}
)


@settings(max_examples=40)
@given(
    st.sampled_from(["solve", "target"]),
    st.fixed_dictionaries(
        {
            "RPS": st.floats(0.01, 400),
            "maxBatchSize": st.integers(1, 40),
            "avgInputTokens": st.floats(0, 9000),
            "avgOutputTokens": st.floats(1, 2000),
        },
        optional={
            "maxQueueSize": st.integers(0, 1000),
            "maxNumTokens": st.integers(64, 9000),
            "arrivalCV": st.floats(0, 4),
            "inputTokensCV": st.floats(0, 2),
            "outputTokensCV": st.floats(0, 2),
            "kvTokens": st.integers(2000, 10**6),
            "prefixHitRate": st.floats(0, 1),
            "targetPercentile": st.floats(1, 99.9),
            "targetTTFT": st.floats(0, 5000),
            "targetITL": st.floats(0, 200),
            "targetTPS": st.floats(0, 1000),
        },
    ),
    _PARAMETERS,
    st.one_of(
        st.fixed_dictionaries({"replicas": st.integers(2, 10_000), "router": _ROUTER}),
        st.fixed_dictionaries(
            {"prefillReplicas": st.integers(1, 100), "decodeReplicas": st.integers(1, 100)},
            optional={"prefillRouter": _ROUTER, "decodeRouter": _ROUTER},
        ),
        st.fixed_dictionaries(
            {"cards": st.integers(8, 20)},
            optional={
                "prefillCards": st.integers(1, 4),
                "decodeCards": st.integers(1, 4),
                "prefillMaxBatchSize": st.integers(1, 40),
                "prefillMaxNumTokens": st.integers(0, 9000),
                "prefillKvTokens": st.integers(2000, 10**6),
                "prefillParameters": _PARAMETERS,
                "transferMs": st.floats(0, 1e3),
                "transferMsPerToken": st.floats(0, 1),
            },
        ),
    ),
)
def test_cases_of_all_features(
    question: str, case: dict[str, Any], parameters: dict[str, Any], system: dict[str, Any]
) -> None:
    (answer,) = ask(question, [case | parameters | system]).answers
    assert answer["status"] in {"ok", "infeasible", "invalid"}
    assert (answer["message"] == "") is (answer["status"] == "ok")
    if answer["status"] != "ok":
        return
    assert answer["throughput"] <= answer["offeredRPS"] * (1 + 1e-9)
    assert 0.0 <= answer["blocking"] <= 1.0
    assert answer["utilization"] <= 1.0 + 1e-6
    for name in DISTRIBUTIONS:
        values = [value for key, value in answer[name].items() if key != "mean"]
        known = [value for value in values if value is not None]
        assert known == sorted(known), (name, answer[name])
        assert all(value >= 0.0 for value in known)
    for name in ("prefill", "decode"):
        assert answer.get(name, {}).get("load", 0) <= 1 + 1e-9 or question == "solve"
