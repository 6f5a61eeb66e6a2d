"""Reading cases and writing answers, without any computation."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from data import replica_fields
from data.replica_answers import answer_document, format_line, problem_document
from data.replica_lines import parse_case, parse_line
from queueing.chain import MAX_BATCH_LIMIT
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.profile import LinearParameters, TokenWorkParameters
from stoker.domain.replica import AnswerStatus, ReplicaCase, ReplicaQuestion
from stoker.domain.replica_answer import ReplicaAnswer

SOLVE, TARGET, CONCURRENCY = ReplicaQuestion
CASE: dict[str, Any] = {
    "RPS": 1.5,
    "maxBatchSize": 16,
    "avgInputTokens": 256,
    "avgOutputTokens": 128,
    "alpha": 8,
    "beta": 0.03,
    "gamma": 0.0003,
    "maxQueueSize": 32,
    "targetTTFT": 100,
    "targetITL": 15,
}


def problems(document: object, question: ReplicaQuestion = SOLVE) -> list[str]:
    with pytest.raises(InvalidInputError) as caught:
        parse_case(document, question)
    return [str(problem) for problem in caught.value.problems]


def test_a_case_in_full() -> None:
    assert parse_case(CASE, SOLVE) == ReplicaCase(
        parameters=TokenWorkParameters(8.0, 0.03, 0.0003),
        input_tokens=256.0,
        output_tokens=128.0,
        max_batch=16,
        max_queue=32,
        arrival_rate_rps=1.5,
        ttft_ms=100.0,
        itl_ms=15.0,
    )


def test_delta_makes_it_linear_even_when_0() -> None:
    case = parse_case(CASE | {"delta": 0}, SOLVE)
    assert case.parameters == LinearParameters(8.0, 0.03, 0.0003, 0.0)


def test_a_case_under_input_wins_over_what_stands_beside_it() -> None:
    wrapped = {"note": "x", "Input": CASE, "output": {"message": "y"}, "RPS": 99}
    assert parse_case(wrapped, SOLVE) == parse_case(CASE, SOLVE)


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.swapcase, str.title])
def test_keys_in_any_case(spell: Any) -> None:
    respelt = {spell(key): value for key, value in CASE.items()}
    assert parse_case({spell("input"): respelt}, SOLVE) == parse_case(CASE, SOLVE)


@pytest.mark.parametrize("nothing", [0, 0.0, -0.0, None, "absent"])
def test_no_target_has_three_spellings(nothing: object) -> None:
    names = ("targetTTFT", "targetITL", "targetTPS", "maxNumTokens")
    rest = {key: value for key, value in CASE.items() if key not in names}
    case = parse_case(rest | ({} if nothing == "absent" else dict.fromkeys(names, nothing)), TARGET)
    assert (case.ttft_ms, case.itl_ms, case.tps, case.token_budget) == (None, None, None, 8192)


def test_optional_fields() -> None:
    case = parse_case(CASE | {"targetTPS": 200, "maxNumTokens": 2048}, TARGET)
    assert (case.tps, case.token_budget) == (200.0, 2048)


def test_the_queue_defaults_to_none() -> None:
    case = parse_case({key: CASE[key] for key in CASE if key != "maxQueueSize"}, SOLVE)
    assert case.max_queue == 0


def test_token_counts_are_means_and_may_be_fractions() -> None:
    case = parse_case(CASE | {"avgInputTokens": 0.5, "avgOutputTokens": 1.25}, SOLVE)
    assert (case.input_tokens, case.output_tokens) == (0.5, 1.25)


def test_a_whole_number_written_as_a_fraction() -> None:
    assert parse_case(CASE | {"maxBatchSize": 16.0}, SOLVE) == parse_case(CASE, SOLVE)


@pytest.mark.parametrize("question", [TARGET, CONCURRENCY])
@pytest.mark.parametrize("rate", [0, None])
def test_only_solve_needs_a_rate(question: ReplicaQuestion, rate: object) -> None:
    assert parse_case(CASE | {"RPS": rate}, question).arrival_rate_rps is None
    (problem,) = problems(CASE | {"RPS": rate})
    assert problem.startswith("RPS: is ")
    assert "above 0" in problem


BAD_VALUES = [
    ("RPS", -1),
    ("RPS", 1e200),
    ("RPS", 1e-200),
    ("maxBatchSize", 0),
    ("maxBatchSize", -3),
    ("maxBatchSize", 16.5),
    ("maxBatchSize", 1e30),
    ("maxBatchSize", 65_537),
    ("maxQueueSize", -1),
    ("maxQueueSize", 0.5),
    ("avgInputTokens", -1),
    ("avgInputTokens", 1e12),
    ("avgOutputTokens", 0),
    ("avgOutputTokens", 0.999),
    ("alpha", -1e-9),
    ("beta", math.nan),
    ("gamma", math.inf),
    ("gamma", -math.inf),
    ("delta", -1),
    ("alpha", "8"),
    ("alpha", True),
    ("alpha", [8]),
    ("alpha", {"value": 8}),
    ("alpha", 10**400),
    ("targetTTFT", -1),
    ("targetITL", math.nan),
    ("targetTPS", "fast"),
    ("maxNumTokens", -1),
    ("maxNumTokens", True),
]


@pytest.mark.parametrize("question", list(ReplicaQuestion))
@pytest.mark.parametrize(("name", "value"), BAD_VALUES, ids=lambda item: str(item)[:12])
def test_bad_values_are_named(question: ReplicaQuestion, name: str, value: object) -> None:
    (problem,) = problems(CASE | {name: value}, question)
    assert problem.startswith(f"{name}: is {json.dumps(value)[:10]}")
    assert "(allowed: " in problem
    assert len(problem) < 250


@pytest.mark.parametrize(
    "name", ["maxBatchSize", "avgInputTokens", "avgOutputTokens", "alpha", "beta", "gamma"]
)
def test_required_fields(name: str) -> None:
    for case in ({key: CASE[key] for key in CASE if key != name}, CASE | {name: None}):
        (problem,) = problems(case)
        assert problem.startswith(f"{name}: is missing (allowed: ")


def test_all_problems_at_once() -> None:
    found = problems({"rps": 0, "maxBatchSize": 0, "alpha": -1, "beta": 1, "targetTFTT": 5})
    named = [problem.split(":")[0] for problem in found]
    assert sorted(named) == sorted(
        ["RPS", "maxBatchSize", "alpha", "avgInputTokens", "avgOutputTokens", "gamma", "targetTFTT"]
    )


def test_unknown_fields_are_refused() -> None:
    (problem,) = problems(CASE | {"targetTFTT": 5})
    assert problem.startswith("targetTFTT: is not a field of a case (allowed: ")
    assert "RPS, maxBatchSize" in problem


def test_one_field_in_two_spellings() -> None:
    (problem,) = problems(CASE | {"ALPHA": 9})
    assert problem.startswith("alpha: is given more than once")


@pytest.mark.parametrize("delta", [{}, {"delta": 0}])
def test_all_zero_parameters(delta: dict[str, int]) -> None:
    (problem,) = problems(CASE | {"alpha": 0, "beta": 0, "gamma": 0} | delta)
    assert "are all 0 (allowed: at least one above 0)" in problem
    assert problem.startswith("alpha, beta, gamma")


@pytest.mark.parametrize("document", [None, 3, "x", True, [CASE], {"input": [CASE]}, {"input": 1}])
def test_what_is_no_case(document: object) -> None:
    (problem,) = problems(document)
    assert "an object" in problem


def test_problems_name_the_file() -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_case(CASE | {"alpha": -1}, SOLVE, file="cases.json")
    assert str(caught.value).startswith("cases.json: alpha: is -1")


MALFORMED = {
    b"{": "not JSON",
    b'{"RPS": 1': "not JSON",
    b"nonsense": "not JSON",
    b'{"RPS": 1}{"RPS": 2}': "not JSON",
    b"\xff\xfe": "not UTF-8",
    b"[" * 100_000: "nested too deeply",
    b'{"RPS": ' + b"1" * 5000 + b"}": "cannot be read",
    b'{"RPS": 1, "RPS": 2}': "given more than once",
    b'{"input": {"alpha": 1, "alpha": 2}}': "given more than once",
}


@pytest.mark.parametrize("line", MALFORMED, ids=list(MALFORMED.values()))
def test_malformed_lines(line: bytes) -> None:
    with pytest.raises(InvalidInputError, match=MALFORMED[line]):
        parse_line(line, SOLVE)


@pytest.mark.parametrize("line", [b"", b"\n", b"\r\n", b" \t \n", b"\xef\xbb\xbf\n"])
def test_blank_lines(line: bytes) -> None:
    assert parse_line(line, SOLVE) is None


def test_byte_order_mark_and_line_end() -> None:
    line = b"\xef\xbb\xbf" + json.dumps(CASE).encode() + b"\r\n"
    assert parse_line(line, SOLVE) == parse_case(CASE, SOLVE)


def test_limits_fit_the_analysis() -> None:
    assert replica_fields.LARGEST_BATCH == MAX_BATCH_LIMIT


REFERENCE_FIELDS = [
    "offeredRPS",
    "throughput",
    "avgRespTime",
    "avgWaitTime",
    "avgNumInServ",
    "avgTTFT",
    "avgITL",
    "maxRPS",
    "RPSTargetTTFT",
    "RPSTargetITL",
]


@pytest.mark.parametrize(
    ("question", "more"),
    [
        (SOLVE, []),
        (TARGET, []),
        (CONCURRENCY, ["concurrency", "M_ITL", "M_TPF", "feasible"]),
    ],
)
def test_answers_carry_every_field_of_the_format(
    question: ReplicaQuestion, more: list[str]
) -> None:
    extra = ["utilization", "blocking", "status", "message"]
    for status in (AnswerStatus.OK, AnswerStatus.INFEASIBLE):
        document = answer_document(ReplicaAnswer(question, status))
        assert sorted(document) == sorted(REFERENCE_FIELDS + more + extra)


def test_unknown_figures_are_null_never_nan() -> None:
    answer = ReplicaAnswer(TARGET, AnswerStatus.OK, ttft_ms=math.nan, itl_ms=math.inf)
    decoded = json.loads(format_line(answer_document(answer)))
    assert decoded["avgTTFT"] is None
    assert decoded["avgITL"] is None


def test_invalid_answers_have_a_line_number_where_there_are_lines() -> None:
    problem = Problem("alpha", "is -1", "0 or more")
    assert problem_document([problem, problem], line=7) == {
        "status": "invalid",
        "message": "line 7: alpha: is -1 (allowed: 0 or more); alpha: is -1 (allowed: 0 or more)",
    }
    invalid = ReplicaAnswer(SOLVE, AnswerStatus.INVALID, "no")
    assert answer_document(invalid) == {"status": "invalid", "message": "no"}
    assert answer_document(invalid, line=2)["message"] == "line 2: no"


def test_answers_are_one_line() -> None:
    document = problem_document([Problem("a\nb", "is \u2028 \ud800")], line=1)
    assert len(format_line(document).splitlines()) == 1
