"""What happens when a request arrives: routing, turning away, and interrupting a stretch."""

from __future__ import annotations

from simulator.kernel import layout as at
from simulator.kernel.compiled import inner
from simulator.kernel.ending import complete, issue_next
from simulator.kernel.layout import World
from simulator.kernel.line import join_back
from simulator.kernel.memory import blocks_in_use, blocks_of, needed_over
from simulator.kernel.snapshots import take_snapshot
from simulator.kernel.timing import iterations_until, series_time


@inner
def _iterations_begun(world: World, replica: int, now: float) -> int:
    """Return the iterations of the running stretch that began before a time, at least 1."""
    times = world.replica_f[replica]
    return iterations_until(
        times[at.FIRST_MS],
        times[at.STEP_MS],
        world.replica_i[replica, at.ITERATIONS],
        now - times[at.START],
    )


@inner
def _blocks_wanted(world: World, replica: int, now: float) -> int:
    """Return the blocks in use at a time and those that waiting requests ask for."""
    state = world.replica_i[replica]
    blocks = blocks_in_use(world, replica) + state[at.WAIT_BLOCKS]
    if state[at.ITERATIONS] > 1:
        begun = _iterations_begun(world, replica, now)
        blocks += needed_over(world, replica, state[at.COUNTER] + 1, begun - 1)
    return int(blocks)


@inner
def _open_replicas(world: World, pool: int, now: float) -> int:
    """Return how many replicas of a pool take requests at a time."""
    if pool > 0:
        return int(world.engine_i[pool, at.REPLICAS])
    entry = world.counts[at.OPENING]
    while entry + 1 < len(world.openings) and world.openings[entry + 1] <= now:
        entry += 1
    world.counts[at.OPENING] = entry
    return int(world.opened[entry])


@inner
def _route(world: World, pool: int, request: int, now: float) -> int:
    engine = world.engine_i[pool]
    first, count = engine[at.FIRST_REPLICA], _open_replicas(world, pool, now)
    router = engine[at.ROUTER]
    if count == 1:
        return int(first)
    if router == at.RANDOM:
        return int(first + min(int(world.routing[request, pool] * count), count - 1))
    if router == at.ROUND_ROBIN:
        turn = world.counts[at.TURN + pool] % count
        world.counts[at.TURN + pool] = (turn + 1) % count
        return int(first + turn)
    best, least = first, at.UNLIMITED
    for replica in range(first, first + count):
        if router == at.SHORTEST_QUEUE:
            load = world.replica_i[replica, at.SYSTEM]
        else:
            load = _blocks_wanted(world, replica, now)
        if load < least:
            best, least = replica, load
    return int(best)


@inner
def _fits(world: World, request: int) -> bool:
    """Tell whether the memory of the replicas could ever hold a request."""
    facts = world.request_i[request]
    tokens = facts[at.INPUT] + facts[at.OUTPUT] - 1
    if world.engine_i[1, at.REPLICAS] == 0 or facts[at.OUTPUT] == 1:
        last = 0
    else:
        last = 1
        if blocks_of(world, 0, facts[at.INPUT]) > world.engine_i[0, at.KV_BLOCKS]:
            return False
    return bool(blocks_of(world, last, tokens) <= world.engine_i[last, at.KV_BLOCKS])


@inner
def arrive(world: World, request: int, now: float) -> None:
    """Let a request come to its pool."""
    facts = world.request_i[request]
    pool = facts[at.STAGE]
    if pool == 0:
        world.request_f[request, at.ARRIVAL] = now
        take_snapshot(world, now)
        world.counts[at.ARRIVED] += 1
        if not _fits(world, request):
            facts[at.STATUS] = at.TOO_LARGE
            issue_next(world, now)
            return
    replica = _route(world, pool, request, now)
    state = world.replica_i[replica]
    if pool == 0:
        facts[at.REPLICA] = replica
        if state[at.SYSTEM] >= world.engine_i[pool, at.SYSTEM_LIMIT]:
            facts[at.STATUS] = at.TURNED_AWAY
            world.counts[at.BLOCKED] += 1
            return
    alone = state[at.WAITING] == 0
    state[at.SYSTEM] += 1
    facts[at.ORDER] = world.counts[at.LINE]
    world.counts[at.LINE] += 1
    join_back(world, replica, request, now)
    if state[at.ITERATIONS] == 0:
        state[at.READY] = 1
    elif (
        # Others in line could not be admitted before the end of the stretch, nor can this one.
        alone and state[at.ITERATIONS] > 1 and state[at.BATCH] < world.engine_i[pool, at.MAX_BATCH]
    ):
        _interrupt(world, replica, now)


@inner
def _interrupt(world: World, replica: int, now: float) -> None:
    """Let the running stretch end with the iteration that is under way."""
    state = world.replica_i[replica]
    times = world.replica_f[replica]
    begun = _iterations_begun(world, replica, now)
    if begun < state[at.ITERATIONS]:
        state[at.ITERATIONS] = begun
        span = series_time(times[at.FIRST_MS], times[at.STEP_MS], begun)
        times[at.END] = times[at.START] + span
        if times[at.END] <= now:
            complete(world, replica)
