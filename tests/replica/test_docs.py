"""The page about replicas: its examples run, and every field is explained."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from data import replica_fields, service_fields
from tests.support.replica_cli import Answer, ask, read_strictly, run

PAGE = Path(__file__).parents[2] / "docs" / "replica.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"\$ stoker replica (\w+) -\n(.*?)\n---\n(.*?)\n```", TEXT, re.DOTALL)


def test_every_question_has_an_example() -> None:
    assert {question for question, _, _ in EXAMPLES} == {"solve", "target", "concurrency"}


@pytest.mark.parametrize(("question", "line", "printed"), EXAMPLES)
def test_examples_print_what_the_page_shows(question: str, line: str, printed: str) -> None:
    (answer,) = run(question, "-", stdin=line).answers
    shown = read_strictly(printed)
    assert list(shown) == list(answer)
    for name, value in shown.items():
        if isinstance(value, float):
            assert answer[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name
        else:
            assert answer[name] == value, name


@pytest.mark.parametrize(
    ("question", "line"), re.findall(r"\$ stoker replica (\w+) -\n(.*)\n```", TEXT)
)
def test_other_lines_are_answered(question: str, line: str) -> None:
    (answer,) = run(question, "-", stdin=line).answers
    assert answer["status"] == "ok"
    assert answer["analysis"] == "full"


def explained(heading: str) -> set[str]:
    """Names in the first column of the table under a heading."""
    section = TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_field_of_a_case_is_explained() -> None:
    assert explained("A case") == set(replica_fields.FIELDS)


def test_every_field_of_an_answer_is_explained() -> None:
    case: dict[str, Any] = read_strictly(EXAMPLES[0][1]) | {"targetTPS": 1}
    answers: list[Answer] = [
        ask(question, [case]).answers[0] for question in ("solve", "target", "concurrency")
    ]
    answers += ask("solve", [case | {"kvTokens": 100_000}]).answers
    assert explained("An answer") == {name for answer in answers for name in answer}


def test_limits_are_those_of_the_program() -> None:
    assert f"1 to {replica_fields.LARGEST_BATCH:,}" in TEXT
    assert replica_fields.LARGEST_COUNT == 10**9
    assert (service_fields.SMALLEST, service_fields.LARGEST) == (1e-100, 1e100)
