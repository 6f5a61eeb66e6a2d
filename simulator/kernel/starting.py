"""What happens at an iteration boundary: memory for decode, admission, the next stretch."""

from __future__ import annotations

import math

from simulator.kernel import layout as at
from simulator.kernel.compiled import inner
from simulator.kernel.heaps import add_decoding, remove_decoding, youngest_decoding
from simulator.kernel.layout import NOBODY, World
from simulator.kernel.line import join_front, leave_front
from simulator.kernel.memory import (
    blocks_of,
    iterations_that_fit,
    needed,
    phase_of,
    take_blocks,
)
from simulator.kernel.timing import decode_line, mixed_time, series_time


@inner
def preempt_youngest(world: World, replica: int, now: float) -> None:
    """Send the youngest sequence back to the line; its KV is lost."""
    state = world.replica_i[replica]
    request = int(state[at.PARTIAL])
    if request != NOBODY:
        # The prompt under way came last: whatever it left of the budget was nothing.
        state[at.PARTIAL] = NOBODY
        held = world.request_i[request, at.INPUT] + world.request_i[request, at.PRODUCED]
    else:
        request = remove_decoding(world, replica, youngest_decoding(world, replica))
        facts = world.request_i[request]
        context = facts[at.BASE] + state[at.COUNTER]
        state[at.CONTEXT] -= context
        world.phases[replica, phase_of(world, replica, request)] -= 1
        held = context - 1
        facts[at.PRODUCED] = facts[at.OUTPUT] - (facts[at.FINISH] - state[at.COUNTER])
        world.request_f[request, at.LAST_TOKEN] = now
    state[at.FREE] += blocks_of(world, state[at.POOL], held)
    world.request_i[request, at.CARRIED] = 0
    world.request_i[request, at.PREEMPTIONS] += 1
    world.counts[at.PREEMPTED] += 1
    join_front(world, replica, request, now)


@inner
def begin_decoding(world: World, replica: int, request: int) -> None:
    """Let a request decode from the iteration that the replica's counter names."""
    state = world.replica_i[replica]
    facts = world.request_i[request]
    context = facts[at.INPUT] + facts[at.PRODUCED]
    facts[at.BASE] = context - state[at.COUNTER]
    facts[at.FINISH] = state[at.COUNTER] + facts[at.OUTPUT] - facts[at.PRODUCED]
    world.phases[replica, phase_of(world, replica, request)] += 1
    state[at.CONTEXT] += context
    add_decoding(world, replica, request)


@inner
def start(world: World, replica: int, now: float) -> None:
    """Start the next iteration of a replica, and as many decode iterations as nothing disturbs."""
    state = world.replica_i[replica]
    pool = state[at.POOL]
    engine = world.engine_i[pool]
    state[at.READY] = 0

    # Memory for the tokens that decode computes, the oldest first.
    preempted = False
    while needed(world, replica, state[at.COUNTER]) > state[at.FREE]:
        preempt_youngest(world, replica, now)
        preempted = True
    take_blocks(world, replica, needed(world, replica, state[at.COUNTER]))

    budget = engine[at.TOKEN_BUDGET] - state[at.DECODING]
    tokens, read, shares = 0, 0, 0.0
    batch = state[at.DECODING]
    partial = state[at.PARTIAL]
    if partial != NOBODY:
        facts = world.request_i[partial]
        chunk = min(budget, facts[at.LEFT])
        facts[at.LEFT] -= chunk
        budget -= chunk
        tokens += chunk
        read += facts[at.INPUT] + facts[at.PRODUCED] - facts[at.LEFT]
        shares += chunk / facts[at.TO_COMPUTE]
        batch += 1
        if facts[at.LEFT] == 0:
            state[at.PARTIAL] = NOBODY
            world.ending[replica, state[at.ENDING]] = partial
            state[at.ENDING] += 1

    while state[at.WAITING] > 0 and not preempted and budget > 0 and batch < engine[at.MAX_BATCH]:
        facts = world.request_i[state[at.WAIT_HEAD]]
        held = facts[at.INPUT] + facts[at.PRODUCED]
        blocks = blocks_of(world, pool, held)
        if blocks > state[at.FREE]:
            break
        take_blocks(world, replica, blocks)
        request = leave_front(world, replica, now)
        batch += 1
        if math.isnan(world.request_f[request, at.ADMITTED]):
            world.request_f[request, at.ADMITTED] = now
        if facts[at.CARRIED] == 1:
            facts[at.CARRIED] = 0
            budget -= 1
            state[at.JOINING] += 1
            world.ending[replica, engine[at.MAX_BATCH] - state[at.JOINING]] = request
            begin_decoding(world, replica, request)
            continue
        facts[at.TO_COMPUTE] = held - facts[at.CACHED]
        chunk = min(budget, facts[at.TO_COMPUTE])
        facts[at.LEFT] = facts[at.TO_COMPUTE] - chunk
        budget -= chunk
        tokens += chunk
        read += held - facts[at.LEFT]
        shares += chunk / facts[at.TO_COMPUTE]
        if facts[at.LEFT] == 0:
            world.ending[replica, state[at.ENDING]] = request
            state[at.ENDING] += 1
        else:
            state[at.PARTIAL] = request

    state[at.BATCH] = batch
    if batch > 0:
        _begin_stretch(world, replica, now, tokens, read, shares)


@inner
def _begin_stretch(
    world: World, replica: int, now: float, tokens: int, read: int, shares: float
) -> None:
    state = world.replica_i[replica]
    times = world.replica_f[replica]
    pool = state[at.POOL]
    decoding, context = state[at.DECODING], state[at.CONTEXT]
    times[at.START] = now
    if tokens > 0:
        state[at.ITERATIONS] = 1
        times[at.FIRST_MS] = mixed_time(
            world, pool, decoding, context, state[at.BATCH], tokens, read, shares
        )
        times[at.STEP_MS] = 0.0
        times[at.END] = now + times[at.FIRST_MS]
        return
    base, slope, limit = decode_line(world, pool, decoding, context)
    most = 1
    if state[at.JOINING] == 0:
        counter = state[at.COUNTER]
        most = world.request_i[world.decoding[replica, 0], at.FINISH] - counter
        if most > 1:
            most = 1 + iterations_that_fit(world, replica, counter + 1, most - 1)
        if context + most * decoding > limit:
            most = min(most, 1 + int((limit - context) // decoding))
    state[at.ITERATIONS] = most
    times[at.FIRST_MS] = base + slope * context
    times[at.STEP_MS] = slope * decoding
    times[at.END] = now + series_time(times[at.FIRST_MS], times[at.STEP_MS], most)
