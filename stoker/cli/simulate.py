"""`stoker simulate`: play replicas iteration by iteration, a case a line, an answer a line."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from stoker.cli.csv_input import opened_csv
from stoker.cli.exits import ExitCode
from stoker.cli.options import examples
from stoker.cli.output import (
    TextFormat,
    check_output_directory,
    show,
    show_notes,
    write_text,
)
from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from data.replica_answers import AnswerDocument
    from data.simulation_lines import SimulationCase, TraceRows
    from simulator import Run, Summary

EPILOG = examples(
    "stoker simulate cases.jsonl",
    "head -n 1 cases.jsonl | stoker simulate - --format table",
    "stoker simulate --trace trace.csv --case case.json --plots plots/",
)

_PATIENCE_S = 2.0
_TABLE_WIDTH = 220
_NO_SPLIT = (
    "cards: cannot be split, as the analysis full cannot take the case (allowed: "
    "prefillReplicas and decodeReplicas)"
)


def simulate(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE.jsonl|-]",
            help="Cases, one JSON object a line; - for stdin.",
            show_default=False,
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Arrivals and lengths: columns arrival_s, in_tokens, out_tokens; needs --case.",
            show_default=False,
        ),
    ] = None,
    case: Annotated[
        Path | None,
        typer.Option(
            metavar="JSON",
            help="The replica that serves the trace; its RPS and token counts are not used.",
            show_default=False,
        ),
    ] = None,
    output_format: Annotated[
        TextFormat,
        typer.Option("--format", help="json: one answer a line; table: for people, all at once."),
    ] = TextFormat.JSON,
    plots: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Draw latency over time and distributions into this directory.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Simulate replicas: percentiles of latency with confidence intervals.

    The lines are those of `stoker replica solve`, and may carry arrivalCV, inputTokensCV,
    outputTokensCV, kvTokens, prefixHitRate, concurrency (instead of RPS), percentiles, requests
    and seed; replicas and router; or prefillReplicas and decodeReplicas (or cards to split) with
    transferMs and transferMsPerToken.
    """
    if (file is None) == (trace is None) or (trace is None) != (case is None):
        raise InvalidInputError(
            [Problem("", "cannot tell what to simulate", "FILE, or --trace with --case")]
        )
    check_output_directory(plots, "--plots")
    statuses: list[str] = []
    table: list[tuple[int, AnswerDocument]] = []
    for number, document in _answers(file, trace, case, plots):
        statuses.append(str(document["status"]))
        if output_format is TextFormat.TABLE:
            table.append((number, document))
        else:
            write_text(f"{json.dumps(document, allow_nan=False)}\n")
    if output_format is TextFormat.TABLE:
        from stoker.cli.simulation_table import simulation_table

        show(simulation_table(table), _TABLE_WIDTH)
    raise typer.Exit(_exit_code(statuses))


def _answers(
    file: str | None, trace: Path | None, case: Path | None, plots: Path | None
) -> Iterator[tuple[int, AnswerDocument]]:
    from data.simulation_lines import parse_simulation, parse_simulation_line, parse_trace

    if trace is not None and case is not None:
        with opened_csv(trace) as rows:
            requests = parse_trace(rows, file=str(trace))
        try:
            document = json.loads(case.read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise InvalidInputError([Problem("", f"is not JSON: {error}", "", str(case))]) from None
        asked = parse_simulation(document, file=str(case), traced=True)
        yield 1, _answer(asked, requests, 1, plots)
        return
    from data.replica_answers import invalid_document, problem_document

    with _opened(str(file)) as lines:
        for number, line in enumerate(lines, start=1):
            try:
                parsed = parse_simulation_line(line)
            except InvalidInputError as error:
                yield number, problem_document(error.problems, line=number)
            else:
                if parsed is not None:
                    split = _split(parsed)
                    if split is None:
                        yield number, invalid_document(_NO_SPLIT, number)
                    else:
                        yield number, _answer(split, None, number, plots)


def _split(asked: SimulationCase) -> SimulationCase | None:
    """Return a case with its cards split, as `stoker replica` does; None where that cannot."""
    from optimizer.engine_splits import with_sizes
    from stoker.domain.replica_system import CardsToSplit, TwoPools

    system = asked.case.system
    if not (isinstance(system, TwoPools) and isinstance(system.sizes, CardsToSplit)):
        return asked
    (found,) = with_sizes([asked.case])
    return replace(asked, case=found.case) if found.splits else None


def _answer(
    asked: SimulationCase, trace: TraceRows | None, number: int, plots: Path | None
) -> AnswerDocument:
    from simulator import simulate as play
    from simulator import summarize
    from stoker.cli.simulation_answer import answer_document, scenario_of

    # A trace is reported whole: its first requests are as real as the others.
    shares = {"warm_up": 0.0, "cool_down": 0.0} if trace is not None else {}
    with _progress(f"Simulating line {number}") as report:
        run = play(scenario_of(asked, trace), on_progress=report, **shares)
    summary = summarize(run, asked.case.percentiles)
    if plots is not None:
        _draw(run, summary, plots, number)
    return answer_document(run, summary)


def _draw(run: Run, summary: Summary, directory: Path, number: int) -> None:
    from stoker.cli.plots import write_figure
    from stoker.cli.plots.simulation import distributions_figure, over_time_figure

    written = [
        write_figure(over_time_figure(run), directory / f"line-{number}-over-time.png"),
        write_figure(
            distributions_figure(run, summary), directory / f"line-{number}-distributions.png"
        ),
    ]
    show_notes(f"wrote {path}" for path in written)


@contextmanager
def _progress(message: str) -> Iterator[Callable[[float], None] | None]:
    """Show a bar on standard error from two seconds on, where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    started = time.monotonic()
    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task(message, total=1.0)
    shown = False

    def report(share: float) -> None:
        nonlocal shown
        if not shown and time.monotonic() - started > _PATIENCE_S:
            bar.start()
            shown = True
        bar.update(task, completed=share)

    try:
        yield report
    finally:
        if shown:
            bar.stop()


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
    else:
        with Path(file).open("rb") as stream:
            yield stream


def _exit_code(statuses: list[str]) -> ExitCode:
    """Return the exit code, and say on standard error what it stands for."""
    invalid, unserved = statuses.count("invalid"), statuses.count("infeasible")
    show_notes(
        f"{count:,} of {len(statuses):,} cases {words}"
        for count, words in (
            (invalid, "could not be read: see their messages"),
            (unserved, "completed no request"),
        )
        if count
    )
    if invalid:
        return ExitCode.BAD_INPUT
    return ExitCode.NOT_SERVED if unserved else ExitCode.DONE
