"""The event loop with lines by priority: as `simulator.kernel.loop`, with another place in line.

The kernel puts whoever arrives at the end of the line, and whoever is preempted at its front; here
both are then moved behind those of their own priority that came before them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path

from simulator.kernel import layout as at
from simulator.kernel.arriving import arrive
from simulator.kernel.compiled import entry_point, inner, sources_digest
from simulator.kernel.ending import complete
from simulator.kernel.layout import NOBODY, IntArray, World
from simulator.kernel.starting import start
from simulator.kernel.timing import iterations_until, series_time


@inner
def _place(world: World, priority: IntArray, replica: int, request: int, first: bool) -> None:
    """Put a request into the line of a replica, which it is not in, without counting it.

    Args:
        world: The state.
        priority: Of each request; smaller numbers go first.
        replica: The replica.
        request: The request.
        first: Whether before those of its own priority, or behind them.
    """
    state = world.replica_i[replica]
    own = priority[request]
    before = NOBODY
    behind = state[at.WAIT_HEAD]
    while behind != NOBODY and (priority[behind] < own or (not first and priority[behind] == own)):
        before = behind
        behind = world.request_i[behind, at.NEXT]
    world.request_i[request, at.NEXT] = behind
    if before == NOBODY:
        state[at.WAIT_HEAD] = request
    else:
        world.request_i[before, at.NEXT] = request
    if behind == NOBODY:
        state[at.WAIT_TAIL] = request


@inner
def _take_tail(world: World, replica: int, request: int) -> None:
    """Take the last request out of the line, without counting it."""
    state = world.replica_i[replica]
    if state[at.WAIT_HEAD] == request:
        state[at.WAIT_HEAD] = NOBODY
        state[at.WAIT_TAIL] = NOBODY
        return
    before = state[at.WAIT_HEAD]
    while world.request_i[before, at.NEXT] != request:
        before = world.request_i[before, at.NEXT]
    world.request_i[before, at.NEXT] = NOBODY
    state[at.WAIT_TAIL] = before


@inner
def _arrive(world: World, priority: IntArray, request: int, now: float) -> None:
    """Let a request arrive, and take its place in line."""
    arrive(world, request, now)
    facts = world.request_i[request]
    if facts[at.STATUS] != at.IN_SYSTEM:
        return
    replica = facts[at.REPLICA]
    state = world.replica_i[replica]
    if state[at.WAITING] < 2:
        return
    _take_tail(world, replica, request)
    _place(world, priority, replica, request, False)
    if (
        # It may be admitted before those who wait, for they may be too large for the memory left.
        state[at.WAIT_HEAD] == request
        and state[at.ITERATIONS] > 1
        and state[at.BATCH] < world.engine_i[0, at.MAX_BATCH]
    ):
        times = world.replica_f[replica]
        first, step = times[at.FIRST_MS], times[at.STEP_MS]
        begun = iterations_until(first, step, state[at.ITERATIONS], now - times[at.START])
        if begun < state[at.ITERATIONS]:
            state[at.ITERATIONS] = begun
            times[at.END] = times[at.START] + series_time(first, step, begun)
            if times[at.END] <= now:
                complete(world, replica)


@inner
def _start(world: World, priority: IntArray, replica: int, now: float) -> None:
    """Start the next iterations; who is preempted goes before those of its priority."""
    preempted = world.counts[at.PREEMPTED]
    start(world, replica, now)
    preempted = world.counts[at.PREEMPTED] - preempted
    state = world.replica_i[replica]
    # The last of them stands first: nobody is admitted at such a boundary.
    moved = NOBODY
    for _ in range(preempted):
        request = state[at.WAIT_HEAD]
        state[at.WAIT_HEAD] = world.request_i[request, at.NEXT]
        if state[at.WAIT_HEAD] == NOBODY:
            state[at.WAIT_TAIL] = NOBODY
        world.request_i[request, at.NEXT] = moved
        moved = request
    while moved != NOBODY:
        request = moved
        moved = world.request_i[request, at.NEXT]
        _place(world, priority, replica, request, True)


@inner
def _next_arrival(world: World) -> float:
    request = world.counts[at.NEXT_REQUEST]
    if request >= len(world.request_f):
        return math.inf
    return float(world.request_f[request, at.ARRIVAL])


@inner
def _step(world: World, priority: IntArray) -> float:
    """Do all that happens at the next time, and return that time; infinite at the end."""
    stream = _next_arrival(world)
    now = stream
    replicas = len(world.replica_f)
    for replica in range(replicas):
        now = min(now, world.replica_f[replica, at.END])
    if now == math.inf:
        return now
    for replica in range(replicas):
        if world.replica_f[replica, at.END] == now:
            complete(world, replica)
    while stream <= now:
        world.counts[at.NEXT_REQUEST] += 1
        _arrive(world, priority, world.counts[at.NEXT_REQUEST] - 1, now)
        stream = _next_arrival(world)
    for replica in range(replicas):
        if world.replica_i[replica, at.READY] == 1:
            _start(world, priority, replica, now)
    return now


def _build(sources: str) -> Callable[[World, IntArray], None]:
    @entry_point
    def play_all(world: World, priority: IntArray) -> None:
        if len(sources) == 0:  # the digest is part of the key of the cache
            return
        now = 0.0
        while now < math.inf:
            now = _step(world, priority)
            if now < math.inf:
                world.snapshots[-1, at.AT_MS] = now

    return play_all


def _digest() -> str:
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return sources_digest() + own


_play_all = _build(_digest())


def play(world: World, priority: IntArray) -> None:
    """Let time pass until the last request has left, in place.

    Args:
        world: The state at time 0, of one pool and open arrivals.
        priority: Priority of each request, shape (requests,); smaller numbers go first.
    """
    _play_all(world, priority)
