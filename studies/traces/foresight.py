"""What a router that knows the future can do: the other end of the bound for any router.

Requests that may miss are sent to one replica of their own, the dearest of all or those of the
busiest time, and the others find theirs as usual on those that are left. No router can do that
before the trace is over; but where it keeps the targets, no bound for any router can be above it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simulator import Router
from studies.traces.goal import TraceGoal
from studies.traces.needs import least_engine_ms
from studies.traces.playing import run_whole, scenario_of
from studies.traces.replica import ReplicaOption
from studies.traces.requests import BoolArray, FloatArray, RequestTrace

_SHARES = (0.2, 0.4, 0.6, 0.8, 0.98)
"""Shares of the requests that may miss which are sent apart."""
_BUSY_MS = 20_000.0
"""Time around a request that tells how busy it is."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A fleet that keeps the targets with a router that knows the future.

    Attributes:
        replicas: How many.
        attainment: Share of the requests that keep all targets.
        router: How requests find their replicas that are not sent apart.
        apart: Requests that are sent to a replica of their own.
    """

    replicas: int
    attainment: float
    router: Router
    apart: int


def fewest_by_foresight(
    option: ReplicaOption, trace: RequestTrace, goal: TraceGoal, below: int, least: int = 1
) -> Foreseen | None:
    """Return the fewest replicas for which such a router was found, below a number; None for none.

    Args:
        option: The replica.
        trace: The requests.
        goal: What they are to keep.
        below: Fewer than so many are looked for, one less after the other.
        least: No fewer are tried.
    """
    best: Foreseen | None = None
    for replicas in range(below - 1, max(least, 1) - 1, -1):
        found = _with(option, trace, goal, replicas)
        if found is None:
            break
        best = found
    return best


def _with(
    option: ReplicaOption, trace: RequestTrace, goal: TraceGoal, replicas: int
) -> Foreseen | None:
    enough = len(trace) - goal.may_miss(len(trace))
    for apart in _apart(option, trace, goal, replicas):
        for router in (Router.LEAST_KV, Router.SHORTEST_QUEUE):
            kept = _kept(option, trace.take(apart), goal, 1, router) if apart.any() else 0
            others = replicas - bool(apart.any())
            kept += _kept(option, trace.take(~apart), goal, others, router)
            if kept >= enough:
                return Foreseen(replicas, kept / len(trace), router, int(apart.sum()))
    return None


def _apart(
    option: ReplicaOption, trace: RequestTrace, goal: TraceGoal, replicas: int
) -> Iterator[BoolArray]:
    """Yield which requests may be sent apart."""
    yield np.zeros(len(trace), dtype=np.bool_)
    if replicas < 2:
        return
    work = least_engine_ms(option, trace, goal)
    busy = _busy(trace, work)
    prompts = trace.input_tokens.astype(np.float64)
    for dear in (work, prompts, np.maximum(busy - 0.9 * busy.mean(), 0.0) * work):
        order = np.argsort(-dear, kind="stable")
        for share in _SHARES:
            chosen = np.zeros(len(trace), dtype=np.bool_)
            chosen[order[: int(share * goal.may_miss(len(trace)))]] = True
            yield chosen


def _busy(trace: RequestTrace, work: FloatArray) -> FloatArray:
    """Return the engine time that arrives around each request."""
    times = trace.arrival_ms
    total = np.concatenate([[0.0], np.cumsum(work)])
    until = np.searchsorted(times, times + _BUSY_MS / 2)
    return np.asarray(total[until] - total[np.searchsorted(times, times - _BUSY_MS / 2)])


def _kept(
    option: ReplicaOption, trace: RequestTrace, goal: TraceGoal, replicas: int, router: Router
) -> int:
    if not len(trace):
        return 0
    records = run_whole(scenario_of(option, trace, replicas, router)).records
    return int(np.logical_and.reduce(list(goal.kept(records).values())).sum())
