"""Runs `stoker replica` in this process."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from stoker.cli.replica import app

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ran:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def answers(self) -> list[Answer]:
        return [read_strictly(line) for line in self.stdout.splitlines()]


def read_strictly(line: str) -> Answer:
    """Decode a line, refusing the NaN and Infinity that JSON does not have."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in {line}")

    document = json.loads(line, parse_constant=refuse)
    assert isinstance(document, dict)
    return document


def run(*arguments: str, stdin: str | bytes = "") -> Ran:
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


def ask(question: str, cases: Iterable[Mapping[str, object]]) -> Ran:
    """Ask about cases given on standard input."""
    return run(question, "-", stdin="".join(f"{json.dumps(case)}\n" for case in cases))
