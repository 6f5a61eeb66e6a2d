"""A bar for what takes longer than two seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer

PATIENCE_S = 2.0
"""Time that needs no bar."""


def _nowhere(_: int) -> None:
    """Report to nobody."""


@contextmanager
def steps_bar(message: str, steps: int, *, wanted: bool = True) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error from two seconds on, where that is a terminal.

    The body reports how many steps are done. A single step has no share that is done: its bar
    only moves.

    Args:
        message: What is going on, in a few words.
        steps: Steps in all.
        wanted: Whether to show it at all: it would mix with lines written meanwhile.
    """
    if not (wanted and sys.stderr.isatty()):
        yield _nowhere
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    counts = [MofNCompleteColumn()] if steps > 1 else []
    columns = [TextColumn("{task.description}"), BarColumn(), *counts, TimeElapsedColumn()]
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(message, total=steps if steps > 1 else None)
    # The body may compute for long without a report: a timer starts the bar meanwhile.
    start = Timer(PATIENCE_S, bar.start)
    start.daemon = True
    start.start()

    def report(done: int) -> None:
        bar.update(task, completed=done)

    try:
        yield report
    finally:
        start.cancel()
        start.join()
        bar.stop()
