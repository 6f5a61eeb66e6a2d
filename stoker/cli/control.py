"""`stoker control`: the periodic loop in a cluster, and what it did."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stoker.cli import control_orders, control_reading
from stoker.cli.control_logs import LogFormat, log_cycle, log_notes, logging_as
from stoker.cli.control_manifests import EPILOG as MANIFESTS
from stoker.cli.control_manifests import manifests
from stoker.cli.control_remote import read_token
from stoker.cli.exits import ExitCode
from stoker.cli.group import StokerGroup
from stoker.cli.options import FormatOption, examples
from stoker.cli.output import TextFormat, show_notes, write_text
from stoker.cli.serve import serving
from stoker.domain.control.choices import Mode
from stoker.domain.errors import InvalidInputError, Problem

if TYPE_CHECKING:
    from controller.exposition import Heartbeat
    from controller.record import CycleRecord, JsonObject
    from stoker.cli.control_wiring import Running

DocumentArgument = Annotated[
    Path,
    typer.Argument(
        metavar="CONTROL",
        help="Control document: what the loop is to do with which fleet.",
        show_default=False,
    ),
]

_ADDRESS = "--metrics-host, --metrics-port"

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
        "stoker control run control.yaml --metrics-port 9464 --log-format json",
        "stoker control run control.yaml --cycles 1 --format json",
        "stoker control run control.yaml --once --dry-run",
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
    once: Annotated[bool, typer.Option("--once", help="End after one cycle.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Do as the mode act, but have every write checked by the API server and kept by "
            "none (server-side dry run). Exit code 3 where one is refused.",
        ),
    ] = False,
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
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Take orders and answer questions there for whoever shows the token in this file; "
            "without one, anybody may ask and the loopback alone may order.",
            show_default=False,
        ),
    ] = None,
    log_format: Annotated[
        LogFormat,
        typer.Option(
            help="What is logged to standard error: text, or JSON lines, one for each decision "
            "(instead of the line a cycle on standard output).",
            case_sensitive=False,
        ),
    ] = LogFormat.TEXT,
    output_format: FormatOption = TextFormat.TABLE,
) -> None:
    """Run the loop: observe, forecast, plan, and act as far as the mode allows.

    The documents are read again in every cycle; wrong ones are told of and not taken. Runs until it
    is interrupted or terminated; SIGHUP begins the next cycle at once.
    """
    from controller.exposition import Heartbeat, exposition_of
    from controller.metrics import ControlMetrics
    from data.control_document.reading import read_control
    from stoker.cli.control_wiring import wired
    from stoker.cli.dry_run_report import refusals

    cycles, mode = _asked(cycles, mode, once=once, dry_run=dry_run)
    settings = read_control(document).settings
    metrics = ControlMetrics(compatible=settings.records.compatible_metrics)
    heartbeat = Heartbeat(time.monotonic, settings.loop.period_s)
    if token_file is not None:
        if metrics_port is None:
            message = "goes with --metrics-port: without it nothing is served"
            raise InvalidInputError([Problem("--token-file", message)])
        read_token(token_file)  # a wrong one is told before anything begins

    refused = False

    def told(record: CycleRecord) -> None:
        nonlocal refused
        metrics.told(record)
        refused = refused or bool(refusals(record.document))
        _write_cycle(record.document, log_format, output_format)

    def say(notes: Sequence[str]) -> None:
        if log_format is LogFormat.JSON:
            log_notes(notes)
        else:
            show_notes(notes)

    with ExitStack() as stack:
        stack.enter_context(logging_as(log_format))
        running = stack.enter_context(wired(document, mode, told, dry_run=dry_run))
        say(running.notes)
        if metrics_port is not None:
            app = _service(running, exposition_of(metrics), heartbeat, token_file)
            port = stack.enter_context(serving(app, metrics_host, metrics_port, _ADDRESS))
            shown = f"[{metrics_host}]" if ":" in metrics_host else metrics_host
            say([f"metrics on http://{shown}:{port}/metrics"])
        ended = threading.Event()
        stack.enter_context(_signals(ended, running.clock.wake))

        def over() -> bool:
            loop = running.loop
            metrics.failing(loop.failures, withdrawn=loop.withdrawn)
            heartbeat.beat(loop.document.settings.loop.period_s, failed=loop.failures > 0)
            return ended.is_set()

        running.loop.run(over, cycles)
    if dry_run and refused:
        raise typer.Exit(ExitCode.NOT_SERVED)


def _asked(
    cycles: int | None, mode: Mode | None, *, once: bool, dry_run: bool
) -> tuple[int | None, Mode | None]:
    """Return the cycles and the mode that options ask for together.

    Raises:
        InvalidInputError: They contradict each other.
    """
    if once and cycles is not None:
        raise InvalidInputError([Problem("--once", "is --cycles 1", "one of both")])
    if dry_run and mode not in (None, Mode.ACT):
        message = f"tries what the mode act would write, and --mode is {mode}"
        raise InvalidInputError([Problem("--dry-run", message, "one of both")])
    return 1 if once else cycles, Mode.ACT if dry_run else mode


def _service(
    running: Running, exposition: Callable[[], bytes], heartbeat: Heartbeat, token_file: Path | None
) -> Callable[..., Any]:
    """Return the REST service of a loop that runs."""
    from api.control.app import create_control_app
    from controller.desk import Desk

    clock = running.clock
    return create_control_app(
        Desk(running.journal, clock.now, clock.wake),
        exposition,
        token=None if token_file is None else lambda: read_token(token_file),
        stalled=heartbeat.stalled,
    )


def _write_cycle(document: JsonObject, log_format: LogFormat, output_format: TextFormat) -> None:
    """Tell of a cycle that is over."""
    if log_format is LogFormat.JSON:
        log_cycle(document)
    if output_format is TextFormat.JSON:
        write_text(json.dumps(document) + "\n")
    elif log_format is LogFormat.TEXT:
        from stoker.cli.control_report import cycle_line
        from stoker.cli.dry_run_report import dry_run_lines

        lines = [cycle_line(document), *(dry_run_lines(document) if document["dry_run"] else ())]
        write_text("\n".join(lines) + "\n")


app.command(epilog=control_reading.STATUS)(control_reading.status)
app.command(epilog=control_reading.HISTORY)(control_reading.history)
app.command(epilog=control_reading.EXPLAIN)(control_reading.explain)
app.command(epilog=control_reading.PENDING)(control_reading.pending)
app.command(epilog=control_orders.APPROVE)(control_orders.approve)
app.command(epilog=control_orders.REJECT)(control_orders.reject)
app.command(epilog=control_orders.PAUSE)(control_orders.pause)
app.command(epilog=control_orders.RESUME)(control_orders.resume)
app.command(epilog=control_orders.TRIGGER)(control_orders.trigger)
app.command(epilog=MANIFESTS)(manifests)


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
