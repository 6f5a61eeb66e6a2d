"""Columns for large fleets: an option with all its replicas at once, by where they stand.

A column for every pool that takes all replicas, and for every balanced spread where rules ask for
one, leaves the model with no whole numbers but choices. The plans are those of the exact model that
split no server further; `relaxed_columns` gives the bound on all of them.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np

from optimizer.pooled.columns import Columns
from optimizer.pooled.model import PooledModel, build_model
from optimizer.pooled.options import Options
from optimizer.pooled.question import Question
from optimizer.table import BoolArray, FloatArray, IntArray
from stoker.domain.limits import ObjectiveName, Survival

_MOST_SPREAD = 4
"""Pools that one balanced spread takes at most."""
_ROUNDING = 1e-9


def whole_columns(question: Question) -> Columns:
    """Return the columns of a large fleet: whole options where there are any, else split ones."""
    options, pairs = question.options, question.pairs
    ruled = _spread_asked(question)
    alone = np.flatnonzero(~ruled[pairs.option] & (pairs.room >= options.least[pairs.option]))
    alone = alone[~options.grows[pairs.option[alone]]]
    alone = alone[_unbeaten(question, alone)]
    patterns = [_Patterns.alone(question, alone), *_spreads(question, ruled)]
    whole = np.zeros(options.count, dtype=np.bool_)
    whole[options.cards_per_replica == 0] = True
    for pattern in patterns:
        whole[pattern.option] = True
    beaten = np.zeros(options.count, dtype=np.bool_)
    beaten[pairs.option[~ruled[pairs.option]]] = True
    # An option all of whose columns are beaten by others' needs none.
    beaten &= ~ruled & ~options.grows & ~whole
    fits = np.zeros(options.count, dtype=np.bool_)
    fits[pairs.option[pairs.room >= options.least[pairs.option]]] = True
    split = ~whole & ~(beaten & fits)
    return _joined(question, patterns, split)


def columns_in_turn(question: Question) -> Columns:
    """Return columns that servers are planned with one after another, without a search.

    Whole options in balanced spreads where rules ask for them, and split ones where none do.
    """
    options, pairs = question.options, question.pairs
    ruled = _spread_asked(question)
    choices = np.bincount(pairs.option, minlength=options.count)
    split = ~ruled & ((choices > 1) | ((choices == 1) & options.grows))
    single = ~ruled[pairs.option] & ~split[pairs.option]
    alone = np.flatnonzero(single & (pairs.room >= options.least[pairs.option]))
    patterns = [_Patterns.alone(question, alone), *_spreads(question, ruled)]
    return _joined(question, patterns, split)


def relaxed_columns(question: Question) -> Columns:
    """Return columns whose linear relaxation is a bound on every plan of the exact model.

    Each option stands in one pool with the fewest replicas that it may have: shares of such columns
    are any spread at all.
    """
    options, pairs = question.options, question.pairs
    every = np.arange(pairs.option.size)
    every = every[_unbeaten(question, every)]
    pattern = _Patterns.alone(question, every)
    return _joined(question, [pattern], np.zeros(options.count, dtype=np.bool_))


def relaxed_model(question: Question) -> PooledModel:
    """Return the model of `relaxed_columns`: without the rules that whole options may not break.

    The share of spot cards over the plan has no part in it: spare replicas may help to keep it.
    """
    limits = replace(question.limits, max_spot_share=None)
    loose = replace(question, limits=limits)
    return build_model(loose, relaxed_columns(loose))


class _Patterns:
    """Options with places for all their replicas; entries refer to patterns."""

    def __init__(
        self,
        option: IntArray,
        entry_pattern: IntArray,
        entry_pair: IntArray,
        entry_replicas: IntArray,
    ) -> None:
        self.option = option
        self.entry_pattern = entry_pattern
        self.entry_pair = entry_pair
        self.entry_replicas = entry_replicas

    @classmethod
    def alone(cls, question: Question, pairs: IntArray) -> _Patterns:
        option = question.pairs.option[pairs]
        return cls(option, np.arange(pairs.size), pairs, question.options.least[option])


def _joined(question: Question, patterns: list[_Patterns], split: BoolArray) -> Columns:
    options, pairs = question.options, question.pairs
    empty = np.flatnonzero(options.cards_per_replica == 0)
    splits = np.flatnonzero(split)
    parts = np.flatnonzero(split[pairs.option])
    option = [empty, splits, pairs.option[parts]]
    takes = [np.ones(empty.size + splits.size, dtype=np.bool_), np.zeros(parts.size, np.bool_)]
    first = empty.size + splits.size
    entry_column = [first + np.arange(parts.size)]
    entry_pair = [parts]
    replicas = [np.ones(parts.size, dtype=np.int64)]
    first += parts.size
    for pattern in patterns:
        option.append(pattern.option)
        takes.append(np.ones(pattern.option.size, dtype=np.bool_))
        entry_column.append(first + pattern.entry_pattern)
        entry_pair.append(pattern.entry_pair)
        replicas.append(pattern.entry_replicas)
        first += pattern.option.size
    pair, count = np.concatenate(entry_pair), np.concatenate(replicas)
    upper = np.ones(first)
    part_room = np.minimum(pairs.room[parts], options.most[pairs.option[parts]])
    upper[empty.size + splits.size :][: parts.size] = part_room
    return Columns(
        option=np.concatenate(option),
        takes=np.concatenate(takes),
        upper=upper,
        split=split,
        entry_column=np.concatenate(entry_column),
        entry_pool=pairs.pool[pair],
        entry_replicas=count,
        entry_price=count * pairs.price[pair],
        entry_value=count * pairs.value[pair],
    )


def _spread_asked(question: Question) -> BoolArray:
    """Return the options whose replicas cannot all stand in any one pool for some rule."""
    options, wishes = question.options, question.wishes
    server = options.wisher
    survive = question.limits.headroom.survive
    asked = (
        (wishes.zones[server] > 1)
        | (wishes.zone_share[server] < 1)
        | (survive in (Survival.ZONE, Survival.NODE))
    )
    spotty = wishes.spot_share[server] < 1
    return np.asarray((options.ruled & asked) | spotty, dtype=np.bool_)


def _unbeaten(question: Question, pairs: IntArray) -> BoolArray:
    """Return which columns, options alone in a pool, no other of the server and pool beats.

    Compared is all that a column adds to any row or objective: what is no more in any of them may
    stand for the other in every plan, and in every share of one.
    """
    options, limits = question.options, question.limits
    option, pool = question.pairs.option[pairs], question.pairs.pool[pairs]
    replicas = options.least[option].astype(np.float64)
    objectives = question.objectives
    fits = question.places is not None
    if fits or objectives.includes(ObjectiveName.FAIRNESS) or not pairs.size:
        return np.ones(pairs.size, dtype=np.bool_)
    price = question.pairs.price[pairs] * replicas
    starts = options.starts(options.least)[option]
    value = options.constant[option] + starts + question.pairs.value[pairs] * replicas
    cards = options.cards_per_replica[option] * replicas
    columns: list[tuple[FloatArray, bool]] = [
        (cards, True),
        (value, True),
        (price, limits.budget_per_hour is not None),
        (options.power_w[option] * replicas, limits.power_w is not None),
        (options.power_w[option] * replicas, objectives.includes(ObjectiveName.ENERGY)),
        (options.idle_power_w[option] * replicas, limits.idle_power_w is not None),
        (options.counts_as[option] * replicas, limits.max_replicas is not None),
        (-cards, limits.max_spot_share is not None),
        (options.target_use[option], objectives.includes(ObjectiveName.SLO_SLACK)),
        (options.changed[option].astype(np.float64), True),
        ((~options.serves[option]).astype(np.float64), True),
    ]
    most = np.column_stack([column for column, asked in columns if asked])
    # What slices take of a pool is told by their number, and by no other kind's; and who shares
    # replicas is taken together with the others.
    key = options.server[option] * question.pools.count + pool
    key = key * (len(question.kinds) + 1) + options.kind[option] + 1
    key = key * (len(question.sets) + 1) + options.group[option] + 1
    order = np.lexsort((value, key))
    key, most = key[order], most[order]
    keep = np.ones(pairs.size, dtype=np.bool_)
    largest = int(np.bincount(np.unique(key, return_inverse=True)[1]).max())
    for step in range(1, largest):
        first = np.flatnonzero(key[:-step] == key[step:])
        second = first + step
        ahead = np.all(most[first] <= most[second], axis=1)
        behind = np.all(most[second] <= most[first], axis=1) & ~ahead
        keep[second[ahead]] = False
        keep[first[behind]] = False
    kept = np.ones(pairs.size, dtype=np.bool_)
    kept[order] = keep
    return kept


def _spreads(question: Question, ruled: BoolArray) -> list[_Patterns]:
    """Return balanced spreads of the options whose rules ask for one.

    For every set of up to a few pools of a type, all replicas are dealt out evenly, the dearer
    pools last; what breaks a rule is dropped.
    """
    options, pools = question.options, question.pools
    found = []
    for card_type in np.unique(options.card_type[ruled & (options.cards_per_replica > 0)]).tolist():
        members = np.flatnonzero(pools.card_type == card_type).tolist()
        rows = np.flatnonzero(ruled & (options.card_type == card_type))
        for size in range(1, min(len(members), _MOST_SPREAD) + 1):
            for chosen in combinations(members, size):
                pattern = _spread(question, rows, np.array(chosen, dtype=np.int64))
                if pattern is not None:
                    found.append(pattern)
    return found


def _spread(question: Question, rows: IntArray, chosen: IntArray) -> _Patterns | None:
    """Return the options that can be dealt out evenly to these pools, each with the fewest."""
    options, pairs = question.options, question.pairs
    pair = _pair_index(question, rows, chosen)
    rows, pair = rows[np.all(pair >= 0, axis=1)], pair[np.all(pair >= 0, axis=1)]
    if not rows.size:
        return None
    size = chosen.size
    # The cheapest pools take what does not divide evenly.
    order = np.argsort(pairs.price[pair], axis=1, kind="stable")
    pair = np.take_along_axis(pair, order, axis=1)
    part = options.take(rows)
    total = np.maximum(part.least, size)
    dealt = _dealt(total, size)
    for _ in range(int(part.least.max(initial=0)) + size):
        fine = _kept(question, part, pair, dealt)
        more = ~fine & part.grows & (total < np.minimum(part.most, 2 * part.least + size))
        if not np.any(more):
            break
        total = total + more
        dealt = _dealt(total, size)
    fine = _kept(question, part, pair, dealt) & (total <= part.most)
    if not np.any(fine):
        return None
    rows, pair, dealt = rows[fine], pair[fine], dealt[fine]
    return _Patterns(
        option=rows,
        entry_pattern=np.repeat(np.arange(rows.size), size),
        entry_pair=pair.ravel(),
        entry_replicas=dealt.ravel(),
    )


def _dealt(total: IntArray, size: int) -> IntArray:
    return total[:, None] // size + (np.arange(size)[None, :] < (total % size)[:, None])


def _pair_index(question: Question, rows: IntArray, chosen: IntArray) -> IntArray:
    """Return the pair of each option with each of some pools, -1 where there is none."""
    pairs, pools = question.pairs, question.pools
    key = pairs.option * pools.count + pairs.pool
    wanted = rows[:, None] * pools.count + chosen[None, :]
    place = np.clip(np.searchsorted(key, wanted), 0, max(key.size - 1, 0))
    return np.where(key[place] == wanted, place, -1) if key.size else np.full(wanted.shape, -1)


def _kept(question: Question, part: Options, pair: IntArray, dealt: IntArray) -> BoolArray:
    """Return which spreads keep all rules of their options."""
    pools, wishes = question.pools, question.wishes
    pool = question.pairs.pool[pair]
    total = dealt.sum(axis=1)
    fine = np.all(dealt <= question.pairs.room[pair], axis=1)
    spot = (dealt * pools.spot[pool]).sum(axis=1)
    limited = part.ruled | part.changed
    fine &= ~limited | (spot <= wishes.spot_share[part.wisher] * total + _ROUNDING)
    rows = np.arange(part.count)
    by_zone = np.zeros((part.count, pools.zones), dtype=np.int64)
    for column in range(pair.shape[1]):
        np.add.at(by_zone, (rows, pools.zone[pool[:, column]]), dealt[:, column])
    largest = by_zone.max(axis=1)
    spread = (by_zone > 0).sum(axis=1) >= wishes.zones[part.wisher]
    spread &= largest <= wishes.zone_share[part.wisher] * total + _ROUNDING
    survive = question.limits.headroom.survive
    if survive is Survival.ZONE:
        spread &= total - largest >= part.remain
    elif survive is Survival.NODE:
        on_node = np.maximum(1, part.held_by(pools.node_cards[pool].T).T)
        spread &= total - np.minimum(dealt, on_node).max(axis=1) >= part.remain
    return np.asarray(fine & (~part.ruled | spread), dtype=np.bool_)
