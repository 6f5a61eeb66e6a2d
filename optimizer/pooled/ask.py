"""From a fleet and its candidate table to the question that a model answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from optimizer.pooled.cut import SliceKinds
from optimizer.pooled.fewest import fewest_replicas
from optimizer.pooled.full_options import full_options
from optimizer.pooled.options import Options, Pairs
from optimizer.pooled.other_options import part_options, stay_options
from optimizer.pooled.place_rows import pool_places
from optimizer.pooled.pools import PoolArrays, pool_arrays
from optimizer.pooled.power import replica_power
from optimizer.pooled.question import Question, pair_up
from optimizer.pooled.running import runs, standing_now
from optimizer.pooled.set_options import joined_standing, joined_wishes, set_options
from optimizer.pooled.wishes import wish_arrays
from optimizer.sharing.figured import SharedSet
from optimizer.table import BoolArray, CandidateTable, rejection_code
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Limits, ObjectiveName
from stoker.domain.reasons import Rejection


def ask(
    fleet: Fleet,
    table: CandidateTable,
    taken: Mapping[str, int],
    kept: Sequence[PlannedAllocation] = (),
    *,
    on_nodes: bool = False,
    sets: Sequence[SharedSet] = (),
) -> Question:
    """Return the question that a fleet and its candidates pose.

    Args:
        fleet: The fleet, its surge already in its loads.
        table: Its candidates.
        taken: Cards that are nobody's to give, by type.
        kept: What is kept as it runs, and counts against the limits.
        on_nodes: Whether every replica must have a place on the nodes of its pool.
        sets: Sets of servers that may share replicas.

    Raises:
        InvalidInputError: A card type in pools has another count than they add up to.
    """
    limits = left_over(fleet, kept)
    pools = pool_arrays(fleet, table.card_types, taken)
    standing = joined_standing(standing_now(fleet, pools), sets)
    wishes = joined_wishes(wish_arrays(fleet, pools), sets)
    rejected: dict[int, int] = {}
    options = full = full_options(fleet, table, limits, wishes, standing, rejected)
    if limits.max_changes is not None or fleet.objectives.includes(ObjectiveName.CHANGES):
        options = options.joined(stay_options(fleet, table, limits, standing, full))
    if fleet.objectives.includes(ObjectiveName.FAIRNESS):
        options = options.joined(part_options(full, table))
    shared, groups = set_options(fleet, table, sets, limits, wishes, standing)
    options = options.joined(shared)
    pairs = pair_up(options, pools, wishes, limits, standing)
    fewest, possible = fewest_replicas(options, pairs, pools, wishes, limits.headroom.survive)
    _note_rejections(options, pairs, possible, pools, rejected)
    options = replace(
        options, least=np.where(options.serves & options.ruled, fewest, options.least)
    )
    options = options.take(_together(options, possible))
    classes = {item.name: index for index, item in enumerate(fleet.service_classes)}
    return Question(
        table=table,
        pools=pools,
        wishes=wishes,
        limits=limits,
        objectives=fleet.objectives,
        options=options,
        pairs=pair_up(options, pools, wishes, limits, standing),
        kinds=SliceKinds.of(table).kinds,
        running=np.array([runs(fleet, index) for index in range(len(fleet.servers))], np.int64),
        standing=standing,
        sets=groups,
        rates=np.array(
            [0.0 if item.load is None else item.load.arrival_rate_rps for item in fleet.servers]
        ),
        class_index=np.array(
            [classes.get(item.service_class, len(classes)) for item in fleet.servers], np.int64
        ),
        classes=len(classes) + 1,
        places=pool_places(fleet, table, pools, sets) if on_nodes else None,
        rejected=rejected,
    )


def _together(options: Options, possible: BoolArray) -> BoolArray:
    """Return which options are possible, those of a set with all its others."""
    lost = np.unique(options.group[~possible & options.shared])
    return possible & ~np.isin(options.group, lost)


def left_over(fleet: Fleet, kept: Sequence[PlannedAllocation]) -> Limits:
    """Return the limits of a fleet less what is kept, which counts at full power."""
    limits = fleet.limits
    if not kept:
        return limits
    replicas = sum(item.replicas for item in kept)
    loaded, idle = kept_power(fleet, kept)
    return replace(
        limits,
        budget_per_hour=_less(
            limits.budget_per_hour, math.fsum(item.cost_per_hour for item in kept)
        ),
        power_w=_less(limits.power_w, loaded),
        idle_power_w=_less(limits.idle_power_w, idle),
        max_replicas=None
        if limits.max_replicas is None
        else max(0, limits.max_replicas - replicas),
    )


def kept_power(fleet: Fleet, kept: Sequence[PlannedAllocation]) -> tuple[float, float]:
    """Return the power of what is kept, in full and idle, in W; what is unknown is left out."""
    names = {item.name: index for index, item in enumerate(fleet.accelerators)}
    accelerator = np.array([names[item.accelerator or ""] for item in kept], dtype=np.int64)
    # A slice is a unit of its accelerator, however many share its card.
    cards = np.array(
        [item.replicas if item.sliced else item.cards for item in kept], dtype=np.int64
    )
    loaded, idle = replica_power(fleet, accelerator, cards, np.ones(len(kept)))
    return float(np.nansum(loaded)), float(np.nansum(idle))


def _less(limit: float | None, amount: float) -> float | None:
    return None if limit is None else max(0.0, limit - amount)


def _note_rejections(
    options: Options,
    pairs: Pairs,
    possible: BoolArray,
    pools: PoolArrays,
    rejected: dict[int, int],
) -> None:
    """Note why candidates are impossible in full, even alone in the fleet."""
    paired = np.bincount(pairs.option, minlength=options.count) > 0
    room = np.bincount(pairs.option, weights=pairs.room, minlength=options.count)
    any_cards = np.zeros(int(options.card_type.max(initial=-1)) + 1, dtype=np.bool_)
    any_cards[pools.card_type[(pools.cards > 0) & (pools.card_type < any_cards.size)]] = True
    own = options.serves & ~options.shared
    # What may stay as it runs, or only anew, is not ruled out.
    own &= ~np.isin(options.row, options.row[possible & own])
    for index in np.flatnonzero(~possible & own).tolist():
        if not paired[index]:
            held = bool(any_cards[options.card_type[index]])
            reason = Rejection.NO_POOL if held else Rejection.NO_CARDS
        elif room[index] < options.least[index]:
            reason = Rejection.NO_CARDS
        else:
            reason = Rejection.SPREAD
        rejected.setdefault(int(options.row[index]), rejection_code(reason))
