"""The reference outputs, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import dense_replica
from tests.support.replica_cli import Answer, ask, run

Pair = tuple[dict[str, Any], Answer]


def asked(golden_dir: Path, question: str) -> list[Pair]:
    """Reference records with Stoker's answer to each."""
    file = golden_dir / f"replica_{question}.jsonl"
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return list(zip(records, run(question, str(file)).answers, strict=True))


@pytest.fixture(scope="module")
def solved(golden_dir: Path) -> list[Pair]:
    return asked(golden_dir, "solve")


@pytest.fixture(scope="module")
def targeted(golden_dir: Path) -> list[Pair]:
    return asked(golden_dir, "target")


@pytest.fixture(scope="module")
def limited(golden_dir: Path) -> list[Pair]:
    return asked(golden_dir, "concurrency")


def keeps(case: dict[str, Any], answer: Answer) -> bool:
    pairs = (("avgTTFT", "targetTTFT"), ("avgITL", "targetITL"))
    return all(
        answer[figure] <= case[target] * (1 + 1e-6) for figure, target in pairs if case[target]
    )


def test_solve_agrees_wherever_the_reference_answers(solved: list[Pair]) -> None:
    answered = [(record, answer) for record, answer in solved if record["status"] == 200]
    assert len(answered) == 198
    for record, answer in answered:
        assert answer["status"] == "ok"
        for name, value in record["output"].items():
            allowed_abs = 1e-3 if name == "avgWaitTime" else 0.0
            assert answer[name] == pytest.approx(value, rel=1e-4, abs=allowed_abs), record["input"]


def test_solve_answers_what_the_reference_refuses(solved: list[Pair]) -> None:
    refused = [(record["input"], answer) for record, answer in solved if record["status"] != 200]
    assert len(refused) == 2
    for case, answer in refused:
        assert answer["status"] == "ok"
        for name, value in dense_replica.solve(case, case["RPS"]).items():
            assert answer[name] == pytest.approx(value, rel=1e-9, abs=1e-12), (name, case)


def test_targets_are_kept_with_the_throughput_of_the_reference(targeted: list[Pair]) -> None:
    assert len(targeted) == 130
    compared = 0
    for record, answer in targeted:
        case, reference = record["input"], record["output"]
        if answer["status"] == "ok":
            assert keeps(case, answer), case
        if record["status"] == 200 and keeps(case, reference):
            compared += 1
            assert answer["status"] == "ok"
            assert answer["throughput"] >= 0.997 * reference["throughput"], case
    assert compared >= 60


def test_target_figures_follow_from_the_rate(targeted: list[Pair]) -> None:
    for record, answer in targeted:
        if answer["status"] == "ok":
            expected = dense_replica.solve(record["input"], answer["offeredRPS"])
            for name, value in expected.items():
                assert answer[name] == pytest.approx(value, rel=1e-7, abs=1e-7), name


def test_infeasible_targets_name_the_best_that_is_reachable(targeted: list[Pair]) -> None:
    infeasible = [
        (record["input"], answer) for record, answer in targeted if answer["status"] == "infeasible"
    ]
    assert len(infeasible) >= 5
    for case, answer in infeasible:
        assert answer["throughput"] == 0.0
        assert answer["avgTTFT"] is None
        assert "target" in answer["message"]
        assert "ms" in answer["message"]
        # No rate of a fine grid over the whole range keeps the targets.
        low = answer["maxRPS"] * 1e-6
        for step in range(40):
            rate = low * (answer["maxRPS"] / low) ** (step / 39)
            assert not keeps(case, dense_replica.solve(case, rate)), (case, rate)


def test_concurrency_by_its_definition(limited: list[Pair]) -> None:
    assert len(limited) == 40
    for record, answer in limited:
        case, reference = record["input"], record["output"]
        batches = range(1, case["maxBatchSize"] + 1)
        sized = ask("target", [case | {"maxBatchSize": batch} for batch in batches]).answers
        throughputs = [at_batch["throughput"] for at_batch in sized]
        plateau = max(throughputs)
        assert answer["feasible"] is (plateau > 0.0)
        if not plateau:
            assert answer["status"] == "infeasible"
            assert answer["throughput"] == 0.0
            assert reference["feasible"] is False
            continue
        near_peak = next(n for n, at in enumerate(throughputs, 1) if at >= 0.98 * plateau)
        assert answer["concurrency"] == near_peak
        assert answer["throughput"] == throughputs[near_peak - 1]
        assert keeps(case, answer)


def test_concurrency_is_never_worse_than_the_reference(limited: list[Pair]) -> None:
    for record, answer in limited:
        case, reference = record["input"], record["output"]
        if not (reference["feasible"] and keeps(case, reference)):
            continue
        assert answer["status"] == "ok"
        # Smaller with throughput within 2% of the plateau, or a higher plateau.
        smaller = answer["concurrency"] <= reference["concurrency"]
        assert answer["throughput"] >= 0.98 * reference["throughput"] * (1 - 1e-4)
        assert smaller or answer["throughput"] > reference["throughput"], case


def test_brackets_are_those_of_the_closed_forms(limited: list[Pair]) -> None:
    for record, answer in limited:
        case, reference = record["input"], record["output"]
        # The reference gives 1 for a target that is not set: there it binds nothing.
        for bracket, target in (("M_ITL", "targetITL"), ("M_TPF", "targetTTFT")):
            expected = reference[bracket] if case[target] else case["maxBatchSize"]
            assert answer[bracket] == expected, case
