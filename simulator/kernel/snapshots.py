"""The state from time to time: integrals for means, momentary values for pictures."""

from __future__ import annotations

from simulator.kernel import layout as at
from simulator.kernel.compiled import inner
from simulator.kernel.layout import World
from simulator.kernel.memory import blocks_in_use, needed_over


@inner
def take_snapshot(world: World, now: float) -> None:
    """Keep the state at every so many arrivals."""
    arrived = world.counts[at.ARRIVED]
    if arrived % world.counts[at.SNAPSHOT_STRIDE] == 0:
        snapshot(world, now)


@inner
def snapshot(world: World, now: float) -> None:
    """Keep the state at a time, up to which everything before has happened."""
    row = world.snapshots[world.counts[at.SNAPSHOTS]]
    world.counts[at.SNAPSHOTS] += 1
    row[:] = 0.0
    row[at.AT_MS] = now
    row[at.S_COMPLETED] = world.counts[at.COMPLETED]
    row[at.S_PREEMPTED] = world.counts[at.PREEMPTED]
    row[at.S_BLOCKED] = world.counts[at.BLOCKED]
    row[at.S_STREAMED] = world.counts[at.STREAMED]
    for replica in range(len(world.replica_i)):
        state = world.replica_i[replica]
        times = world.replica_f[replica]
        used = float(blocks_in_use(world, replica))
        row[at.S_BATCH_TIME] += times[at.BATCH_TIME]
        row[at.S_BLOCK_TIME] += times[at.BLOCK_TIME]
        row[at.S_BUSY_TIME] += times[at.BUSY_TIME]
        row[at.S_WAITING_TIME] += times[at.WAITING_TIME]
        row[at.S_WAITING_TIME] += state[at.WAITING] * (now - times[at.WAITING_SINCE])
        row[at.S_ITERATIONS] += state[at.TOTAL_ITERATIONS]
        row[at.S_BATCH] += state[at.BATCH]
        row[at.S_WAITING] += state[at.WAITING]
        iterations = state[at.ITERATIONS]
        if iterations > 0:
            span = now - times[at.START]
            whole = times[at.END] - times[at.START]
            growth = 0.0
            if iterations > 1 and whole > 0.0:
                more = needed_over(world, replica, state[at.COUNTER] + 1, iterations - 1)
                growth = more * span / whole
            row[at.S_BATCH_TIME] += state[at.BATCH] * span
            row[at.S_BLOCK_TIME] += (used + 0.5 * growth) * span
            row[at.S_BUSY_TIME] += span
            used += growth
        row[at.S_BLOCKS] += used
