"""`stoker control`: the periodic loop in a cluster, and what it did."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stoker.cli.control_manifests import EPILOG as MANIFESTS
from stoker.cli.control_manifests import manifests
from stoker.cli.exits import ExitCode
from stoker.cli.group import StokerGroup
from stoker.cli.options import FormatOption, examples
from stoker.cli.output import TextFormat, json_text, show, show_notes, write_text
from stoker.domain.control.settings import Mode
from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from controller.journal import CycleJournal
    from controller.record import CycleRecord, JsonObject

DocumentArgument = Annotated[
    Path,
    typer.Argument(
        metavar="CONTROL",
        help="Control document: what the loop is to do with which fleet.",
        show_default=False,
    ),
]

app = typer.Typer(
    cls=StokerGroup,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Keep a fleet in a cluster at the size that its load asks for.",
)


@app.command(
    epilog=examples(
        "stoker control run control.yaml",
        "stoker control run control.yaml --mode act --metrics-port 9464",
        "stoker control run control.yaml --cycles 1 --format json",
    )
)
def run(
    document: DocumentArgument,
    mode: Annotated[
        Mode | None,
        typer.Option(
            help="What the loop may do, instead of the document's mode.",
            case_sensitive=False,
            show_default="the document's",
        ),
    ] = None,
    cycles: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="End after so many cycles.", show_default="never"),
    ] = None,
    metrics_host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address of the loop's own metrics.")
    ] = "127.0.0.1",
    metrics_port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            help="Serve the loop's own metrics there; 0 for any free port.",
            show_default="not served",
        ),
    ] = None,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """Run the loop: observe, forecast, plan, and act as far as the mode allows.

    The documents are read again in every cycle; wrong ones are told of and not taken. Runs until it
    is interrupted or terminated; SIGHUP begins the next cycle at once.
    """
    from controller.exposition import exposed
    from controller.metrics import ControlMetrics
    from data.control_document.reading import read_control
    from stoker.cli.control_report import cycle_line
    from stoker.cli.control_wiring import wired

    settings = read_control(document).settings
    metrics = ControlMetrics(compatible=settings.records.compatible_metrics)

    def told(record: CycleRecord) -> None:
        metrics.told(record)
        if output_format is TextFormat.JSON:
            import json

            write_text(json.dumps(record.document) + "\n")
        else:
            write_text(cycle_line(record.document) + "\n")

    with ExitStack() as stack:
        running = stack.enter_context(wired(document, mode, told))
        show_notes(running.notes)
        if metrics_port is not None:
            port = stack.enter_context(exposed(metrics, metrics_host, metrics_port))
            show_notes([f"metrics on http://{metrics_host}:{port}/metrics"])
        ended = threading.Event()
        stack.enter_context(_signals(ended, running.clock.wake))
        running.loop.run(ended.is_set, cycles)


@app.command(
    epilog=examples(
        "stoker control status control.yaml",
        "stoker control status control.yaml --format json",
    )
)
def status(document: DocumentArgument, output_format: FormatOption = TextFormat.TABLE) -> None:
    """Show the last cycle: every server's load, size, and what holds it."""
    record = _last(_journal(document))
    if output_format is TextFormat.JSON:
        write_text(json_text(record))
        return
    from stoker.cli.control_report import status_report

    show(status_report(record))


@app.command(
    epilog=examples(
        "stoker control history control.yaml",
        "stoker control history control.yaml --count 100 --format json",
    )
)
def history(
    document: DocumentArgument,
    count: Annotated[
        int, typer.Option(metavar="N", min=1, max=100_000, help="Cycles to show.")
    ] = 20,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """Show the last cycles, the newest first: what changed, what it costs, what went wrong."""
    found = _journal(document).last(count)
    if output_format is TextFormat.JSON:
        write_text(json_text(list(found)))
        return
    from stoker.cli.control_report import history_report

    show(history_report(found))


@app.command(
    epilog=examples(
        "stoker control explain control.yaml chat",
        "stoker control explain control.yaml chat --cycle 12 --format json",
    )
)
def explain(
    document: DocumentArgument,
    server: Annotated[
        str, typer.Argument(metavar="SERVER", help="Name of a server.", show_default=False)
    ],
    cycle: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Number of the cycle.", show_default="the last"),
    ] = None,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """Explain one server in one cycle: signals with ages and queries, forecast, plan, decision."""
    journal = _journal(document)
    record = _last(journal) if cycle is None else journal.cycle(cycle)
    if record is None:
        message = f"{cycle} is not among the cycles that are kept"
        raise InvalidInputError([Problem("--cycle", message, "see stoker control history")])
    if server not in record["servers"]:
        allowed = ", ".join(record["servers"])
        raise InvalidInputError([Problem("SERVER", f"{server!r} is not in the cycle", allowed)])
    if output_format is TextFormat.JSON:
        write_text(json_text({"cycle": record["cycle"], server: record["servers"][server]}))
        return
    from stoker.cli.control_report import explanation_report

    show(explanation_report(record, server))


@app.command(
    epilog=examples(
        "stoker control approve control.yaml",
        "stoker control approve control.yaml chat search",
    )
)
def approve(
    document: DocumentArgument,
    servers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SERVER...]", help="Whose decisions; all that are open if left."),
    ] = None,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """In the mode `advise`: let the next cycle carry out the open decisions, just as they stand.

    A decision that has changed by then is not carried out. Exit code 3 where nothing is open.
    """
    journal = _journal(document)
    record = _last(journal)
    for name in servers or ():
        if name not in record["servers"]:
            allowed = ", ".join(record["servers"])
            raise InvalidInputError([Problem("SERVER", f"{name!r} is not in the cycle", allowed)])
    approved = journal.approve(servers or None)
    if output_format is TextFormat.JSON:
        write_text(json_text(approved))
    else:
        from stoker.cli.control_report import approval_report

        show(approval_report(approved))
    if not approved:
        raise typer.Exit(ExitCode.NOT_SERVED)


app.command(epilog=MANIFESTS)(manifests)


def _journal(document: Path) -> CycleJournal:
    """Return the records that belong to a document."""
    from controller.journal import CycleJournal
    from data.control_document.reading import read_control
    from stoker.cli.control_wiring import records_folder

    settings = read_control(document).settings
    folder = records_folder(document, settings)
    if not folder.is_dir():
        message = f"no records in {folder}: the loop has not run yet"
        raise InvalidInputError([Problem("CONTROL", message, "stoker control run", str(document))])
    return CycleJournal(folder, settings.records.retention_days)


def _last(journal: CycleJournal) -> JsonObject:
    found = journal.last()
    if not found:
        raise InvalidInputError([Problem("CONTROL", "no cycle is over yet", "wait for the first")])
    return found[0]


@contextmanager
def _signals(ended: threading.Event, wake: Callable[[], None]) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the loop after its cycle, and SIGHUP begin the next one."""

    def end(*_: object) -> None:
        ended.set()
        wake()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, end)
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is not None:
        before[hang_up] = signal.getsignal(hang_up)
        signal.signal(hang_up, lambda *_: wake())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
