"""The event loop: at each time completions first, then arrivals, then the next iterations."""

from __future__ import annotations

import math
from collections.abc import Callable

from simulator.kernel import layout as at
from simulator.kernel.arriving import arrive
from simulator.kernel.compiled import entry_point, inner, sources_digest
from simulator.kernel.ending import complete
from simulator.kernel.heaps import pop_pending
from simulator.kernel.layout import World
from simulator.kernel.starting import start


@inner
def _next_arrival(world: World) -> float:
    """Return the time of the next arrival from the stream."""
    request = world.counts[at.NEXT_REQUEST]
    if world.counts[at.CLOSED] == 1 or request >= len(world.request_f):
        return math.inf
    return float(world.request_f[request, at.ARRIVAL])


@inner
def _step(world: World) -> float:
    """Do all that happens at the next time, and return that time; infinite at the end."""
    stream = _next_arrival(world)
    now = stream
    if world.counts[at.PENDING] > 0:
        now = min(now, world.pending_f[0])
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
        arrive(world, world.counts[at.NEXT_REQUEST] - 1, now)
        stream = _next_arrival(world)
    while world.counts[at.PENDING] > 0 and world.pending_f[0] <= now:
        arrive(world, pop_pending(world), now)
    for replica in range(replicas):
        if world.replica_i[replica, at.READY] == 1:
            start(world, replica, now)
    return now


def _build(sources: str) -> Callable[[World, int], bool]:
    @entry_point
    def advance_until(world: World, arrivals: int) -> bool:
        if len(sources) == 0:  # the digest is part of the key of the cache
            return False
        while world.counts[at.ARRIVED] < arrivals or arrivals >= len(world.request_i):
            now = _step(world)
            if now == math.inf:
                return True
            world.snapshots[-1, at.AT_MS] = now
        return False

    return advance_until


_advance_until = _build(sources_digest())


def advance(world: World, arrivals: int) -> bool:
    """Let time pass until that many requests have arrived, or, with all of them, to the end.

    Args:
        world: The state, changed in place.
        arrivals: Requests to wait for; all of them to run until the last one has left.

    Returns:
        Whether the simulation has come to its end.
    """
    return bool(_advance_until(world, arrivals))
