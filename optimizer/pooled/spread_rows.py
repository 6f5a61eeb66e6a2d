"""Rows of one server: where its replicas stand, and what it survives."""

from __future__ import annotations

import numpy as np

from optimizer.pooled.sheet import Sheet
from optimizer.table import BoolArray, FloatArray, IntArray
from stoker.domain.limits import Survival


def add_spot_shares(sheet: Sheet) -> None:
    """Let no more than a share of a server's replicas be on spot cards."""
    entries, option = sheet.parts()
    share = sheet.question.wishes.spot_share[sheet.question.options.wisher[option]]
    bound = np.unique(option[(share < 1) & _limited(sheet, option)])
    if not bound.size:
        return
    position = np.full(sheet.question.options.count, -1, dtype=np.int64)
    position[bound] = np.arange(bound.size)
    here = position[option] >= 0
    spot = sheet.question.pools.spot[sheet.columns.entry_pool[entries[here]]].astype(np.float64)
    first = sheet.rows.block(-np.inf, 0.0, bound.size)
    sheet.rows.add(
        first + position[option[here]],
        sheet.columns.entry_column[entries[here]],
        spot - share[here],
    )


def _limited(sheet: Sheet, option: IntArray) -> BoolArray:
    """Return the options that are new: what is left as it runs is left where it runs."""
    options = sheet.question.options
    return np.asarray(options.ruled[option] | options.changed[option], dtype=np.bool_)


def add_zones(sheet: Sheet) -> None:
    """Let replicas stand in enough zones, and no zone have more than its share."""
    options, wishes, pools = sheet.question.options, sheet.question.wishes, sheet.question.pools
    entries, option = sheet.parts()
    ruled = options.ruled[option]
    entries, option = entries[ruled], option[ruled]
    column = sheet.columns.entry_column[entries]
    zone = pools.zone[sheet.columns.entry_pool[entries]]
    share = wishes.zone_share[options.wisher[option]]
    _zone_shares(sheet, option, column, zone, share)
    many = wishes.zones[options.wisher[option]] > 1
    if not np.any(many):
        return
    option, column, zone = option[many], column[many], zone[many]
    cells, position = np.unique(option * pools.zones + zone, return_inverse=True)
    mark = sheet.new_columns(np.ones(cells.size))
    first = sheet.rows.block(-np.inf, 0.0, cells.size)
    sheet.rows.add(first + np.arange(cells.size), mark, 1.0)
    sheet.rows.add(first + position, column, -1.0)
    owner = cells // pools.zones
    known, place = np.unique(owner, return_inverse=True)
    first = sheet.rows.block(0.0, np.inf, known.size)
    sheet.rows.add(first + place, mark, 1.0)
    asked = wishes.zones[options.wisher[known]]
    sheet.rows.add(first + np.arange(known.size), sheet.choosing()[known], -asked)


def _zone_shares(
    sheet: Sheet, option: IntArray, column: IntArray, zone: IntArray, share: FloatArray
) -> None:
    bound = share < 1
    if not np.any(bound):
        return
    zones = sheet.question.pools.zones
    option, column, zone, share = option[bound], column[bound], zone[bound], share[bound]
    cells, position = np.unique(option * zones + zone, return_inverse=True)
    first = sheet.rows.block(-np.inf, 0.0, cells.size)
    sheet.rows.add(first + position, column, 1.0)
    sheet.each_of_option(first, cells // zones, option, column, -share)


def add_survival(sheet: Sheet) -> None:
    """Let the replicas left after the loss of any one zone or node be enough.

    That of a replica is a number of replicas, which the options hold already.
    """
    survive = sheet.question.limits.headroom.survive
    if survive not in (Survival.ZONE, Survival.NODE):
        return
    options, pools = sheet.question.options, sheet.question.pools
    entries, option = sheet.parts()
    ruled = options.remain[option] > 0
    entries, option = entries[ruled], option[ruled]
    column = sheet.columns.entry_column[entries]
    pool = sheet.columns.entry_pool[entries]
    if survive is Survival.ZONE:
        zone = pools.zone[pool]
        cells, position = np.unique(option * pools.zones + zone, return_inverse=True)
        owner = cells // pools.zones
        first = sheet.rows.block(0.0, np.inf, cells.size)
        sheet.each_of_option(first, owner, option, column, np.ones(option.size))
        sheet.rows.add(first + position, column, -1.0)
        chooser = sheet.choosing()[owner]
        sheet.rows.add(first + np.arange(cells.size), chooser, -options.remain[owner])
        return
    _node_survival(sheet, option, column, pool)


def _node_survival(sheet: Sheet, option: IntArray, column: IntArray, pool: IntArray) -> None:
    """Let a node take with it as many replicas as fit it, or all that the pool has.

    w = 1 says that all replicas in the pool may go; otherwise those that fit a node may.
    """
    options, pools = sheet.question.options, sheet.question.pools
    whole = sheet.new_columns(np.ones(option.size))
    rows = np.arange(option.size)
    chooser = sheet.choosing()[option]
    remain = options.remain[option].astype(np.float64)
    on_node = np.maximum(1, options.take(option).held_by(pools.node_cards[pool]))
    # All of the pool gone: total - x >= remain y - remain (1 - w).
    first = sheet.rows.block(-remain, np.inf, option.size)
    sheet.each_of_option(first, option, option, column, np.ones(option.size))
    sheet.rows.add(first + rows, column, -1.0)
    sheet.rows.add(first + rows, chooser, -remain)
    sheet.rows.add(first + rows, whole, -remain)
    # A full node gone: total >= (remain + on_node) y - on_node w.
    first = sheet.rows.block(0.0, np.inf, option.size)
    sheet.each_of_option(first, option, option, column, np.ones(option.size))
    sheet.rows.add(first + rows, chooser, -(remain + on_node))
    sheet.rows.add(first + rows, whole, on_node)
