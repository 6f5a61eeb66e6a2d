"""What happens at the end of a stretch of iterations: tokens leave, and requests with them."""

from __future__ import annotations

import math

from simulator.kernel import layout as at
from simulator.kernel.compiled import inner
from simulator.kernel.gaps import count_gap, count_series, measuring
from simulator.kernel.heaps import push_pending, remove_decoding
from simulator.kernel.layout import World
from simulator.kernel.memory import blocks_in_use, blocks_of, needed_over, phase_of, take_blocks
from simulator.kernel.starting import begin_decoding
from simulator.kernel.timing import first_token_delay


@inner
def issue_next(world: World, now: float) -> None:
    """Let the client whose request is over send the next one; closed loop only."""
    request = world.counts[at.NEXT_REQUEST]
    if world.counts[at.CLOSED] == 1 and request < len(world.request_i):
        world.counts[at.NEXT_REQUEST] = request + 1
        push_pending(world, now + world.request_f[request, at.ARRIVAL], request)


@inner
def _depart(world: World, replica: int, request: int, held: int, now: float) -> None:
    """Let a request leave its replica, and free its blocks."""
    state = world.replica_i[replica]
    state[at.SYSTEM] -= 1
    state[at.FREE] += blocks_of(world, state[at.POOL], held)
    facts = world.request_i[request]
    if facts[at.PRODUCED] < facts[at.OUTPUT]:
        facts[at.STAGE] = 1
        facts[at.CARRIED] = 1
        world.request_f[request, at.LAST_TOKEN] = now
        push_pending(world, now + world.request_f[request, at.TRANSFER], request)
        return
    facts[at.STATUS] = at.DONE
    world.counts[at.COMPLETED] += 1
    # Its reader has the last token later, as late as the first one was.
    read = now + world.request_f[request, at.DELAY]
    world.request_f[request, at.COMPLETION] = read
    issue_next(world, read)


@inner
def _count_tokens(world: World, replica: int, now: float) -> None:
    """Count the gaps before the tokens that decode has made in this stretch."""
    state = world.replica_i[replica]
    times = world.replica_f[replica]
    joining = state[at.JOINING]
    steady = state[at.DECODING] - joining
    if steady > 0:
        count_series(world, times[at.FIRST_MS], times[at.STEP_MS], state[at.ITERATIONS], steady)
    last = world.engine_i[state[at.POOL], at.MAX_BATCH]
    for index in range(joining):
        request = world.ending[replica, last - 1 - index]
        count_gap(world, now - world.request_f[request, at.LAST_TOKEN], 1)


@inner
def complete(world: World, replica: int) -> None:
    """End the running stretch of a replica."""
    state = world.replica_i[replica]
    times = world.replica_f[replica]
    now = times[at.END]
    span = now - times[at.START]
    iterations = state[at.ITERATIONS]
    decoding = state[at.DECODING]
    before = blocks_in_use(world, replica)
    if decoding > 0 and iterations > 1:
        more = needed_over(world, replica, state[at.COUNTER] + 1, iterations - 1)
        take_blocks(world, replica, more)
    times[at.BUSY_TIME] += span
    times[at.BATCH_TIME] += span * state[at.BATCH]
    times[at.BLOCK_TIME] += span * 0.5 * (before + blocks_in_use(world, replica))
    counted = measuring(world)
    if counted and decoding > 0:
        _count_tokens(world, replica, now)
    world.counts[at.STREAMED] += decoding * iterations + state[at.ENDING]
    state[at.JOINING] = 0
    state[at.TOTAL_ITERATIONS] += iterations
    state[at.COUNTER] += iterations
    state[at.CONTEXT] += decoding * iterations
    state[at.ITERATIONS] = 0
    state[at.BATCH] = 0
    state[at.READY] = 1
    times[at.END] = math.inf

    while state[at.DECODING] > 0:
        request = world.decoding[replica, 0]
        facts = world.request_i[request]
        if facts[at.FINISH] != state[at.COUNTER]:
            break
        remove_decoding(world, replica, 0)
        state[at.CONTEXT] -= facts[at.INPUT] + facts[at.OUTPUT]
        world.phases[replica, phase_of(world, replica, request)] -= 1
        facts[at.PRODUCED] = facts[at.OUTPUT]
        _depart(world, replica, request, facts[at.INPUT] + facts[at.OUTPUT] - 1, now)

    split = world.engine_i[1, at.REPLICAS] > 0
    for index in range(state[at.ENDING]):
        request = world.ending[replica, index]
        facts = world.request_i[request]
        held = facts[at.INPUT] + facts[at.PRODUCED]
        if facts[at.PRODUCED] == 0:
            delay = first_token_delay(world, state[at.POOL], decoding, facts[at.OUTPUT])
            world.request_f[request, at.DELAY] = delay
            world.request_f[request, at.FIRST_TOKEN] = now + delay
        elif counted:
            count_gap(world, now - world.request_f[request, at.LAST_TOKEN], 1)
        facts[at.PRODUCED] += 1
        leaves = facts[at.PRODUCED] == facts[at.OUTPUT] or (split and state[at.POOL] == 0)
        if leaves:
            _depart(world, replica, request, held, now)
        else:
            begin_decoding(world, replica, request)
    state[at.ENDING] = 0
