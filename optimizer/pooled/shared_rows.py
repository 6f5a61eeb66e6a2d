"""Rows over all servers: what one takes of them, and the cards and limits that all share."""

from __future__ import annotations

import numpy as np

from optimizer.pooled.sheet import Sheet
from optimizer.table import FloatArray, IntArray

ROW_SCALE = 1e3
"""Right-hand side that limits are scaled to, so that a solver's tolerance is a millionth of a
thousandth of them."""


def add_choices(sheet: Sheet) -> IntArray:
    """Let a server take one option at most; return the rows that say so."""
    takes = np.flatnonzero(sheet.columns.takes)
    server = sheet.question.options.server[sheet.columns.option[takes]]
    known, position = np.unique(server, return_inverse=True)
    first = sheet.rows.block(-np.inf, 1.0, known.size)
    sheet.rows.add(first + position, takes, 1.0)
    return np.arange(first, first + known.size)


def add_groups(sheet: Sheet) -> None:
    """Let those who share replicas take them together: as often as the first, each other one."""
    options, columns = sheet.question.options, sheet.columns
    takes = np.flatnonzero(columns.takes & options.shared[columns.option])
    if not takes.size:
        return
    option = columns.option[takes]
    group = options.group[option]
    first = options.cards_per_replica[option] > 0
    members = np.unique(option[~first])
    row = sheet.rows.block(0.0, 0.0, members.size)
    own = takes[~first]
    sheet.rows.add(row + np.searchsorted(members, columns.option[own]), own, -1.0)
    for index, member in enumerate(members.tolist()):
        hosts = takes[first & (group == options.group[member])]
        sheet.rows.add(np.full(hosts.size, row + index), hosts, 1.0)


def add_totals(sheet: Sheet) -> None:
    """Make the replicas of an option, over its pools, as many as it asks for."""
    options, columns = sheet.question.options, sheet.columns
    split = np.flatnonzero(columns.split)
    if not split.size:
        return
    position = np.full(options.count, -1, dtype=np.int64)
    position[split] = np.arange(split.size)
    entries, option = sheet.parts()
    column = columns.entry_column[entries]
    chooser = sheet.choosing()[split]
    fixed = options.least[split] == options.most[split]
    first = sheet.rows.block(0.0, np.where(fixed, 0.0, np.inf), split.size)
    sheet.rows.add(first + position[option], column, 1.0)
    sheet.rows.add(first + np.arange(split.size), chooser, -options.least[split])
    growing = np.flatnonzero(~fixed)
    if growing.size:
        position[:] = -1
        position[split[growing]] = np.arange(growing.size)
        grown = position[option] >= 0
        room = np.bincount(option, weights=columns.upper[column], minlength=options.count)
        most = np.minimum(options.most, room)[split[growing]]
        first = sheet.rows.block(-np.inf, 0.0, growing.size)
        sheet.rows.add(first + position[option[grown]], column[grown], 1.0)
        sheet.rows.add(first + np.arange(growing.size), chooser[growing], -most)


def add_pools(sheet: Sheet) -> None:
    """Bound cards of pools, quotas, and types of which some are taken nobody knows where."""
    pools = sheet.question.pools
    column = np.concatenate([sheet.columns.entry_column, sheet.cut_column])
    pool = np.concatenate([sheet.columns.entry_pool, sheet.cut_pool])
    cards = np.concatenate([sheet.entry_cards, np.ones(sheet.cut_column.size)])
    first = sheet.rows.block(-np.inf, pools.cards, pools.count)
    sheet.rows.add(first + pool, column, cards)
    shared = pools.quota[pool] >= 0
    first = sheet.rows.block(-np.inf, pools.quota_cards, pools.quota_cards.size)
    sheet.rows.add(first + pools.quota[pool[shared]], column[shared], cards[shared])
    types = np.flatnonzero(pools.type_taken > 0)
    position = np.full(pools.type_taken.size, -1, dtype=np.int64)
    position[types] = np.arange(types.size)
    of_type = position[pools.card_type[pool]]
    held = of_type >= 0
    first = sheet.rows.block(-np.inf, pools.type_left[types], types.size)
    sheet.rows.add(first + of_type[held], column[held], cards[held])


def add_limits(sheet: Sheet) -> None:
    """Bound what has a limit over the whole plan."""
    limits, options, columns = sheet.question.limits, sheet.question.options, sheet.columns
    option = sheet.entry_option
    _limit(sheet, columns.entry_price, limits.budget_per_hour)
    power = options.power_w[option] * columns.entry_replicas
    _limit(sheet, power, limits.power_w)
    _limit(sheet, options.idle_power_w[option] * columns.entry_replicas, limits.idle_power_w)
    replicas = (options.counts_as[option] * columns.entry_replicas).astype(np.float64)
    _limit(sheet, replicas, limits.max_replicas)
    if limits.max_spot_share is not None:
        spot = sheet.question.pools.spot[columns.entry_pool].astype(np.float64)
        _limit(sheet, sheet.entry_card_shares * (spot - limits.max_spot_share), 0.0)


def _limit(sheet: Sheet, values: FloatArray, limit: float | None) -> None:
    if limit is None:
        return
    largest = float(np.max(np.abs(values), initial=0.0))
    scale = ROW_SCALE / (limit if limit > 0 else largest or 1.0)
    first = sheet.rows.block(-np.inf, limit * scale, 1)
    row = np.full(values.size, first, dtype=np.int64)
    sheet.rows.add(row, sheet.columns.entry_column, values * scale)
