"""`stoker replica`: lines in, lines out, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stoker.cli.replica import answer_lines, app
from stoker.domain.replica import ReplicaQuestion
from tests.support import dense_replica
from tests.support.replica_cli import ask, run

QUESTIONS = ["solve", "target", "concurrency"]
CASE: dict[str, Any] = {
    "RPS": 2.0,
    "maxBatchSize": 8,
    "avgInputTokens": 256,
    "avgOutputTokens": 128,
    "alpha": 8,
    "beta": 0.03,
    "gamma": 0.0003,
    "maxQueueSize": 16,
    "targetTTFT": 200,
    "targetITL": 20,
}
IMPOSSIBLE = CASE | {"targetTTFT": 1, "targetITL": 1}
BAD = CASE | {"alpha": -1}


def lines_of(*cases: object) -> str:
    return "".join(f"{json.dumps(case)}\n" for case in cases)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_file_and_standard_input_give_the_same(question: str, tmp_path: Path) -> None:
    text = lines_of(CASE, {"input": CASE})
    file = tmp_path / "cases.jsonl"
    file.write_text(text, encoding="utf-8")
    from_file, from_stdin = run(question, str(file)), run(question, "-", stdin=text)
    assert from_file == from_stdin
    assert from_file.exit_code == 0
    assert from_file.stderr == ""
    bare, wrapped = from_file.answers
    assert bare == wrapped
    assert bare["status"] == "ok"


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_last_line_without_its_end(question: str) -> None:
    assert len(run(question, "-", stdin=lines_of(CASE, CASE).rstrip("\n")).answers) == 2


def test_nothing_in_nothing_out() -> None:
    ran = run("solve", "-", stdin="\n\n")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, "", "")


def test_malformed_lines_do_not_stop_the_others() -> None:
    text = lines_of(CASE) + "\n{oops\n" + lines_of(BAD, CASE | {"RPS": 3})
    ran = run("solve", "-", stdin=text.encode() + b"\xff\xff\n" + lines_of(CASE).encode())
    assert [answer["status"] for answer in ran.answers] == [
        "ok",
        "invalid",
        "invalid",
        "ok",
        "invalid",
        "ok",
    ]
    messages = [answer["message"] for answer in ran.answers if answer["status"] == "invalid"]
    # Blank lines count as lines of the file, as an editor counts them.
    assert [message.split(":")[0] for message in messages] == ["line 3", "line 4", "line 6"]
    assert ran.exit_code == 2
    assert "3 of 6 cases" in ran.stderr


@pytest.mark.parametrize("question", ["target", "concurrency"])
def test_exit_codes(question: str) -> None:
    assert ask(question, [CASE]).exit_code == 0
    assert ask(question, [CASE, IMPOSSIBLE]).exit_code == 3
    assert ask(question, [CASE, IMPOSSIBLE, BAD]).exit_code == 2


def test_a_case_without_time_is_told_with_its_line() -> None:
    # One output token and no prefill: a linear replica would answer in no time.
    idle = CASE | {"delta": 1, "gamma": 0, "avgInputTokens": 0, "avgOutputTokens": 1}
    ran = ask("solve", [CASE, idle])
    assert ran.answers[1]["message"].startswith("line 2: a request takes no time at all")
    assert ran.exit_code == 2


@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_stand_in_the_order_of_the_lines(question: str) -> None:
    # Both generations and several batch limits, which are computed apart.
    cases = [
        CASE | {"RPS": 1 + number, "maxBatchSize": 1 + (number * 7) % 13} | delta
        for number in range(30)
        for delta in ({}, {"delta": 0.001})
    ]
    together = ask(question, cases).answers
    assert together == [answer for case in cases for answer in ask(question, [case]).answers]


@pytest.mark.parametrize("question", list(ReplicaQuestion))
@pytest.mark.parametrize("chunk_lines", [1, 2, 7])
def test_chunks_change_nothing(question: ReplicaQuestion, chunk_lines: int) -> None:
    cases = [CASE | {"maxBatchSize": 1 + number % 9} for number in range(20)]
    lines = lines_of(*cases[:10], BAD, IMPOSSIBLE, *cases[10:]).encode().splitlines(keepends=True)
    lines.insert(3, b"\n")
    whole = [line for chunk in answer_lines(lines, question) for line in chunk]
    cut = [
        line for chunk in answer_lines(lines, question, chunk_lines=chunk_lines) for line in chunk
    ]
    assert cut == whole
    assert [line.number for line in whole] == [n for n in range(1, 24) if n != 4]


def test_answers_come_before_the_whole_file_is_read() -> None:
    taken = 0

    def lines() -> Any:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield lines_of(CASE).encode()

    next(answer_lines(lines(), ReplicaQuestion.SOLVE, chunk_lines=10))
    assert taken == 10


def test_a_linear_case() -> None:
    case = CASE | {"delta": 0.01, "gamma": 20}
    (answer,) = ask("solve", [case]).answers
    for name, value in dense_replica.solve(case, 2.0).items():
        assert answer[name] == pytest.approx(value, rel=1e-9), name


def test_a_small_token_budget() -> None:
    case = CASE | {"maxNumTokens": 200}
    (answer,) = ask("solve", [case]).answers
    for name, value in dense_replica.solve(case, 2.0).items():
        assert answer[name] == pytest.approx(value, rel=1e-9), name
    assert answer["avgTTFT"] > ask("solve", [CASE]).answers[0]["avgTTFT"]


def test_fractional_token_means_lie_between_whole_ones() -> None:
    ttft = [
        ask("solve", [CASE | {"avgInputTokens": tokens}]).answers[0]["avgTTFT"]
        for tokens in (256, 256.5, 257)
    ]
    assert ttft[0] < ttft[1] < ttft[2]


def test_infeasible_targets_are_told_with_the_best() -> None:
    (answer,) = ask("target", [CASE | {"targetTTFT": 1}]).answers
    assert answer["status"] == "infeasible"
    assert (answer["offeredRPS"], answer["throughput"]) == (0.0, 0.0)
    assert answer["RPSTargetTTFT"] == 0.0
    assert answer["RPSTargetITL"] > 0.0  # ITL alone is in reach
    alone = dense_replica.solve(CASE, 1e-6)["avgTTFT"]
    assert answer["message"].startswith(f"the TTFT target of 1 ms is below the {alone:.4g}"[:-1]), (
        answer["message"]
    )


def test_infeasible_concurrency() -> None:
    (answer,) = ask("concurrency", [IMPOSSIBLE]).answers
    assert answer["feasible"] is False
    assert (answer["concurrency"], answer["throughput"]) == (None, 0.0)
    assert "TTFT target of 1 ms" in answer["message"]
    assert "ITL target of 1 ms" in answer["message"]


@pytest.mark.parametrize("question", QUESTIONS)
def test_missing_files_and_directories(question: str, tmp_path: Path) -> None:
    for path in (tmp_path / "absent.jsonl", tmp_path):
        ran = run(question, str(path))
        assert ran.exit_code == 2
        assert ran.stdout == ""
        assert path.name in ran.stderr


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_table(question: str) -> None:
    ran = run(question, "-", "--format", "table", stdin=lines_of(CASE, IMPOSSIBLE, BAD))
    assert ran.exit_code == 2
    assert "alpha: is -1" in ran.stdout
    assert ran.stdout.count(" invalid ") == 1
    assert "NaN" not in ran.stdout


def test_help_names_the_three_questions() -> None:
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert all(question in shown for question in QUESTIONS)


def test_as_a_process_on_its_own() -> None:
    code = "from stoker.cli.replica import app; app()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "solve", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        output, _ = process.communicate(lines_of(*[CASE] * 3).encode(), timeout=60)
    assert process.returncode == 0
    assert len([json.loads(line) for line in output.splitlines()]) == 3
