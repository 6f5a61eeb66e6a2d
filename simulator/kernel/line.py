"""The waiting line of a replica: first come, first served; who is preempted goes to the front."""

from __future__ import annotations

from simulator.kernel import layout as at
from simulator.kernel.compiled import inner
from simulator.kernel.layout import NOBODY, World
from simulator.kernel.memory import blocks_of


@inner
def _change(world: World, replica: int, request: int, change: int, now: float) -> None:
    """Count a request into the line, or out of it."""
    state = world.replica_i[replica]
    times = world.replica_f[replica]
    times[at.WAITING_TIME] += state[at.WAITING] * (now - times[at.WAITING_SINCE])
    times[at.WAITING_SINCE] = now
    state[at.WAITING] += change
    tokens = world.request_i[request, at.INPUT] + world.request_i[request, at.PRODUCED]
    state[at.WAIT_BLOCKS] += change * blocks_of(world, state[at.POOL], tokens)


@inner
def join_back(world: World, replica: int, request: int, now: float) -> None:
    """Put a request at the end of the line."""
    state = world.replica_i[replica]
    world.request_i[request, at.NEXT] = NOBODY
    if state[at.WAIT_TAIL] == NOBODY:
        state[at.WAIT_HEAD] = request
    else:
        world.request_i[state[at.WAIT_TAIL], at.NEXT] = request
    state[at.WAIT_TAIL] = request
    _change(world, replica, request, 1, now)


@inner
def join_front(world: World, replica: int, request: int, now: float) -> None:
    """Put a request at the head of the line."""
    state = world.replica_i[replica]
    world.request_i[request, at.NEXT] = state[at.WAIT_HEAD]
    if state[at.WAIT_TAIL] == NOBODY:
        state[at.WAIT_TAIL] = request
    state[at.WAIT_HEAD] = request
    _change(world, replica, request, 1, now)


@inner
def leave_front(world: World, replica: int, now: float) -> int:
    """Take the first request out of the line, and return it."""
    state = world.replica_i[replica]
    request = int(state[at.WAIT_HEAD])
    state[at.WAIT_HEAD] = world.request_i[request, at.NEXT]
    if state[at.WAIT_HEAD] == NOBODY:
        state[at.WAIT_TAIL] = NOBODY
    _change(world, replica, request, -1, now)
    return request
