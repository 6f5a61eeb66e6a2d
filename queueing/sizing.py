"""Sizing: the largest arrival rate at which a replica keeps its targets."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from queueing.arrays import BoolArray, FloatArray, IntArray
from queueing.block import LOG_PER_MS, ReplicaBlock
from queueing.cases import ReplicaCases
from queueing.chain import blocks
from queueing.replica import OperatingPoint
from queueing.roots import last_not_positive
from queueing.sawtooth import largest_rate_below
from queueing.targets import KEPT_WITHIN, Ceilings, LatencyTargets

__all__ = ["LatencyTargets", "Sizing", "size"]

TPS_MARGIN = 0.9
"""Share of the largest rate that is considered where there is a TPS target."""


@dataclass(frozen=True, slots=True, eq=False)
class Sizing:
    """Largest rates within targets: arrays (cases,); NaN and false where unknown.

    Attributes:
        valid: the case makes sense (`ReplicaCases.usable`).
        feasible: some rate within the range keeps all targets.
        arrival_rate_rps: the largest such rate, offered requests per second.
        throughput_rps: requests completed per second there: what one replica carries.
        point: all figures there.
        max_rate_rps: upper end of the range without a TPS target, 0.999·μ(N).
        ttft_unreachable, itl_unreachable, blocking_unreachable: infeasible, and this target alone
            is above what any rate in the range reaches. All false: no one rate keeps them all.
        best_ttft_ms, best_itl_ms: of infeasible cases, the lowest that any rate reaches.
        ttft_limit_rps, itl_limit_rps: largest rate that keeps this target alone, without the
            margin for TPS (the upper end where it is not set); None unless asked for.
    """

    valid: BoolArray
    feasible: BoolArray
    arrival_rate_rps: FloatArray
    throughput_rps: FloatArray
    point: OperatingPoint
    max_rate_rps: FloatArray
    ttft_unreachable: BoolArray
    itl_unreachable: BoolArray
    blocking_unreachable: BoolArray
    best_ttft_ms: FloatArray
    best_itl_ms: FloatArray
    ttft_limit_rps: FloatArray | None = None
    itl_limit_rps: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Verdict:
    """What the search of one block found: arrays (cases,)."""

    log_rate: FloatArray  # NaN where infeasible
    ttft_unreachable: BoolArray
    itl_unreachable: BoolArray
    blocking_unreachable: BoolArray
    best_ttft_ms: FloatArray
    best_itl_ms: FloatArray

    @classmethod
    def blank(cls, count: int) -> _Verdict:
        values = {field.name: np.full(count, np.nan) for field in fields(cls)}
        flags = {
            name: np.zeros(count, dtype=np.bool_) for name in values if name.endswith("reachable")
        }
        return cls(**(values | flags))

    def write(self, rows: IntArray, part: _Verdict) -> None:
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(part, field.name)


def size(cases: ReplicaCases, targets: LatencyTargets, *, per_target: bool = False) -> Sizing:
    """Return the largest rate of each case that keeps its targets.

    The range is [0.001·μ(1), 0.999·μ(N)], its upper end lowered to 90% by a TPS target. A target
    counts as kept up to 1e-9 (relative) above it; a rate that breaks one is never returned.

    Raises:
        ValueError: the number of targets is not that of the cases.
    """
    if len(targets) != len(cases):
        raise ValueError(f"{len(targets)} rows of targets for {len(cases)} cases")
    count = len(cases)
    verdict = _Verdict.blank(count)
    point = OperatingPoint.unknown(count)
    max_rate = np.full(count, np.nan)
    with np.errstate(all="ignore"):
        usable = cases.usable()
        all_rows = np.flatnonzero(usable)
        selected = cases.take(all_rows)
        for part in blocks(selected.batch_limits()):
            rows = all_rows[part]
            block = ReplicaBlock.of(selected.take(part))
            found = _search(block, targets.take(rows))
            verdict.write(rows, found)
            max_rate[rows] = np.exp(block.log_largest_rate + LOG_PER_MS)
            kept = np.flatnonzero(np.isfinite(found.log_rate))
            if len(kept):
                everything = len(kept) == len(rows)
                point.fill(
                    rows[kept], block if everything else block.take(kept), found.log_rate[kept]
                )
    return Sizing(
        valid=usable,
        feasible=point.valid,
        arrival_rate_rps=point.arrival_rate_rps,
        throughput_rps=point.throughput_rps,
        point=point,
        max_rate_rps=max_rate,
        ttft_unreachable=verdict.ttft_unreachable,
        itl_unreachable=verdict.itl_unreachable,
        blocking_unreachable=verdict.blocking_unreachable,
        best_ttft_ms=verdict.best_ttft_ms,
        best_itl_ms=verdict.best_itl_ms,
        ttft_limit_rps=(
            size(cases, targets.only(ttft=True)).arrival_rate_rps if per_target else None
        ),
        itl_limit_rps=(
            size(cases, targets.only(itl=True)).arrival_rate_rps if per_target else None
        ),
    )


def _search(block: ReplicaBlock, targets: LatencyTargets) -> _Verdict:
    """Size one block.

    TTFT and blocking never fall as the rate rises; where ITL is known not to either, the three
    are searched as one. Elsewhere the rate that TTFT and blocking allow is found first, and ITL
    is looked at from there downwards.
    """
    cases = block.cases
    ceilings = Ceilings.of(targets)
    high = block.log_largest_rate + np.where(targets.tps > 0.0, np.log(TPS_MARGIN), 0.0)
    low = np.minimum(block.log_smallest_rate, high)
    rises = cases.service.itl_rises_with_load(
        cases.max_batch, cases.input_tokens, cases.output_tokens
    )
    apart = ~rises & (ceilings.per_itl > 0.0)
    together = ceilings.without_itl(apart)

    found = _Verdict.blank(len(block))
    found.log_rate[:] = high
    high_excess = together.excess(block.at(high))
    over = np.flatnonzero(high_excess > 0.0)
    if len(over):
        _lower(block, over, ceilings, together, low, high, high_excess, found)
    if apart.any():
        _heed_itl(block, np.flatnonzero(apart), ceilings, low, high, found)
    return found


def _lower(
    block: ReplicaBlock,
    rows: IntArray,
    ceilings: Ceilings,
    together: Ceilings,
    low: FloatArray,
    high: FloatArray,
    high_excess: FloatArray,
    found: _Verdict,
) -> None:
    """Find the largest rate of the rows that break a target at the upper end."""
    part = block.take(rows)
    at_low = part.at(low[rows])
    low_excess = together.take(rows).excess(at_low)
    broken = low_excess > 0.0
    if broken.any():
        lost = rows[broken]
        found.log_rate[lost] = np.nan
        lost_ceilings = ceilings.take(rows)
        rising = together.per_itl[lost] == ceilings.per_itl[lost]
        found.ttft_unreachable[lost] = (lost_ceilings.ttft_excess(at_low) > 0.0)[broken]
        found.blocking_unreachable[lost] = (lost_ceilings.blocking_excess(at_low) > 0.0)[broken]
        found.itl_unreachable[lost] = (lost_ceilings.itl_excess(at_low) > 0.0)[broken] & rising
        found.best_ttft_ms[lost] = at_low.latencies.ttft_ms[broken]
        found.best_itl_ms[lost] = at_low.latencies.itl_ms[broken]

    kept = np.flatnonzero(~broken)
    active_rows, active_block = rows[kept], part.take(kept)
    active_ceilings = together.take(active_rows)
    current = np.arange(len(kept))

    def excess(active: IntArray, nearness: FloatArray) -> FloatArray:
        # The search only ever narrows: drop finished cases once they are a good part of the block.
        nonlocal active_block, active_ceilings, current
        if len(active) < len(current):
            keep = np.searchsorted(current, active)
            active_block, active_ceilings = active_block.take(keep), active_ceilings.take(keep)
            current = active
        return active_ceilings.excess(active_block.at(active_block.log_rate_at(nearness)))

    searched = active_block
    found.log_rate[active_rows] = searched.log_rate_at(
        last_not_positive(
            excess,
            searched.nearness(low[active_rows]),
            searched.nearness(high[active_rows]),
            low_excess[kept],
            high_excess[active_rows],
            close_enough=0.5 * KEPT_WITHIN,
        )
    )


def _heed_itl(
    block: ReplicaBlock,
    rows: IntArray,
    ceilings: Ceilings,
    low: FloatArray,
    high: FloatArray,
    found: _Verdict,
) -> None:
    """Lower the rates of the rows, or refuse them, until ITL is kept too.

    With one request in service ITL falls as the rate rises, so that the highest rate is also the
    best for ITL.
    """
    bound = np.where(np.isnan(found.log_rate), low, found.log_rate)[rows]
    part, part_ceilings = block.take(rows), ceilings.take(rows)
    broken = (part_ceilings.itl_excess(part.at(bound)) > 0.0) | np.isnan(found.log_rate[rows])
    rows, bound = rows[broken], bound[broken]
    if not len(rows):
        return
    part, part_ceilings = part.take(broken), part_ceilings.take(broken)
    refused = np.isnan(found.log_rate[rows])

    at_high = part.at(high[rows])
    best_itl = at_high.latencies.itl_ms.copy()
    reachable = part_ceilings.itl_excess(at_high) <= 0.0
    log_rate = np.full(len(rows), np.nan)
    several = np.flatnonzero(part.cases.max_batch >= 2.0)
    if len(several):
        answer = largest_rate_below(
            part.take(several),
            part_ceilings.take(several),
            low[rows][several],
            bound[several],
            high[rows][several],
        )
        log_rate[several] = answer.log_rate
        best_itl[several] = answer.best_itl_ms
        reachable[several] = answer.reachable
    log_rate[refused] = np.nan
    lost = np.isnan(log_rate)
    found.log_rate[rows] = log_rate
    found.itl_unreachable[rows] = lost & ~reachable
    found.best_itl_ms[rows[lost]] = best_itl[lost]
    lost_rows = rows[lost & ~refused]
    found.best_ttft_ms[lost_rows] = block.take(lost_rows).at(low[lost_rows]).latencies.ttft_ms
