"""What runs for servers of unknown load, which a plan keeps as it is.

An unknown load is not zero: what runs may well be needed. Its cards are taken out of the capacity
before anybody is placed, and the plan lists it, so that nobody who carries the plan out takes it
down.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from optimizer.configurations.bundles import whole_cards
from optimizer.configurations.running import RunningAllocations
from optimizer.remedies import count_of, some_names
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.fleet import Fleet
from stoker.domain.slo import SloTarget

_NO_TARGET = SloTarget(model="")


def kept_allocations(fleet: Fleet) -> tuple[PlannedAllocation, ...]:
    """Return what runs for servers of unknown load, in the fleet's order.

    Rates and predictions are unknown; the cost is that of the replicas at the fleet's prices, and
    the value is 0, because nothing changes. A model without a profile on the accelerator counts as
    one unit of it a replica. What runs on an accelerator that the fleet does not have is left out:
    its cards and its cost are unknown.
    """
    accelerators = {item.name: item for item in fleet.accelerators}
    running = RunningAllocations(fleet)
    targets = {
        (item.name, target.model): target
        for item in fleet.service_classes
        for target in item.targets
    }
    kept = []
    for server in fleet.servers:
        now = server.current
        if server.load is not None or now is None or now.replicas < 1:
            continue
        accelerator = accelerators.get(now.accelerator or "")
        if accelerator is None:
            continue
        runs = running.of(server, now)
        profile, units = runs.profile, runs.units
        target = targets.get((server.service_class, server.model), _NO_TARGET)
        kept.append(
            PlannedAllocation(
                server=server.name,
                service_class=server.service_class,
                model=server.model,
                accelerator=accelerator.name,
                replicas=now.replicas,
                max_batch=now.max_batch
                or server.max_batch
                or (profile.max_batch if profile else 0),
                max_queue=server.max_queue,
                cost_per_hour=accelerator.cost_per_hour * units,
                value=0.0,
                arrival_rate_rps=math.nan,
                ttft_ms=None,
                itl_ms=None,
                utilization=None,
                blocking=None,
                max_rate_rps=math.nan,
                ttft_target_ms=target.ttft_ms,
                itl_target_ms=target.itl_ms,
                tps_target=target.tps,
                cards=whole_cards(accelerator, units),
                card_type=accelerator.card_type,
                fully_served=False,
                estimate=None,
                targets=target if target is not _NO_TARGET else None,
                router=server.router,
                configuration=runs.configuration,
                parallel=profile.parallel if profile else None,
                pools=runs.pools,
                sliced=accelerator.slice is not None,
            )
        )
    return tuple(kept)


def kept_cards(kept: Sequence[PlannedAllocation]) -> Counter[str]:
    """Return the cards of what is kept, by type."""
    cards: Counter[str] = Counter()
    for item in kept:
        if item.card_type is not None:
            cards[item.card_type] += item.cards
    return cards


def kept_notes(
    fleet: Fleet, kept: Sequence[PlannedAllocation], available: Mapping[str, int] | None
) -> tuple[str, ...]:
    """Return what a reader should know of servers of unknown load that run.

    Args:
        fleet: What was planned for.
        kept: What is kept of it.
        available: Cards available by type; None where capacity is ignored.
    """
    return tuple(_sentences(fleet, kept, available))


def _sentences(
    fleet: Fleet, kept: Sequence[PlannedAllocation], available: Mapping[str, int] | None
) -> Iterator[str]:
    if kept:
        one = len(kept) == 1
        yield (
            f"{count_of(len(kept), 'server')} {'is' if one else 'are'} kept as "
            f"{'it is: its' if one else 'they are: their'} load is unknown "
            f"({some_names([item.server for item in kept])})"
        )
    if available is not None:
        for card_type, cards in sorted(kept_cards(kept).items()):
            if cards > available.get(card_type, 0):
                yield (
                    f"what is kept takes {count_of(cards, 'card')} of {card_type}, more than the "
                    f"{available.get(card_type, 0):,} available"
                )
    known = {item.name for item in fleet.accelerators}
    for server in fleet.servers:
        now = server.current
        if server.load is not None or now is None or now.replicas < 1:
            continue
        if now.accelerator is not None and now.accelerator not in known:
            yield (
                f"what runs for {server.name} is not counted: its load is unknown, and so is its "
                f"accelerator {now.accelerator}"
            )
