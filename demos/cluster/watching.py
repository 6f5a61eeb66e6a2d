"""Showing a closed loop while it runs: a page that renews itself, or a line now and then."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live

from demos.cluster.closed_loop import NAMESPACE, ClosedLoop
from demos.cluster.moment import Moment, Watched, moment_of
from demos.cluster.view import moment_line, moment_view

_LINES = 24
"""Lines of a whole day, where no terminal is there to show a page on."""


@contextlib.contextmanager
def shown(
    found: ClosedLoop, servers: Sequence[Watched], day_s: float, currency: str
) -> Iterator[Callable[[float], None]]:
    """Yield what shows the loop as it is now, on standard error; called every now and then.

    Args:
        found: A loop that runs.
        servers: The servers to show.
        day_s: Length of the day.
        currency: What costs are in.
    """
    console = Console(stderr=True, highlight=False)

    def now() -> Moment:
        return moment_of(found, servers, day_s)

    if not console.is_terminal:
        yield _Lines(now, day_s, currency, console)
        return
    hints = hints_of(found)
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def page(_: float) -> None:
            live.update(moment_view(now(), console.width, currency, hints), refresh=True)

        yield page


class _Lines:
    """Prints a line each hour of the day that is played."""

    def __init__(
        self, now: Callable[[], Moment], day_s: float, currency: str, console: Console
    ) -> None:
        self._now = now
        self._every_s = day_s / _LINES
        self._due_s = 0.0
        self._currency = currency
        self._console = console

    def __call__(self, at_s: float) -> None:
        if at_s >= self._due_s:
            self._due_s = (int(at_s / self._every_s) + 1) * self._every_s
            self._console.print(moment_line(self._now(), self._currency), soft_wrap=True)


def hints_of(found: ClosedLoop) -> list[str]:
    """Return what else to try while it runs, in another terminal."""
    beside = Path(sys.executable).parent / "stoker"
    command = beside if beside.exists() else Path("stoker")
    if command.is_relative_to(Path.cwd()):
        command = command.relative_to(Path.cwd())
    config = found.plane.kubeconfig()
    return [
        f"{command} control explain {found.document} {found.setup.deployed[0].server}",
        f"kubectl --kubeconfig {config} -n {NAMESPACE} get deployments --watch",
        f"{found.prometheus.url} is Prometheus. Ctrl-C ends the day here, and draws it so far.",
    ]
