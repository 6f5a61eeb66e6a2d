"""A bar of the time that a run of the harness has left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stoker.cli.figures import count_of

if TYPE_CHECKING:
    from profiler.harness.session import Progress as RunProgress

_Show = Callable[["RunProgress"], None]


def _to_nobody(_: RunProgress) -> None:
    """Show nothing."""


@contextmanager
def budget_bar(title: str, budget_s: float) -> Iterator[_Show]:
    """Show on standard error what is timed and how much of the budget is left, on a terminal.

    Args:
        title: What is going on, in a few words.
        budget_s: The budget.
    """
    if not sys.stderr.isatty():
        yield _to_nobody
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}")]
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(title, total=budget_s, words="preparing")

    def show(progress: RunProgress) -> None:
        bar.update(task, completed=min(progress.spent_s, budget_s), words=words_of(progress))

    with bar:
        yield show


def words_of(progress: RunProgress) -> str:
    """Return how far a run is, in words: ``14 cases, 2:05 left, least known ±3.1%``."""
    left = max(progress.budget_s - progress.spent_s, 0.0)
    parts = [count_of(progress.timed, "case"), f"{int(left // 60)}:{int(left % 60):02d} left"]
    if progress.doubt is not None:
        parts.append(f"least known ±{progress.doubt:.1%}")
    return ", ".join(parts)
