"""Whatever stands in a line, it gets one answer line of strict JSON, and never a traceback."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import dense_replica
from tests.support.replica_cli import ask, run

NAMES = [
    "RPS",
    "maxBatchSize",
    "avgInputTokens",
    "avgOutputTokens",
    "alpha",
    "beta",
    "gamma",
    "delta",
    "maxQueueSize",
    "targetTTFT",
    "targetITL",
    "targetTPS",
    "maxNumTokens",
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(10**400)
)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
QUESTIONS = st.sampled_from(["solve", "target", "concurrency"])

NUMBERS = st.one_of(
    st.floats(0, 1e4), st.sampled_from([0, 1, 1e-100, 1e-30, 1e9, 1e30, 1e100, 8, 0.03])
)
PLAUSIBLE: dict[str, st.SearchStrategy[Any]] = {
    "RPS": NUMBERS,
    "maxBatchSize": st.integers(1, 40),
    "maxQueueSize": st.one_of(st.integers(0, 50), st.sampled_from([100_000, 1_000_000_000])),
    "avgInputTokens": st.one_of(st.integers(0, 20_000), st.floats(0, 1e9)),
    "avgOutputTokens": st.one_of(st.integers(1, 2_000), st.floats(1, 1e9)),
    "alpha": NUMBERS,
    "beta": NUMBERS,
    "gamma": NUMBERS,
}
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "delta": NUMBERS,
    "targetTTFT": NUMBERS,
    "targetITL": NUMBERS,
    "targetTPS": NUMBERS,
    "maxNumTokens": st.integers(1, 20_000),
}
CASES = st.fixed_dictionaries(PLAUSIBLE, optional=OPTIONAL)


@st.composite
def near_cases(draw: st.DrawFn) -> dict[str, Any]:
    """A plausible case with a field or two replaced by anything at all."""
    case = draw(CASES)
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=2)):
        case[name] = draw(SCALARS)
    return case


def check_one_answer(question: str, document: Any) -> None:
    ran = ask(question, [document])
    (answer,) = ran.answers
    assert answer["status"] in {"ok", "infeasible", "invalid"}
    assert ran.exit_code == {"ok": 0, "invalid": 2, "infeasible": 3}[answer["status"]]
    assert (answer["message"] == "") is (answer["status"] == "ok")
    if answer["status"] == "ok":
        assert all(value is not None for value in answer.values()), answer


@given(QUESTIONS, ANY_JSON)
def test_any_json(question: str, document: Any) -> None:
    check_one_answer(question, document)


@given(QUESTIONS, near_cases())
def test_nearly_cases(question: str, document: dict[str, Any]) -> None:
    check_one_answer(question, document)


@settings(max_examples=200)
@given(QUESTIONS, CASES)
def test_cases_however_extreme(question: str, case: dict[str, Any]) -> None:
    check_one_answer(question, case)
    (answer,) = ask(question, [case]).answers
    if answer["status"] == "infeasible":
        for name in ("TTFT", "ITL"):
            named = f"{name} target of" in answer["message"] or "both targets" in answer["message"]
            assert not named or case.get(f"target{name}"), (case, answer["message"])
    if answer["status"] != "ok":
        return
    figures = ("throughput", "avgWaitTime", "avgNumInServ", "utilization", "blocking", "avgTTFT")
    assert all(answer[name] >= 0.0 for name in figures), answer
    assert answer["throughput"] <= answer["offeredRPS"]
    assert answer["utilization"] <= 1.0 + 1e-9
    assert answer["blocking"] <= 1.0
    if question != "solve":
        for figure, target in (("avgTTFT", "targetTTFT"), ("avgITL", "targetITL")):
            if case.get(target):
                assert answer[figure] <= case[target] * (1 + 1e-6)


@given(QUESTIONS, st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line)))
def test_any_bytes(question: str, lines: list[bytes]) -> None:
    ran = run(question, "-", stdin=b"\n".join(lines))
    spoken = sum(1 for line in lines if line.decode("utf-8-sig", "replace").strip())
    assert len(ran.answers) == spoken
    assert all(answer["status"] == "invalid" for answer in ran.answers)


@given(
    st.fixed_dictionaries(
        {
            "maxBatchSize": st.integers(1, 24),
            "maxQueueSize": st.integers(0, 60),
            "avgInputTokens": st.one_of(st.just(0), st.floats(0.01, 9_000)),
            "avgOutputTokens": st.floats(2, 600),
            "alpha": st.floats(1, 40),
            "beta": st.floats(0.005, 0.2),
            "gamma": st.floats(1e-6, 1e-3),
        },
        optional={"delta": st.floats(1e-4, 0.01), "maxNumTokens": st.integers(2_000, 9_000)},
    ),
    st.floats(0.01, 3.0),
)
def test_solve_agrees_with_the_chain_state_by_state(case: dict[str, Any], load: float) -> None:
    rate = load * dense_replica.largest_rate_rps(case)
    (answer,) = ask("solve", [case | {"RPS": rate}]).answers
    for name, value in dense_replica.solve(case, rate).items():
        scale = 1e-9 * max(1.0, answer["avgRespTime"]) if name.startswith("avg") else 1e-12
        assert abs(answer[name] - value) <= 1e-7 * abs(value) + scale, (name, json.dumps(case))
