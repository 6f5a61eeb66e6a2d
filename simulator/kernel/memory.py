"""KV blocks: who needs one when, and for how long they last."""

from __future__ import annotations

from simulator.kernel import layout as at
from simulator.kernel.compiled import inner
from simulator.kernel.layout import World


@inner
def blocks_of(world: World, pool: int, tokens: int) -> int:
    """Return the blocks that hold that many tokens."""
    size = world.engine_i[pool, at.BLOCK_TOKENS]
    return int((tokens + size - 1) // size)


@inner
def phase_of(world: World, replica: int, request: int) -> int:
    """Return the iteration, modulo the block, in which a decoding request needs a new block.

    It does where the context of the iteration, base + counter, is one above a whole number of
    blocks.
    """
    size = world.engine_i[world.replica_i[replica, at.POOL], at.BLOCK_TOKENS]
    return int((1 - world.request_i[request, at.BASE]) % size)


@inner
def needed(world: World, replica: int, counter: int) -> int:
    """Return the blocks that decode needs in the iteration of that number."""
    size = world.engine_i[world.replica_i[replica, at.POOL], at.BLOCK_TOKENS]
    return int(world.phases[replica, counter % size])


@inner
def needed_over(world: World, replica: int, counter: int, iterations: int) -> int:
    """Return the blocks that decode needs in that many iterations from that number on."""
    size = world.engine_i[world.replica_i[replica, at.POOL], at.BLOCK_TOKENS]
    # Over a whole block of iterations every sequence needs one.
    total = (iterations // size) * world.replica_i[replica, at.DECODING]
    for offset in range(iterations % size):
        total += world.phases[replica, (counter + offset) % size]
    return int(total)


@inner
def iterations_that_fit(world: World, replica: int, counter: int, most: int) -> int:
    """Return for how many iterations from that number on, up to `most`, the free blocks last."""
    size = world.engine_i[world.replica_i[replica, at.POOL], at.BLOCK_TOKENS]
    decoding = world.replica_i[replica, at.DECODING]
    free = world.replica_i[replica, at.FREE]
    if (most // size + 1) * decoding <= free:
        return most
    rounds = free // decoding
    count = int(rounds * size)
    free -= rounds * decoding
    while count < most:
        free -= world.phases[replica, (counter + count) % size]
        if free < 0:
            break
        count += 1
    return min(count, most)


@inner
def take_blocks(world: World, replica: int, blocks: int) -> None:
    """Take blocks from the free ones."""
    state = world.replica_i[replica]
    state[at.FREE] -= blocks
    used = world.engine_i[state[at.POOL], at.KV_BLOCKS] - state[at.FREE]
    if used > state[at.PEAK_BLOCKS]:
        state[at.PEAK_BLOCKS] = used


@inner
def blocks_in_use(world: World, replica: int) -> int:
    """Return the blocks in use at the start of the running stretch."""
    state = world.replica_i[replica]
    return int(world.engine_i[state[at.POOL], at.KV_BLOCKS] - state[at.FREE])
