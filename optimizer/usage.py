"""Cards of a plan by type, and what they cost."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from optimizer.entries import Entries
from optimizer.table import EMPTY, CandidateTable, IntArray
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.fleet import Fleet
from stoker.domain.usage import CardUsage


def cards_by_type(
    fleet: Fleet,
    table: CandidateTable,
    entries: Entries,
    cards: IntArray,
    kept: Sequence[PlannedAllocation],
    *,
    unlimited: bool,
) -> tuple[CardUsage, ...]:
    """Return the cards used and available, by name of the type.

    Args:
        fleet: What was planned for.
        table: Its candidates.
        entries: What is placed.
        cards: Cards that count for each entry.
        kept: What is kept as it runs.
        unlimited: Whether capacity was ignored.
    """
    used: dict[str, int] = defaultdict(int)
    costs: dict[str, list[float]] = defaultdict(list)
    for row, count, taken in zip(
        entries.row.tolist(), entries.replicas.tolist(), cards.tolist(), strict=True
    ):
        if table.card_type[row] != EMPTY:
            name = table.card_types[table.card_type[row]]
            used[name] += taken
            whole = count == table.replicas[row]
            unit = float(table.unit_cost_per_hour[row]) * count
            costs[name].append(float(table.cost_per_hour[row]) if whole else unit)
    for item in kept:
        if item.card_type is not None:
            used[item.card_type] += item.cards
            costs[item.card_type].append(item.cost_per_hour)
    available = card_counts(fleet)
    return tuple(
        CardUsage(
            card_type=name,
            used=used.get(name, 0),
            available=None if unlimited else available.get(name, 0),
            cost_per_hour=math.fsum(costs.get(name, [])),
        )
        for name in sorted({*table.card_types, *available})
    )


def card_counts(fleet: Fleet) -> dict[str, int]:
    """Return the cards available by type; a type without a count has those of its pools, if any."""
    counts: dict[str, int] = defaultdict(int)
    for capacity in fleet.capacity:
        counts[capacity.card_type] += capacity.count
    told = set(counts)
    for pool in fleet.pools:
        if pool.card_type not in told:
            counts[pool.card_type] += pool.cards
    return dict(counts)
