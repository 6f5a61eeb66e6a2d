"""A bar for work of many steps that may go on from an earlier run, with the time left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def _nowhere(_: int) -> None:
    """Report to nobody."""


@contextmanager
def remaining_bar(message: str, steps: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error, where that is a terminal.

    The body reports how many steps are done in all. The time left is estimated from the steps of
    this run alone.

    Args:
        message: What is going on, in a few words.
        steps: Steps in all.
        done: Steps of earlier runs.
    """
    if steps <= done or not sys.stderr.isatty():
        yield _nowhere
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    before = f", {done:,} done before" if done else ""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("·"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(message + before, total=steps - done)
        yield lambda count: bar.update(task, completed=count - done)
