"""Requests that wait longer than promised although all replicas of the plan are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from controller.forecast import Forecast
from controller.load import MeasuredLoad
from stoker.domain.control.cluster import ReplicaPhase, VariantState
from stoker.domain.latency import Latency
from stoker.domain.slo import SloTarget

_FEWEST_LATE = 5.0
"""Requests that wait too long which are no chance any more."""

_MS = 1000.0


def none_starts(variants: Sequence[VariantState]) -> bool:
    """Return whether all replicas that were asked for are ready: none comes to take up a queue."""
    return all(each.count(ReplicaPhase.READY) >= each.replicas_wanted for each in variants)


def with_queue(
    told: Forecast, measured: MeasuredLoad, target: SloTarget | None, within_s: float
) -> Forecast:
    """Return a forecast with the rate that serves those who wait too long.

    By Little's law as many wait as come in the time that each waits: more than come within the
    promised time to the first token are a queue that breaks the promise. Where all replicas that
    the plan asked for are ready and such a queue stands all the same, they are slower than their
    profile, or too few for what has gathered: without more they would never get out of it. It adds
    at most as much as is offered, so that a figure that is stuck does no great harm.

    Args:
        told: The forecast of what comes.
        measured: What waits now.
        target: What is promised; None for nothing.
        within_s: Time in which they are to be served.
    """
    untold = measured.partial and not measured.unsized  # a queue is one whatever sizes it has
    if target is None or measured.load is None or untold or not measured.waiting:
        return told
    promised_ms = [
        limit_ms for statistic, limit_ms in target.limits() if statistic.latency is Latency.TTFT
    ]
    if not promised_ms:
        return told
    rate = measured.load.arrival_rate_rps
    late = measured.waiting - rate * max(promised_ms) / _MS
    if late < _FEWEST_LATE:
        return told
    more = min(late / max(within_s, 1.0), rate)
    words = f"{more:.3g} requests/s for {late:.0f} that wait longer than promised"
    reason = f"{told.reason}; {words}" if told.reason else words
    return replace(told, rate_rps=told.rate_rps + more, reason=reason)
