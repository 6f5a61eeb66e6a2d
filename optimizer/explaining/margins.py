"""What a finished plan tells about its own allocations: margins, headroom, what binds."""

from __future__ import annotations

import math

from stoker.domain.allocation import PlannedAllocation
from stoker.domain.explanation import AllocationExplanation, CountLimit, LatencyMargin
from stoker.domain.plan import Plan
from stoker.domain.reasons import UnplacedReason

_TOLERANCE = 1e-9


def explained_alone(plan: Plan) -> tuple[AllocationExplanation, ...]:
    """Return what the plan alone tells of its allocations, in its order."""
    reasons = {item.server: item.reason for item in plan.unplaced}
    spare = {item.server: item.spare_replicas for item in plan.allocations}
    return tuple(
        AllocationExplanation(
            server=item.server,
            accelerator=item.accelerator,
            replicas=item.replicas,
            cost_per_hour=item.cost_per_hour,
            fully_served=item.fully_served,
            binding=item.binding,
            count_limit=_count_limit(
                item,
                spare[item.counted_with or item.server],
                plan.surge,
                reason=reasons.get(item.server),
            ),
            margins=margins_of(item),
            load_headroom=load_headroom(item),
            configuration=item.configuration,
            estimate=item.estimate,
            shared_with=item.shared_with,
            spare_replicas=spare[item.counted_with or item.server],
            surge=plan.surge,
        )
        for item in plan.allocations
    )


def surge_notes(plan: Plan) -> tuple[str, ...]:
    """Return what a reader of loads should know of a plan with a surge."""
    if plan.surge == 1.0:
        return ()
    return (
        f"every load is planned at {plan.surge:g} times its rate, and all figures are those there",
    )


def margins_of(item: PlannedAllocation) -> tuple[LatencyMargin, ...]:
    """Return every latency promised beside its target, the means first.

    Of a mix of accelerators mean TTFT and ITL are those over all requests; all else is the largest
    of its parts, which that of all requests does not exceed.
    """
    if item.targets is None:
        return ()
    margins = []
    for statistic, limit_ms in item.targets.limits():
        figures = [part.latencies.get(statistic.latency) for part in item.mix or (item,)]
        values = [None if each is None else each.at(statistic.percentile) for each in figures]
        known = [value for value in values if value is not None]
        predicted = max(known) if known and len(known) == len(values) else None
        if statistic.path == "ttft_ms.mean" and item.ttft_ms is not None:
            predicted = item.ttft_ms
        elif statistic.path == "itl_ms.mean" and item.itl_ms is not None:
            predicted = item.itl_ms
        margins.append(LatencyMargin(statistic.path, predicted, limit_ms))
    return tuple(margins)


def load_headroom(item: PlannedAllocation) -> float | None:
    """Return the share of the load that the same replicas would carry beyond it.

    Counted as replicas are: what one carries within the targets, times their number. Negative for
    best effort. None where a rate is unknown, and where there is no load.
    """
    load = item.arrival_rate_rps
    if item.mix:
        carried = math.fsum(part.replicas * part.max_rate_rps for part in item.mix)
    else:
        carried = item.replicas * item.max_rate_rps
    if not (math.isfinite(carried) and load > 0):
        return None
    share = carried / load - 1.0
    return 0.0 if item.fully_served and share < 0 and share > -1e-6 else share


def _count_limit(
    item: PlannedAllocation, spare: int, surge: float, *, reason: UnplacedReason | None
) -> CountLimit:
    if reason is UnplacedReason.LOAD_UNKNOWN:
        return CountLimit.UNKNOWN_LOAD
    if item.accelerator is None:
        return CountLimit.NOTHING
    if not item.fully_served:
        kept = reason is UnplacedReason.CHANGES or math.isnan(item.arrival_rate_rps)
        return CountLimit.RUNNING if kept else CountLimit.CARDS
    if spare:
        return CountLimit.SPARE
    # Of a mix, and of two pools, the replicas are not alike.
    if item.mix or item.pools:
        return CountLimit.LOAD
    fewer = (item.replicas - 1) * item.max_rate_rps
    if fewer >= item.arrival_rate_rps * (1 - _TOLERANCE):
        return CountLimit.MINIMUM
    if surge > 1.0 and fewer >= item.arrival_rate_rps / surge * (1 - _TOLERANCE):
        return CountLimit.SURGE
    return CountLimit.LOAD
