"""The loop's metrics as Prometheus reads them, and whether the loop still runs."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from prometheus_client import CollectorRegistry, generate_latest

from controller.metrics import ControlMetrics

_PERIODS = 10
"""Periods without a finished cycle after which the loop is held to stand still."""
_LEAST_S = 60.0


def exposition_of(metrics: ControlMetrics) -> Callable[[], bytes]:
    """Return what tells the metrics in Prometheus' classic text format."""
    registry = CollectorRegistry()
    registry.register(metrics)
    return lambda: generate_latest(registry)


class Heartbeat:
    """Knows when the last cycle was over that did not fail.

    Args:
        monotonic: A clock that never goes back, in seconds.
        period_s: Time from the start of one cycle to the start of the next.
    """

    def __init__(self, monotonic: Callable[[], float], period_s: float) -> None:
        self._monotonic = monotonic
        self._lock = Lock()
        self._longest_s = _LEAST_S
        self._beat = 0.0
        self.beat(period_s)

    def beat(self, period_s: float, *, failed: bool = False) -> None:
        """Tell that a cycle is over, what the period is now, and whether the cycle failed."""
        with self._lock:
            if not failed:
                self._beat = self._monotonic()
            self._longest_s = max(_LEAST_S, _PERIODS * period_s)

    def stalled(self) -> str:
        """Return why the loop is held to stand still; empty where it runs."""
        with self._lock:
            silent_s = self._monotonic() - self._beat
            longest_s = self._longest_s
        if silent_s <= longest_s:
            return ""
        return f"no cycle was over well for {silent_s:.0f} s; {longest_s:.0f} s are the most"
