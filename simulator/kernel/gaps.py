"""Histogram of the gaps between output tokens."""

from __future__ import annotations

import math

from simulator.kernel import layout as at
from simulator.kernel.compiled import inner
from simulator.kernel.layout import World


@inner
def _bin(world: World, gap: float) -> int:
    bins = len(world.gaps)
    low = world.edges[0]
    if gap <= low:
        return 0
    # The edges are a geometric series.
    place = math.log(gap / low) / math.log(world.edges[bins] / low) * bins
    return min(int(place), bins - 1)


@inner
def measuring(world: World) -> bool:
    """Tell whether tokens are counted now, between the warm-up and the end of the arrivals."""
    arrived = world.counts[at.ARRIVED]
    return bool(world.counts[at.MEASURE_FROM] < arrived <= world.counts[at.MEASURE_TO])


@inner
def count_gap(world: World, gap: float, tokens: int) -> None:
    """Count tokens that came after the same gap."""
    world.gaps[_bin(world, gap)] += tokens
    world.gap_sum[0] += gap * tokens
    world.gap_sum[1] += tokens


@inner
def count_series(world: World, first: float, step: float, iterations: int, tokens: int) -> None:
    """Count the tokens of iterations of which each takes longer by a step than the one before."""
    last = first + step * (iterations - 1)
    low, high = min(first, last), max(first, last)
    world.gap_sum[0] += tokens * 0.5 * (first + last) * iterations
    world.gap_sum[1] += tokens * iterations
    index, final = _bin(world, low), _bin(world, high)
    if index == final:
        world.gaps[index] += tokens * iterations
        return
    rise = abs(step)
    counted = 0
    while index < final:
        # Iterations below the upper edge of this bin.
        below = min(int((world.edges[index + 1] - low) / rise) + 1, iterations)
        world.gaps[index] += tokens * max(below - counted, 0)
        counted = max(below, counted)
        index += 1
    world.gaps[final] += tokens * (iterations - counted)
