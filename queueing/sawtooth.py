"""The largest rate within an ITL target where ITL is not known to rise with the rate.

ITL drops wherever the mean number in service brings the prefill to one chunk more, so that the
rates that keep the target can be several intervals. Between such jumps, and for outputs that are
short beside the chunks, nothing is proven either. So ITL is sampled on a grid that holds both
sides of every jump, and the topmost interval is refined to its upper end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.arrays import BoolArray, FloatArray, IntArray
from queueing.block import ReplicaBlock
from queueing.roots import last_not_positive
from queueing.targets import KEPT_WITHIN, Ceilings

_GRID = 32
_BESIDE_JUMP = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class SawtoothAnswer:
    """Arrays (cases,): the largest log rate that keeps ITL, NaN if none below the bound does."""

    log_rate: FloatArray
    best_itl_ms: FloatArray
    reachable: BoolArray


def largest_rate_below(
    block: ReplicaBlock,
    ceilings: Ceilings,
    log_low: FloatArray,
    log_bound: FloatArray,
    log_high: FloatArray,
) -> SawtoothAnswer:
    """Search [log_low, log_bound] for the largest rate that keeps the ITL target.

    ITL is above its target at log_bound. Whether any rate up to log_high keeps it, and the lowest
    ITL seen, are told as well.
    """
    count = len(block)
    grid = _grid(block, log_low, log_bound, log_high)
    good = np.full(count, np.nan)
    good_excess = np.zeros(count)
    above = log_bound.copy()
    above_excess = ceilings.itl_excess(block.at(log_bound))
    best = np.full(count, np.inf)
    reachable = np.zeros(count, dtype=np.bool_)
    open_end = np.ones(count, dtype=np.bool_)
    for log_rate in grid[::-1]:
        point = block.at(log_rate)
        excess = ceilings.itl_excess(point)
        best = np.fmin(best, point.latencies.itl_ms)
        reachable |= excess <= 0.0
        inside = open_end & (log_rate <= log_bound)
        found = inside & (excess <= 0.0)
        good[found], good_excess[found] = log_rate[found], excess[found]
        open_end &= ~found
        lowered = inside & ~found
        above[lowered], above_excess[lowered] = log_rate[lowered], excess[lowered]

    rows = np.flatnonzero(np.isfinite(good))
    found_block, found_ceilings = block.take(rows), ceilings.take(rows)

    def itl_excess(active: IntArray, nearness: FloatArray) -> FloatArray:
        part = found_block.take(active)
        return found_ceilings.take(active).itl_excess(part.at(part.log_rate_at(nearness)))

    good[rows] = found_block.log_rate_at(
        last_not_positive(
            itl_excess,
            found_block.nearness(good[rows]),
            found_block.nearness(above[rows]),
            good_excess[rows],
            above_excess[rows],
            close_enough=0.5 * KEPT_WITHIN,
        )
    )
    return SawtoothAnswer(log_rate=good, best_itl_ms=best, reachable=reachable)


def _grid(
    block: ReplicaBlock, log_low: FloatArray, log_bound: FloatArray, log_high: FloatArray
) -> FloatArray:
    """Return sample points (points, cases), ascending, between log_low and log_high."""
    shares = np.linspace(0.0, 1.0, _GRID + 1)[:, None]
    even_in_log = log_low + shares * (log_high - log_low)
    low, high = np.exp(log_low - log_high), 1.0
    even_in_rate = log_high + np.log(low + shares * (high - low))
    jumps = _jump_rates(block, log_low, log_high)
    points = np.concatenate(
        [even_in_log, even_in_rate, log_bound[None, :], jumps - _BESIDE_JUMP, jumps + _BESIDE_JUMP]
    )
    # A jump that a case does not have repeats its lowest rate.
    points = np.where(np.isnan(points), log_low, points)
    points = np.minimum(np.maximum(points, log_low), log_high)
    ascending: FloatArray = np.sort(points, axis=0)
    return ascending


def _jump_rates(block: ReplicaBlock, log_low: FloatArray, log_high: FloatArray) -> FloatArray:
    """Return the log rates at which the chunk count jumps (jumps, cases), NaN where there is none.

    The count is that of the mean number in service rounded half up, so it jumps to that of a batch
    B where the mean reaches B - 1/2; the mean rises with the rate.
    """
    cases = block.cases
    largest = int(cases.max_batch.max())
    batches = np.arange(1.0, largest + 1.0)[:, None]
    chunks = cases.service.prefill_chunks(batches, cases.input_tokens, cases.output_tokens)
    jumping = (np.diff(chunks, axis=0) > 0.0) & (batches[1:] <= cases.max_batch)
    low = block.at(log_low).means.mean_in_service
    high = block.at(log_high).means.mean_in_service
    jumping &= (batches[1:] - 0.5 > low) & (batches[1:] - 0.5 < high)
    order = np.cumsum(jumping, axis=0)
    rates = np.full((int(order[-1].max(initial=0)) if len(order) else 0, len(cases)), np.nan)
    for jump in range(len(rates)):
        at, rows = np.nonzero(jumping & (order == jump + 1))
        edge = batches[1:][at, 0] - 0.5
        selected = block.take(rows)

        def surplus(
            active: IntArray,
            nearness: FloatArray,
            selected: ReplicaBlock = selected,
            edge: FloatArray = edge,
        ) -> FloatArray:
            part = selected.take(active)
            return part.at(part.log_rate_at(nearness)).means.mean_in_service - edge[active]

        rates[jump, rows] = selected.log_rate_at(
            last_not_positive(
                surplus,
                selected.nearness(log_low[rows]),
                selected.nearness(log_high[rows]),
                low[rows] - edge,
                high[rows] - edge,
                close_enough=1e-12,
            )
        )
    return rates
