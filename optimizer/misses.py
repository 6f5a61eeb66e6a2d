"""What somebody else's predictions say of the servers that a plan serves by them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from optimizer.remedies import count_of, some_names
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan

_TOLERANCE = 1e-6
"""Relative amount by which a figure may miss; given figures are often rounded."""


def missed_notes(fleet: Fleet, plan: Plan) -> tuple[str, ...]:
    """Return what a reader should know of servers whose given figures break their promises.

    Predictions of somebody else are taken at their word: whoever made them may count targets and
    load in another way. A server is served in full by them even where its own figures miss a
    target or carry less than the load, so that a reader must be told. Unknown figures miss nothing.

    Args:
        fleet: What was planned for.
        plan: The plan, made from predictions that were given.
    """
    idle = {item.name for item in fleet.servers if item.load is not None and item.load.is_zero}
    served = [item for item in plan.allocations if item.fully_served and item.server not in idle]
    return tuple(
        f"by the predictions given, {count_of(len(names), 'server')} served in full {words} "
        f"({some_names(names)}): predictions of somebody else are taken as they are"
        for words, names in (
            ("would miss a target", [item.server for item in served if _misses_target(item)]),
            (
                "would carry less than the load",
                [item.server for item in served if _falls_short(item)],
            ),
        )
        if names
    )


def _misses_target(item: PlannedAllocation) -> bool:
    return any(
        target is not None and latency is not None and latency > target * (1.0 + _TOLERANCE)
        for target, latency in _latencies(item)
    )


def _latencies(item: PlannedAllocation) -> Iterator[tuple[float | None, float | None]]:
    """Yield target and latency, of each part of a mix."""
    for part in item.mix or (item,):
        yield item.ttft_target_ms, part.ttft_ms
        yield item.itl_target_ms, part.itl_ms


def _falls_short(item: PlannedAllocation) -> bool:
    """Return whether the replicas carry less than the load; not where a rate is unknown."""
    carried = math.fsum(part.max_rate_rps * part.replicas for part in item.mix or (item,))
    return carried < item.arrival_rate_rps * (1.0 - _TOLERANCE)
