"""`stoker replica`: questions about replicas, a case a line, an answer a line."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from stoker.cli.exits import ExitCode
from stoker.cli.group import StokerGroup
from stoker.cli.options import examples
from stoker.cli.output import TextFormat, show, show_notes, write_text
from stoker.domain.errors import InvalidInputError
from stoker.domain.replica import AnswerStatus, ReplicaCase, ReplicaQuestion
from stoker.domain.settings import Analysis

if TYPE_CHECKING:
    from data.replica_answers import AnswerDocument

CHUNK_LINES = {
    ReplicaQuestion.SOLVE: 2000,
    ReplicaQuestion.TARGET: 2000,
    ReplicaQuestion.CONCURRENCY: 100,  # each line sizes every batch limit up to its own
}
"""Lines that are read, answered together and written before the next ones are read."""

app = typer.Typer(
    cls=StokerGroup,
    no_args_is_help=True,
    help="Ask about single replicas, fleets behind a router, and pools of prefill and decode.\n\n"
    "One JSON case a line in, one JSON answer a line out.",
)

_File = Annotated[
    str,
    typer.Argument(metavar="FILE.jsonl|-", help="Cases, one JSON object a line; - for stdin."),
]
_AnalysisOption = Annotated[
    Analysis | None,
    typer.Option(
        "--analysis",
        metavar="MODEL",
        help="Performance model: `reference` (default), on means; or `full`, the engine as it is, "
        "with percentiles: the default of a line with a field that only it knows.",
        show_default=False,
        case_sensitive=False,
    ),
]
_FormatOption = Annotated[
    TextFormat,
    typer.Option("--format", help="json: one answer a line; table: for people, all at once."),
]


@app.command(
    epilog=examples(
        "stoker replica solve cases.jsonl",
        "head -n 1 cases.jsonl | stoker replica solve - --format table",
    )
)
def solve(
    file: _File,
    analysis: _AnalysisOption = None,
    output_format: _FormatOption = TextFormat.JSON,
) -> None:
    """Latencies and throughput at the arrival rate (RPS).

    Of one replica, or of all: a line may have replicas and router (random, round-robin,
    shortest-queue, least-kv), or prefillReplicas and decodeReplicas, or cards to be split between
    both pools, with transferMs and transferMsPerToken.
    """
    _run(ReplicaQuestion.SOLVE, file, analysis, output_format)


@app.command(epilog=examples("stoker replica target cases.jsonl"))
def target(
    file: _File,
    analysis: _AnalysisOption = None,
    output_format: _FormatOption = TextFormat.JSON,
) -> None:
    """Largest arrival rate within the targets of TTFT and ITL.

    Of one replica, or of all: lines are those of `stoker replica solve`. Where cards are to be
    split between pools, every split is listed with its rate and the best one is taken.
    """
    _run(ReplicaQuestion.TARGET, file, analysis, output_format)


@app.command(epilog=examples("stoker replica concurrency cases.jsonl"))
def concurrency(
    file: _File,
    analysis: _AnalysisOption = None,
    output_format: _FormatOption = TextFormat.JSON,
) -> None:
    """Smallest batch limit that carries near-peak throughput within the targets."""
    _run(ReplicaQuestion.CONCURRENCY, file, analysis, output_format)


@dataclass(frozen=True, slots=True)
class AnsweredLine:
    """The answer to one input line, with the number of that line from 1."""

    number: int
    document: AnswerDocument

    @property
    def status(self) -> AnswerStatus:
        """How far the question could be answered."""
        return AnswerStatus(str(self.document["status"]))


def answer_lines(
    lines: Iterable[bytes],
    question: ReplicaQuestion,
    analysis: Analysis | None = None,
    *,
    chunk_lines: int | None = None,
) -> Iterator[list[AnsweredLine]]:
    """Answer the lines of a file, chunk by chunk, each chunk in one array computation.

    Args:
        lines: The lines in UTF-8; blank ones get no answer.
        question: What is asked of every case.
        analysis: Performance model; None for what each case asks for.
        chunk_lines: Lines read before their answers are handed on; `CHUNK_LINES` by default.

    Yields:
        The answers to each chunk, in the order of its lines.
    """
    numbered = enumerate(lines, start=1)
    while chunk := list(islice(numbered, chunk_lines or CHUNK_LINES[question])):
        yield _answer_chunk(chunk, question, analysis)


def _answer_chunk(
    chunk: list[tuple[int, bytes]], question: ReplicaQuestion, analysis: Analysis | None
) -> list[AnsweredLine]:
    from data.replica_answers import answer_document, problem_document
    from data.replica_lines import parse_line
    from optimizer.replica_questions import answer_many

    documents: dict[int, AnswerDocument] = {}
    cases: dict[int, ReplicaCase] = {}
    for number, line in chunk:
        try:
            case = parse_line(line, question)
        except InvalidInputError as error:
            documents[number] = problem_document(error.problems, line=number)
        else:
            if case is not None:
                cases[number] = case
    answers = answer_many(question, list(cases.values()), analysis)
    for number, answer in zip(cases, answers, strict=True):
        documents[number] = answer_document(answer, line=number)
    return [AnsweredLine(number, documents[number]) for number in sorted(documents)]


def _run(
    question: ReplicaQuestion, file: str, analysis: Analysis | None, output_format: TextFormat
) -> None:
    from data.replica_answers import format_line

    statuses: Counter[AnswerStatus] = Counter()
    table: list[AnsweredLine] = []
    with _opened(file) as stream:
        for answered in answer_lines(stream, question, analysis):
            statuses.update(line.status for line in answered)
            if output_format is TextFormat.TABLE:
                table += answered
            else:
                write_text("".join(f"{format_line(line.document)}\n" for line in answered))
    if output_format is TextFormat.TABLE:
        from stoker.cli.replica_table import replica_table

        show(replica_table(question, [(line.number, line.document) for line in table]))
    raise typer.Exit(_exit_code(question, statuses))


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
    else:
        with Path(file).open("rb") as stream:
            yield stream


def _exit_code(question: ReplicaQuestion, statuses: Counter[AnswerStatus]) -> ExitCode:
    """Return the exit code, and say on standard error what it stands for."""
    solving = question is ReplicaQuestion.SOLVE
    invalid, infeasible = statuses[AnswerStatus.INVALID], statuses[AnswerStatus.INFEASIBLE]
    found = [
        f"{count:,} of {statuses.total():,} cases {words}"
        for count, words in (
            (invalid, "could not be read or computed: see their messages"),
            (
                infeasible,
                "are offered more than they complete"
                if solving
                else "cannot keep their targets at any rate",
            ),
        )
        if count
    ]
    show_notes(found)
    if invalid:
        return ExitCode.BAD_INPUT
    return ExitCode.NOT_SERVED if infeasible else ExitCode.DONE
