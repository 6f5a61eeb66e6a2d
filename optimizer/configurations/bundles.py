"""Slices of cards as candidates: the replicas of a server, on whole cards of their own.

What a plan counts is whole cards. Since cards of a replica on a slice are no whole number, a row
on slices is one *bundle* of all its replicas: it counts as one replica that takes the cards of all,
with nobody else on them. Where several servers share cards is the matter of
`optimizer.configurations.cut_cards`. Beside pools, limits or objectives nothing is bundled: the
replicas of a server may stand in several pools, and cards are cut in each (`optimizer.pooled.cut`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.configurations.slices import slices_per_card
from optimizer.table import CandidateTable
from stoker.domain.accelerator import Accelerator
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.fleet import Fleet


def whole_cards(accelerator: Accelerator, units: int) -> int:
    """Return the whole cards that units of an accelerator take, with nobody else on them."""
    if accelerator.slice is None:
        return accelerator.cards * units
    return -(-units // slices_per_card(accelerator.slice))


def with_bundles(table: CandidateTable, fleet: Fleet) -> CandidateTable:
    """Return a table in which rows on slices are bundles; the same one without slices.

    In a fleet with pools, limits or objectives the rows stay as they are, a slice counting as a
    card, and the table tells which accelerators are slices.

    Args:
        table: Candidates, a slice counting as a card; a replica takes one.
        fleet: The fleet, its accelerators in the order of the table.
    """
    per_card = np.array(
        [0 if item.slice is None else slices_per_card(item.slice) for item in fleet.accelerators],
        dtype=np.int64,
    )
    if not np.any(per_card):
        return table
    slices = tuple(item.slice for item in fleet.accelerators)
    if not fleet.is_plain:
        return replace(table, slices=slices)
    each = np.where(table.accelerator >= 0, per_card[table.accelerator], 0)
    sliced = (each > 0) & table.accepted
    count = np.where(sliced, table.replicas, 0)
    cards = -(-count // np.maximum(each, 1))
    return replace(
        table,
        replicas=np.where(sliced, 1, table.replicas),
        min_replicas=np.where(sliced, np.minimum(table.min_replicas, 1), table.min_replicas),
        cards_per_replica=np.where(sliced, cards, table.cards_per_replica),
        unit_cost_per_hour=np.where(sliced, table.cost_per_hour, table.unit_cost_per_hour),
        max_rate_rps=np.where(sliced, count * table.max_rate_rps, table.max_rate_rps),
        bundled=count,
        slices=slices,
    )


def slice_notes(fleet: Fleet, allocations: tuple[PlannedAllocation, ...]) -> tuple[str, ...]:
    """Return what a reader should know of cards that several servers share, one sentence a type."""
    by_name = {item.name: item for item in fleet.accelerators if item.slice is not None}
    alone: dict[str, int] = {}
    counted: dict[str, int] = {}
    for item in allocations:
        accelerator = by_name.get(item.accelerator or "")
        if accelerator is None:
            continue
        own = whole_cards(accelerator, item.replicas)
        alone[accelerator.card_type] = alone.get(accelerator.card_type, 0) + own
        counted[accelerator.card_type] = counted.get(accelerator.card_type, 0) + item.cards
    return tuple(
        sharing_note(card_type, cards, alone[card_type])
        for card_type, cards in counted.items()
        if cards < alone[card_type]
    )


def sharing_note(card_type: str, cards: int, alone: int) -> str:
    """Return the sentence that tells how many cards slices of several servers are cut from."""
    return (
        f"slices of {card_type}: {cards:,} cards hold them, where those of each server by "
        f"themselves would take {alone:,}; a card that several share counts for the first of them"
    )
