"""Whether load comes as its service class is declared to: realtime, streaming, or in bulk."""

from __future__ import annotations

import statistics

from controller.history import LoadHistory
from stoker.domain.control.choices import ClassKind
from stoker.domain.control.observation import ServerObservation
from stoker.domain.control.signals import SignalName

_FEWEST = 20
_MOST = 1000
"""Samples looked at, so that days of them for hundreds of servers cost little."""
_SHORTEST_S = 600.0
_HALF = 0.5
_BULK_SHARE = 0.15
_STEADY_SHARE = 0.25
_PILE_REQUESTS = 20.0
_PILE_RATIO = 3.0
_HOUR_S = 3600.0
_FEWEST_HOURS = 12
_SWING = 3.0


def contradiction(
    kind: ClassKind | None,
    history: LoadHistory,
    seen: ServerObservation,
    slots: float | None = None,
) -> str:
    """Return how load contradicts the kind declared, in words; empty where it does not.

    * Load comes in bulk where half of the requests came in a small share of the time: a constant
      rate takes half of it, a sine over the day a third.
    * Requests pile up where several times more wait than are served.
    * Requests come one by one where they come steadily, none waits, and batches are less than half
      full: whoever works off a backlog sends what the batch takes.
    * Load swings where the busiest of its hours had several times the load of the quietest.

    Args:
        kind: What the server's load is declared to be; None for nothing.
        history: Its load.
        seen: What was measured of it now.
        slots: Requests that its ready replicas take at once; None for unknown.
    """
    if kind is None:
        return ""
    share = _share_of_half(history)
    if kind is ClassKind.BATCH:
        return "" if share is None or share < _STEADY_SHARE else _one_by_one(seen, slots)
    if share is not None and share < _BULK_SHARE:
        return (
            f"is declared {kind.value}, but half of its requests came in {share:.0%} of the time: "
            "load in bulk suits kind: batch"
        )
    if kind is ClassKind.REALTIME:
        waiting, running = seen.usable(SignalName.WAITING), seen.usable(SignalName.RUNNING)
        if waiting is None or running is None:
            return ""
        if waiting < max(_PILE_REQUESTS, _PILE_RATIO * running):
            return ""
        return (
            f"is declared {kind.value}, but {waiting:.0f} requests wait and {running:.0f} are "
            "served: they pile up as batch work does"
        )
    swing = _swing(history)
    if swing is not None and swing >= _SWING:
        return (
            f"is declared {kind.value}, but its busiest hour had {swing:.1f} times the load of its "
            "quietest: load with a day suits kind: realtime"
        )
    return ""


def _one_by_one(seen: ServerObservation, slots: float | None) -> str:
    """Return that no backlog is worked off; empty where one may be, or where nobody tells."""
    waiting, running = seen.usable(SignalName.WAITING), seen.usable(SignalName.RUNNING)
    if waiting is None or running is None or not slots:
        return ""
    if waiting >= 1.0 or running >= _HALF * slots:
        return ""
    return (
        f"is declared {ClassKind.BATCH.value}, but its requests come steadily, none waits, and "
        f"{running:.0f} are served where {slots:.0f} could be: they work off no backlog, and those "
        "of people suit kind: realtime or streaming"
    )


def _share_of_half(history: LoadHistory) -> float | None:
    """Return the smallest share of the time in which half of the requests came; None for few."""
    samples = history.samples[-_MOST:]
    rates = [each.arrival_rate_rps for each in samples]
    if len(rates) < _FEWEST or samples[-1].at - samples[0].at < _SHORTEST_S:
        return None
    total = sum(rates)
    if total <= 0:
        return None
    seen = 0.0
    for count, rate in enumerate(sorted(rates, reverse=True), 1):
        if seen + rate >= _HALF * total:
            return (count - 1 + (_HALF * total - seen) / rate) / len(rates)
        seen += rate
    return None


def _swing(history: LoadHistory) -> float | None:
    """Return the load of the busiest hour over that of the quietest; None for too few hours."""
    hours: dict[int, list[float]] = {}
    for each in history.samples[:: len(history.samples) // _MOST + 1]:
        hours.setdefault(int(each.at // _HOUR_S), []).append(each.arrival_rate_rps)
    if len(hours) < _FEWEST_HOURS:
        return None
    means = [statistics.fmean(rates) for rates in hours.values()]
    return max(means) / max(min(means), 0.01 * max(means)) if max(means) > 0 else None
