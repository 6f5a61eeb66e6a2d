"""Two heaps: decoding requests of a replica by their end, arrivals to come by their time."""

from __future__ import annotations

from simulator.kernel import layout as at
from simulator.kernel.compiled import inner
from simulator.kernel.layout import World


@inner
def leaves_before(world: World, one: int, other: int) -> bool:
    """Tell whether a request ends before another; the older one first where both end together."""
    first, second = world.request_i[one, at.FINISH], world.request_i[other, at.FINISH]
    if first != second:
        return bool(first < second)
    return bool(world.request_i[one, at.ORDER] < world.request_i[other, at.ORDER])


@inner
def _rise(world: World, replica: int, place: int) -> None:
    heap = world.decoding[replica]
    request = heap[place]
    while place > 0:
        parent = (place - 1) // 2
        if not leaves_before(world, request, heap[parent]):
            break
        heap[place] = heap[parent]
        place = parent
    heap[place] = request


@inner
def _sink(world: World, replica: int, place: int, size: int) -> None:
    heap = world.decoding[replica]
    request = heap[place]
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and leaves_before(world, heap[child + 1], heap[child]):
            child += 1
        if not leaves_before(world, heap[child], request):
            break
        heap[place] = heap[child]
        place = child
    heap[place] = request


@inner
def add_decoding(world: World, replica: int, request: int) -> None:
    """Put a request among the decoding ones of a replica."""
    size = world.replica_i[replica, at.DECODING]
    world.decoding[replica, size] = request
    world.replica_i[replica, at.DECODING] = size + 1
    _rise(world, replica, size)


@inner
def remove_decoding(world: World, replica: int, place: int) -> int:
    """Take the request at a place out of the decoding ones, and return it."""
    size = world.replica_i[replica, at.DECODING] - 1
    world.replica_i[replica, at.DECODING] = size
    request = int(world.decoding[replica, place])
    if place < size:
        world.decoding[replica, place] = world.decoding[replica, size]
        _sink(world, replica, place, size)
        _rise(world, replica, place)
    return request


@inner
def youngest_decoding(world: World, replica: int) -> int:
    """Return the place of the youngest decoding request."""
    place = 0
    order = -1
    for index in range(world.replica_i[replica, at.DECODING]):
        mine = world.request_i[world.decoding[replica, index], at.ORDER]
        if mine > order:
            place, order = index, mine
    return place


@inner
def _comes_before(world: World, one: int, other: int) -> bool:
    if world.pending_f[one] != world.pending_f[other]:
        return bool(world.pending_f[one] < world.pending_f[other])
    return bool(world.pending_i[one, 0] < world.pending_i[other, 0])


@inner
def _swap_pending(world: World, one: int, other: int) -> None:
    time = world.pending_f[one]
    world.pending_f[one] = world.pending_f[other]
    world.pending_f[other] = time
    for column in range(2):
        value = world.pending_i[one, column]
        world.pending_i[one, column] = world.pending_i[other, column]
        world.pending_i[other, column] = value


@inner
def push_pending(world: World, time: float, request: int) -> None:
    """Let a request arrive at a time; those of one time arrive in the order of the calls."""
    place = world.counts[at.PENDING]
    world.counts[at.PENDING] = place + 1
    world.pending_f[place] = time
    world.pending_i[place, 0] = world.counts[at.SEQUENCE]
    world.pending_i[place, 1] = request
    world.counts[at.SEQUENCE] += 1
    while place > 0 and _comes_before(world, place, (place - 1) // 2):
        _swap_pending(world, place, (place - 1) // 2)
        place = (place - 1) // 2


@inner
def pop_pending(world: World) -> int:
    """Return the request that arrives next, and take it from the arrivals to come."""
    request = int(world.pending_i[0, 1])
    size = world.counts[at.PENDING] - 1
    world.counts[at.PENDING] = size
    _swap_pending(world, 0, size)
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and _comes_before(world, child + 1, child):
            child += 1
        if not _comes_before(world, child, place):
            break
        _swap_pending(world, child, place)
        place = child
    return request
