"""The hand-picked edge cases: which answer is right for each, and why.

The cases are read from the reference outputs; the table below is the judgement of each on its
own. Where it says that the reference is right, figures must agree with it; every answered solve
and target case is computed again state by state besides.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import dense_replica
from tests.support.replica_cli import ask, run

OK, INFEASIBLE, INVALID = "ok", "infeasible", "invalid"
EXIT_CODE = {OK: 0, INVALID: 2, INFEASIBLE: 3}


@dataclass(frozen=True, slots=True)
class Judgement:
    status: str
    why: str
    reference_is_right: bool = False


def agrees(why: str) -> Judgement:
    return Judgement(OK, why, reference_is_right=True)


JUDGEMENTS: dict[tuple[str, str], Judgement] = {
    # -- solve: metrics at a rate
    ("solve", "K=1: batch 1, queue 0"): Judgement(
        OK, "one server that turns arrivals away while busy is a plain loss system: λ/(1 + λτ)"
    ),
    ("solve", "K=2: batch 1, queue 1"): agrees("M/M/1/2"),
    ("solve", "RPS=0"): Judgement(
        INVALID, "without arrivals there is no request whose latency could be told"
    ),
    ("solve", "no input tokens"): agrees("a decode-only load; prefill is the one iteration"),
    ("solve", "one output token"): agrees("the first token is the last: a prefill-only load"),
    ("solve", "zero output tokens"): Judgement(
        INVALID, "a request without output has no first token to wait for"
    ),
    ("solve", "fractional output tokens <1"): Judgement(
        INVALID, "every answered request has a token at least, so a mean below 1 is a mistake"
    ),
    ("solve", "alpha=0"): agrees("an iteration may cost nothing beyond its work"),
    ("solve", "only alpha"): agrees("iterations of constant length: τ does not depend on n"),
    ("solve", "all zero parms"): Judgement(
        INVALID, "hardware that takes no time is not hardware; infinite rates help nobody"
    ),
    ("solve", "10x overload"): agrees("the queue is finite: it carries μ(N), turns the rest away"),
    ("solve", "1e6 RPS"): Judgement(
        OK, "μ(N) carried; the reference is 0.1% off, from 1 - blocking in single precision"
    ),
    ("solve", "1e9 RPS"): Judgement(
        OK, "the limit of the same: μ(N) carried, 48 in the system; the reference gives NaN"
    ),
    ("solve", "1e-9 RPS"): agrees("each request alone"),
    ("solve", "1e-30 RPS"): agrees("each request alone"),
    ("solve", "prompt 9000 > 8192 token budget"): agrees("prefilled in two chunks"),
    ("solve", "prompt 100000"): agrees("prefilled in many chunks"),
    ("solve", "batch 512 short outputs (multi chunk)"): agrees("chunk count rises with the batch"),
    ("solve", "batch 4096"): agrees("a large batch, overloaded"),
    ("solve", "queue 100000"): agrees("a queue of hours, and still a mean"),
    ("solve", "long queue heavy load rescale"): agrees("weights beyond floating point, rescaled"),
    ("solve", "negative parm"): Judgement(INVALID, "no iteration takes negative time"),
    ("solve", "batch 0"): Judgement(INVALID, "a replica without a slot serves nobody"),
    ("solve", "huge service time"): Judgement(
        OK, "4e15 times the age of the universe an iteration, and every figure fits in a double"
    ),
    ("solve", "service time overflow"): Judgement(
        OK, "overflows single precision only; a double carries it"
    ),
    # -- target: largest rate within targets
    ("target", "no targets"): agrees("nothing binds below the largest rate, 0.999·μ(N)"),
    ("target", "unreachable TTFT"): Judgement(
        INFEASIBLE, "prefill alone takes 15.6 ms, the target is 1 ms"
    ),
    ("target", "unreachable ITL"): Judgement(
        INFEASIBLE, "an iteration takes 8 ms at least, the target is 1 ms"
    ),
    ("target", "very loose"): agrees("targets of days do not bind"),
    ("target", "K=1"): Judgement(
        OK, "no queue, no wait: TTFT is 24 ms at any rate, so the largest rate keeps 100 ms"
    ),
    ("target", "queue 0, TTFT target"): agrees("without a queue TTFT stays below 40 ms"),
    ("target", "ITL target equal to alpha-only constant"): Judgement(
        OK, "ITL is 8 ms at every rate and the target is 8 ms: kept at the largest rate too"
    ),
    ("target", "ITL target above alpha-only constant"): Judgement(
        OK, "ITL is 8 ms at every rate, within 9 ms; the reference cannot bracket a constant"
    ),
    ("target", "all zero parms"): Judgement(
        INVALID, "hardware that takes no time; the reference never returns"
    ),
    ("target", "multi-chunk discontinuity TTFT"): agrees("TTFT jumps, but stays far below 3 s"),
    ("target", "TPS target (extension)"): agrees("a margin of 10% on the largest rate"),
    ("target", "batch 1, loose ITL (wrongly rejected)"): Judgement(
        OK, "with batch 1 ITL falls a little with load and is far below 100 ms everywhere"
    ),
    ("target", "batch 2, loose ITL"): agrees("does not bind"),
    # -- concurrency: smallest near-peak batch (here the reference is a bound, not the answer)
    ("optimize", "no targets"): Judgement(
        OK, "throughput rises up to batch 256: near-peak is far above the reference's 3"
    ),
    ("optimize", "only ITL"): Judgement(OK, "ITL limits the batch that pays"),
    ("optimize", "only TTFT"): Judgement(OK, "throughput rises up to the largest batch"),
    ("optimize", "unreachable"): Judgement(INFEASIBLE, "1 ms is below one iteration and prefill"),
    ("optimize", "queue 0"): Judgement(OK, "without a queue blocking costs throughput"),
    ("optimize", "max batch 1 queue 0"): Judgement(
        OK, "batch 1 keeps both targets at any rate: TTFT 24 ms, ITL 8 ms"
    ),
}

QUESTION = {"solve": "solve", "target": "target", "optimize": "concurrency"}

Record = dict[str, Any]


@pytest.fixture(scope="module")
def records(golden_dir: Path) -> dict[tuple[str, str], Record]:
    lines = (golden_dir / "replica_edge.jsonl").read_text(encoding="utf-8").splitlines()
    return {(record["cmd"], record["note"]): record for record in map(json.loads, lines)}


def test_every_case_is_judged(records: dict[tuple[str, str], Record]) -> None:
    assert len(records) == 44
    assert set(JUDGEMENTS) == set(records)


@pytest.mark.parametrize("key", JUDGEMENTS, ids=" ".join)
def test_edge_case(records: dict[tuple[str, str], Record], key: tuple[str, str]) -> None:
    record, judgement = records[key], JUDGEMENTS[key]
    question, case = QUESTION[key[0]], record["input"]

    started = time.perf_counter()
    ran = ask(question, [case])
    elapsed_s = time.perf_counter() - started

    (answer,) = ran.answers
    assert answer["status"] == judgement.status, answer["message"]
    assert ran.exit_code == EXIT_CODE[judgement.status]
    assert elapsed_s < 1.0
    if judgement.status == INVALID:
        assert set(answer) == {"status", "message"}
        assert "allowed" in answer["message"]
    if judgement.status == INFEASIBLE:
        assert answer["throughput"] == 0.0
        assert "target" in answer["message"]
    if judgement.status == OK:
        assert answer["message"] == ""
        assert all(value is not None for value in answer.values())
        check_figures(case, answer)
    if judgement.reference_is_right:
        check_agreement(answer, record["output"])
    if question == "target" and judgement.status == OK:
        check_largest(case, answer)
    if question == "concurrency" and judgement.status == OK:
        check_smallest_near_peak(case, answer, record["output"])


def check_figures(case: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """Every figure follows from the rate, state by state."""
    sized = dict(case) | (
        {"maxBatchSize": answer["concurrency"]} if "concurrency" in answer else {}
    )
    expected = dense_replica.solve(sized, answer["offeredRPS"])
    for name, value in expected.items():
        assert answer[name] == pytest.approx(value, rel=1e-7, abs=1e-9), name


def check_agreement(answer: Mapping[str, Any], reference: Mapping[str, Any]) -> None:
    for name, value in reference.items():
        allowed_abs = 1e-3 if name == "avgWaitTime" else 0.0
        assert answer[name] == pytest.approx(value, rel=1e-4, abs=allowed_abs), name


def check_largest(case: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """Targets are kept; a little more breaks one, unless this is the largest rate of all."""
    assert keeps(case, answer)
    ceiling = answer["maxRPS"] * (0.9 if case.get("targetTPS") else 1.0)
    if answer["offeredRPS"] < ceiling * (1 - 1e-9):
        assert not keeps(case, dense_replica.solve(case, answer["offeredRPS"] * (1 + 1e-5)))


def keeps(case: Mapping[str, Any], answer: Mapping[str, Any]) -> bool:
    pairs = (("avgTTFT", "targetTTFT"), ("avgITL", "targetITL"))
    return all(
        answer[figure] <= case[target] * (1 + 1e-6) for figure, target in pairs if case[target]
    )


def check_smallest_near_peak(
    case: Mapping[str, Any], answer: Mapping[str, Any], reference: Mapping[str, Any]
) -> None:
    """The definition, over every batch limit; and never worse than the reference."""
    batches = range(1, case["maxBatchSize"] + 1)
    sized = ask("target", [dict(case) | {"maxBatchSize": batch} for batch in batches]).answers
    plateau = max(at_batch["throughput"] for at_batch in sized)
    near_peak = [
        batch
        for batch, at_batch in zip(batches, sized, strict=True)
        if at_batch["throughput"] >= 0.98 * plateau
    ]
    assert answer["concurrency"] == near_peak[0]
    assert answer["throughput"] == sized[near_peak[0] - 1]["throughput"]
    assert keeps(case, answer)
    assert answer["feasible"] is True
    if keeps(case, reference):
        assert reference["throughput"] <= plateau * (1 + 1e-4)
        if reference["throughput"] >= 0.98 * plateau * (1 + 1e-4):
            assert answer["concurrency"] <= reference["concurrency"]


def test_the_whole_file_at_once(golden_dir: Path) -> None:
    # As a user would hand it over: cases under "input", other keys beside them.
    file = golden_dir / "replica_edge.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines()
    for question in ("solve", "target", "concurrency"):
        ran = run(question, str(file))
        assert len(ran.answers) == len(lines)
        assert ran.exit_code == 2
