"""The largest rate within an ITL target where ITL is not known to rise with the rate.

ITL drops wherever the mean number in service brings the prefill to one chunk more, so that the
rates that keep the target can be several intervals. Between such jumps, and for outputs that are
short beside the chunks, nothing is proven either. So ITL is sampled at points that include both
sides of every jump, and the topmost interval is refined to its upper end. Where a prompt has very
many jumps, some are sampled first, and then those between the topmost sample that keeps the target
and the next one.

A case of many states is searched alone: there nearly all of them have no weight at any of the rates
between two samples, and the chain is cut down to the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.arrays import BoolArray, FloatArray, IntArray
from queueing.block import ReplicaBlock
from queueing.roots import last_not_positive
from queueing.targets import KEPT_WITHIN, Ceilings

_GRID = 32
_JUMPS_AT_ONCE = 32
_ROUNDS = 4  # enough for 32⁴ jumps, more than there are batch limits
_JUMPS_AT_ONCE_ALONE = 12
_ROUNDS_ALONE = 5  # 12⁵ jumps
_BESIDE_JUMP = 1e-10
_BETWEEN = 1e-7
_ALONE_ABOVE = 2048  # batch limits; below, evaluations cost more in calls than in states


@dataclass(frozen=True, slots=True, eq=False)
class SawtoothAnswer:
    """Arrays (cases,): the largest log rate that keeps ITL, NaN if none below the bound does."""

    log_rate: FloatArray
    best_itl_ms: FloatArray
    reachable: BoolArray


class _Search:
    """What the samples have shown so far: the topmost good one, and the bad one next above."""

    def __init__(self, block: ReplicaBlock, ceilings: Ceilings, log_bound: FloatArray) -> None:
        self._block = block
        self._ceilings = ceilings
        self._bound = log_bound
        at_bound = block.at(log_bound)
        self.good = np.full(len(block), np.nan)
        self.good_excess = np.zeros(len(block))
        self.above = log_bound.copy()
        self.above_excess = ceilings.itl_excess(at_bound)
        self.best_itl_ms = at_bound.latencies.itl_ms.copy()
        self.reachable = np.zeros(len(block), dtype=np.bool_)
        self._seen = [(log_bound, at_bound.means.mean_in_service)]

    def sample(self, points: FloatArray) -> None:
        """Evaluate points (points, cases), ascending; NaN is no point."""
        still = np.ones(len(self._block), dtype=np.bool_)
        for log_rate in points[::-1]:
            point = self._block.at(np.where(np.isnan(log_rate), self._bound, log_rate))
            excess = self._ceilings.itl_excess(point)
            self.best_itl_ms = np.fmin(self.best_itl_ms, point.latencies.itl_ms)
            self.reachable |= excess <= 0.0
            self._seen.append(
                (np.where(np.isnan(log_rate), self._bound, log_rate), point.means.mean_in_service)
            )
            # Points that are NaN, or outside what is still open, compare false.
            inside = still & (log_rate < self.above) & ~(log_rate <= self.good)
            found = inside & (excess <= 0.0)
            self.good[found], self.good_excess[found] = log_rate[found], excess[found]
            still &= ~found
            lowered = inside & ~found
            self.above[lowered], self.above_excess[lowered] = log_rate[lowered], excess[lowered]

    def seen(self) -> tuple[FloatArray, FloatArray]:
        """Return the log rates of a lone case's samples, ascending, and the means in service."""
        rates, means = np.array(self._seen)[:, :, 0].T
        order = np.argsort(rates, kind="stable")
        return rates[order], np.maximum.accumulate(means[order])

    def cut_down(self, log_low: FloatArray) -> ReplicaBlock:
        """Use, and return, the states that count between the two samples still of interest."""
        low = np.fmax(self.good, log_low)
        self._block = self._block.between(low.item(), self.above.item())
        return self._block

    def refine(self) -> FloatArray:
        """Return the upper ends of the topmost good intervals."""
        rows = np.flatnonzero(np.isfinite(self.good))
        block, ceilings = self._block.take(rows), self._ceilings.take(rows)

        def itl_excess(active: IntArray, nearness: FloatArray) -> FloatArray:
            part = block.take(active)
            return ceilings.take(active).itl_excess(part.at(part.log_rate_at(nearness)))

        ends = np.full(len(self.good), np.nan)
        ends[rows] = block.log_rate_at(
            last_not_positive(
                itl_excess,
                block.nearness(self.good[rows]),
                block.nearness(self.above[rows]),
                self.good_excess[rows],
                self.above_excess[rows],
                close_enough=0.5 * KEPT_WITHIN,
            )
        )
        return ends


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
    if len(block) > 1 and block.cases.max_batch.max() > _ALONE_ABOVE:
        alone = [
            largest_rate_below(
                block.take(row), ceilings.take(row), log_low[row], log_bound[row], log_high[row]
            )
            for row in np.arange(len(block))[:, None]
        ]
        return SawtoothAnswer(
            log_rate=np.concatenate([answer.log_rate for answer in alone]),
            best_itl_ms=np.concatenate([answer.best_itl_ms for answer in alone]),
            reachable=np.concatenate([answer.reachable for answer in alone]),
        )
    large = bool(block.cases.max_batch.max() > _ALONE_ABOVE)
    if large:
        block = block.between(log_low.item(), log_high.item())
    jumps = _Jumps(block, _JUMPS_AT_ONCE_ALONE if large else _JUMPS_AT_ONCE)
    search = _Search(block, ceilings, log_bound)
    if large:
        search.sample(_ascending(*_even(log_low, log_high)))
        search.sample(_ascending(*jumps.beside(log_low, log_high, search.seen())))
    else:
        search.sample(_ascending(*_even(log_low, log_high), *jumps.beside(log_low, log_high)))
    for _ in range((_ROUNDS_ALONE if large else _ROUNDS) - 1):
        if large:
            jumps.use(search.cut_down(log_low))
        seen = search.seen() if large else None
        missed = jumps.beside(np.fmax(search.good, log_low), search.above, seen)
        if not len(missed):
            break
        search.sample(_ascending(*missed))
    return SawtoothAnswer(
        log_rate=search.refine(), best_itl_ms=search.best_itl_ms, reachable=search.reachable
    )


def _even(log_low: FloatArray, log_high: FloatArray) -> FloatArray:
    """Return sample points (points, cases), half of them even in log λ and half in λ."""
    shares = np.linspace(0.0, 1.0, _GRID + 1)[:, None]
    in_log = log_low + shares * (log_high - log_low)
    lowest = np.exp(log_low - log_high)
    in_rate = log_high + np.log(lowest + shares * (1.0 - lowest))
    return np.concatenate([in_log, np.clip(in_rate, log_low, log_high)])


def _ascending(*points: FloatArray) -> FloatArray:
    if not points:
        return np.empty((0, 0))
    ascending: FloatArray = np.sort(np.stack(points), axis=0)  # NaN last
    return ascending


class _Jumps:
    """The rates at which the chunk count of the prefill jumps.

    The count is that of the mean number in service rounded half up, so it jumps to that of a batch
    B where the mean reaches B - 1/2; the mean rises with the rate.
    """

    def __init__(self, block: ReplicaBlock, at_once: int) -> None:
        cases = block.cases
        batches = np.arange(1.0, float(cases.max_batch.max()) + 1.0)[:, None]
        chunks = cases.service.prefill_chunks(batches, cases.input_tokens, cases.output_tokens)
        self._block = block
        self._at_once = at_once
        self._edges = batches[1:] - 0.5
        self._jumping = (np.diff(chunks, axis=0) > 0.0) & (self._edges < cases.max_batch)

    def use(self, block: ReplicaBlock) -> None:
        """Use this block of the same cases from now on."""
        self._block = block

    def beside(
        self,
        log_from: FloatArray,
        log_to: FloatArray,
        seen: tuple[FloatArray, FloatArray] | None = None,
    ) -> FloatArray:
        """Return points on both sides of jumps between two log rates: (points, cases).

        All jumps of a case where they are few, else some, evenly spread among them; NaN where a
        case has fewer than others. A lone case's samples narrow the search for each jump.
        """
        start = self._block.at(log_from).means.mean_in_service
        end = self._block.at(log_to).means.mean_in_service
        # Jumps at the very ends have been sampled: those that are strictly between count.
        inside = self._jumping & (self._edges > start * (1.0 + _BETWEEN))
        inside &= self._edges < end * (1.0 - _BETWEEN)
        order = np.cumsum(inside, axis=0)
        count = order[-1] if len(order) else np.zeros(len(self._block), dtype=np.int64)
        slots = np.minimum(count, self._at_once)
        points = np.full((2 * int(slots.max()), len(self._block)), np.nan)
        for slot in range(int(slots.max())):
            rows = np.flatnonzero(slot < slots)
            rank = 1 + (slot * (count[rows] - 1)) // np.maximum(slots[rows] - 1, 1)
            edge = self._edges[np.argmax(order[:, rows] >= rank, axis=0), 0]
            if seen is None:
                at = _rate_where(
                    self._block.take(rows),
                    edge,
                    (log_from[rows], log_to[rows]),
                    (start[rows], end[rows]),
                )
            else:
                at = _rate_among(self._block, seen, edge)
            points[2 * slot, rows], points[2 * slot + 1, rows] = (
                at - _BESIDE_JUMP,
                at + _BESIDE_JUMP,
            )
        return points


def _rate_among(
    block: ReplicaBlock, seen: tuple[FloatArray, FloatArray], mean_in_service: FloatArray
) -> FloatArray:
    """Return the log rate at which a lone case has this mean, which is between two samples'."""
    rates, means = seen
    above = int(np.searchsorted(means, mean_in_service[0], side="right"))
    low, high = slice(above - 1, above), slice(above, above + 1)
    return _rate_where(
        block.between(rates[low].item(), rates[high].item()),
        mean_in_service,
        (rates[low], rates[high]),
        (means[low], means[high]),
    )


def _rate_where(
    block: ReplicaBlock,
    mean_in_service: FloatArray,
    log_ends: tuple[FloatArray, FloatArray],
    means: tuple[FloatArray, FloatArray],
) -> FloatArray:
    """Return the log rates at which the mean number in service is this, between the ends."""

    def surplus(active: IntArray, nearness: FloatArray) -> FloatArray:
        part = block.take(active)
        mean = part.at(part.log_rate_at(nearness)).means.mean_in_service
        return mean - mean_in_service[active]

    return block.log_rate_at(
        last_not_positive(
            surplus,
            block.nearness(log_ends[0]),
            block.nearness(log_ends[1]),
            means[0] - mean_in_service,
            means[1] - mean_in_service,
            close_enough=1e-12,
        )
    )
