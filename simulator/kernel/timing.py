"""The time of iterations: one with prefill, and the series of those that only decode."""

from __future__ import annotations

import math

from simulator.kernel import layout as at
from simulator.kernel.compiled import inner
from simulator.kernel.layout import FloatArray, World

SHARPNESS = 8.0
"""Exponent of the smooth maximum of the `overlap` model."""


@inner
def cell(knots: FloatArray, value: float) -> int:
    """Return the index of the cell of ascending knots that a value falls in.

    The first and the last cell extend beyond the knots; one knot has the cell 0.
    """
    low, high = 0, len(knots) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if knots[middle] <= value:
            low = middle
        else:
            high = middle
    return low


@inner
def weight(knots: FloatArray, index: int, value: float) -> float:
    """Return the place of a value in a cell: 0 at its lower knot, 1 at its upper one."""
    if len(knots) == 1 or value <= knots[0]:
        return 0.0
    return float((value - knots[index]) / (knots[index + 1] - knots[index]))


@inner
def along(low: float, high: float, share: float) -> float:
    """Return the value at a place in a cell; beyond its upper knot it never falls."""
    if share == 0.0:
        return low
    if share > 1.0:
        return high + (share - 1.0) * max(high - low, 0.0)
    return low + share * (high - low)


@inner
def between(grid: FloatArray, width: int, row: int, share: float, column: int) -> float:
    """Return the value between two rows of a grid, in one of its columns."""
    low = float(grid[row * width + column])
    if share == 0.0:
        return low
    return along(low, float(grid[(row + 1) * width + column]), share)


@inner
def smooth_maximum(a: float, b: float) -> float:
    """Return (a^s + b^s)^(1/s): the larger, rounded where both are alike."""
    larger = max(a, b)
    if larger <= 0.0:
        return 0.0
    ratio = min(a, b) / larger
    return float(larger * (1.0 + ratio**SHARPNESS) ** (1.0 / SHARPNESS))


@inner
def first_token_delay(world: World, pool: int, decoding: int, output: int) -> float:
    """Return how much later than its iteration ends a first token is with its reader.

    Args:
        world: The state.
        pool: The pool of the engine.
        decoding: Sequences in decode in that iteration.
        output: Output tokens of the request.
    """
    if world.engine_i[pool, at.KIND] not in (at.OVERLAP, at.TABLE):
        return 0.0
    engine = world.engine_f[pool]
    return float(engine[7] + engine[8] * decoding + engine[9] * output)


@inner
def decode_line(
    world: World, pool: int, decoding: int, context: float
) -> tuple[float, float, float]:
    """Return base, slope and validity of the decode time as a function of the context read.

    Args:
        world: The state.
        pool: The pool of the engine.
        decoding: Sequences in decode, at least 1.
        context: Tokens that they read in all.

    Returns:
        a, b and the largest context c for which an iteration takes a + b * c.
    """
    engine = world.engine_f[pool]
    if world.engine_i[pool, at.KIND] == at.TOKEN_WORK:
        return engine[0] + engine[1] * decoding, engine[2], math.inf
    if world.engine_i[pool, at.KIND] == at.LINEAR:
        return engine[0] + engine[1] * decoding, 0.0, math.inf
    if world.engine_i[pool, at.KIND] == at.OVERLAP:
        # While the same sequences decode only their context grows, and it adds in a straight line.
        longer = smooth_maximum(engine[1], engine[2] * decoding)
        return engine[0] + longer + engine[3] * decoding, engine[4], math.inf
    rows = world.engine_i[pool, at.BATCH_KNOTS]
    columns = world.engine_i[pool, at.CONTEXT_KNOTS]
    batches = world.table[pool, :rows]
    contexts = world.table[pool, rows : rows + columns]
    grid = world.table[pool, rows + columns : rows + columns + rows * columns]
    row = cell(batches, decoding)
    share = weight(batches, row, decoding)
    mean = context / decoding
    column = cell(contexts, mean)
    low = between(grid, columns, row, share, column)
    if columns == 1:
        return low, 0.0, math.inf
    if mean < contexts[0]:
        return low, 0.0, contexts[0] * decoding
    high = between(grid, columns, row, share, column + 1)
    slope = (high - low) / (contexts[column + 1] - contexts[column])
    if mean >= contexts[columns - 1]:
        slope = max(slope, 0.0)
        return high - slope * contexts[columns - 1], slope / decoding, math.inf
    return low - slope * contexts[column], slope / decoding, contexts[column + 1] * decoding


@inner
def prefill_time(world: World, pool: int, tokens: float, read: float) -> float:
    """Return the time that a table gives to chunks of that many tokens, reading that many."""
    rows = world.engine_i[pool, at.PREFILL_KNOTS]
    columns = world.engine_i[pool, at.READ_KNOTS]
    first = (
        world.engine_i[pool, at.BATCH_KNOTS]
        + world.engine_i[pool, at.CONTEXT_KNOTS]
        + world.engine_i[pool, at.BATCH_KNOTS] * world.engine_i[pool, at.CONTEXT_KNOTS]
    )
    knots = world.table[pool, first : first + rows]
    reads = world.table[pool, first + rows : first + rows + columns]
    grid = world.table[pool, first + rows + columns : first + rows + columns + rows * columns]
    row = cell(knots, tokens)
    share = weight(knots, row, tokens)
    column = cell(reads, read)
    across = weight(reads, column, read)
    low = between(grid, columns, row, share, column)
    if across == 0.0:
        return low
    return along(low, between(grid, columns, row, share, column + 1), across)


@inner
def mixed_time(
    world: World,
    pool: int,
    decoding: int,
    context: float,
    batch: int,
    tokens: float,
    read: float,
    shares: float,
) -> float:
    """Return the time of an iteration that prefills.

    Args:
        world: The state.
        pool: The pool of the engine.
        decoding: Sequences in decode.
        context: Tokens that they read.
        batch: Sequences in service.
        tokens: Prompt tokens computed.
        read: Tokens that the chunks read.
        shares: Sum over the chunks of their share of the tokens that their prompt needs.
    """
    engine = world.engine_f[pool]
    kind = world.engine_i[pool, at.KIND]
    if kind == at.TOKEN_WORK:
        return float(engine[0] + engine[1] * (decoding + tokens) + engine[2] * (context + read))
    if kind == at.LINEAR:
        time = engine[2] * shares + engine[3] * tokens * batch
        if decoding > 0:
            time += engine[0] + engine[1] * decoding
        return float(time)
    if kind == at.OVERLAP:
        time = engine[0] + smooth_maximum(engine[1], engine[2] * (decoding + tokens))
        time += engine[3] * decoding + engine[4] * context
        pairs = max(tokens * (read - 0.5 * tokens) / max(shares, 1.0), 0.0)
        return float(time + engine[5] * pairs + engine[6] * min(shares, 1.0))
    time = 0.0
    if tokens > 0:
        time += prefill_time(world, pool, tokens, read)
    if decoding > 0:
        base, slope, _ = decode_line(world, pool, decoding, context)
        time += base + slope * context
        if tokens > 0:
            time -= engine[0]
    return float(time)


@inner
def series_time(first: float, step: float, iterations: int) -> float:
    """Return the time of iterations of which each takes longer by a step than the one before."""
    return iterations * first + step * (0.5 * iterations * (iterations - 1))


@inner
def iterations_until(first: float, step: float, most: int, elapsed: float) -> int:
    """Return the least number of iterations, 1 to `most`, that take at least that time."""
    half = first - 0.5 * step
    root = half + math.sqrt(max(half * half + 2.0 * step * elapsed, 0.0))
    count = most
    if root > 0.0:
        guess = 2.0 * elapsed / root
        if guess < most:
            count = max(1, math.ceil(guess))
    # The root is rounded: the series itself decides.
    while count > 1 and series_time(first, step, count - 1) >= elapsed:
        count -= 1
    while count < most and series_time(first, step, count) < elapsed:
        count += 1
    return count
