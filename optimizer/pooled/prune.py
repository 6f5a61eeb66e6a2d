"""Options that no best plan needs, because another one of the same server is never worse."""

from __future__ import annotations

import numpy as np

from optimizer.pooled.question import Question
from optimizer.table import BoolArray, FloatArray, IntArray
from stoker.domain.limits import ObjectiveName, Survival


def needed_options(question: Question) -> IntArray:
    """Return the options that serve in full and that no other one beats, and all the rest.

    Option A beats B, of the same server and card type, where in any plan with B as many of the
    replicas, or all of them, can be exchanged for A's pool by pool, so that every limit still
    holds and no objective is worse:

    * A takes no more cards a replica, no more replicas, costs, weighs, draws no more, and uses no
      more of its target.
    * Where replicas are spread by rules, or counts of cards appear on both sides of a limit (the
      share of spot cards), A's replicas are as many as B's: with fewer, the rest might break them.
    * Where the loss of a node is survived, or spot cards are limited by share over the plan, A's
      replicas take as many cards as B's: smaller ones would lose more with a node.
    * Where there is but one pool to take, the totals are compared instead: few large replicas may
      stand for many small ones.

    Of equal options the first stays. With best effort in the model nothing is pruned: an option
    that is never taken in full may still be taken in part.
    """
    options = question.options
    everything = np.arange(options.count)
    if question.objectives.includes(ObjectiveName.FAIRNESS) or not options.count:
        return everything
    # A set of servers is exchanged for nothing.
    wanted = np.flatnonzero(options.serves & (options.cards_per_replica > 0) & ~options.shared)
    if not wanted.size:
        return everything
    types = int(options.card_type.max()) + 1
    key = options.server[wanted] * types + options.card_type[wanted]
    order = np.argsort(key, kind="stable")
    wanted, key = wanted[order], key[order]
    most, equal = _compared(question, wanted)
    beaten = np.zeros(wanted.size, dtype=np.bool_)
    largest = int(np.bincount(np.unique(key, return_inverse=True)[1]).max())
    for step in range(1, largest):
        first = np.flatnonzero(key[:-step] == key[step:])
        second = first + step
        same = np.all(equal[first] == equal[second], axis=1)
        ahead = same & np.all(most[first] <= most[second], axis=1)
        behind = same & np.all(most[second] <= most[first], axis=1) & ~ahead
        beaten[second[ahead]] = True
        beaten[first[behind]] = True
    keep = np.ones(options.count, dtype=np.bool_)
    keep[wanted[beaten]] = False
    return np.flatnonzero(keep)


def _compared(question: Question, rows: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return what must not be more, and what must be equal, for one option to beat another.

    Both of shape (rows, attributes).
    """
    options, limits, wishes = question.options, question.limits, question.wishes
    server = options.server[rows]
    least, cards = options.least[rows], options.cards_per_replica[rows]
    spot_counted = limits.max_spot_share is not None
    ruled = (
        options.grows[rows]
        | (wishes.zones[server] > 1)
        | (wishes.zone_share[server] < 1)
        | spot_counted
    )
    by_node = spot_counted or limits.headroom.survive is Survival.NODE
    like = np.zeros(rows.size)
    if question.places is not None:
        # Smaller replicas fit more nodes, and larger ones leave more room: only alike ones compare.
        like = question.places.shapes.like[options.row[rows]].astype(np.float64)
        by_node = True
    single = _single_pool(question, rows) & ~ruled
    replicas = least.astype(np.float64)
    # Per replica where pools differ, in total where there is only one.
    factor = np.where(single, replicas, 1.0)
    value = options.unit_cost[rows] * options.weight[rows]
    # With several pools prices may be any share of these three; with one, value is a sum.
    price, total_value = _only_pool_worth(question, rows, single)
    limited = _relevant(question)
    grows = options.grows[rows]
    known_starts = np.where(grows, 0.0, options.starts(options.least)[rows])
    columns: list[tuple[FloatArray, bool]] = [
        ((cards * factor).astype(np.float64), True),
        (np.where(single, price, options.unit_cost[rows]), True),
        (np.where(single, total_value, value), True),
        (np.where(single, 0.0, options.weight[rows]), True),
        (np.where(single, 0.0, options.constant[rows] + known_starts), True),
        (np.where(grows, options.start_cost[rows], 0.0), True),
        (np.where(grows, -options.running[rows], 0).astype(np.float64), True),
        (np.where(single & ~limited["replicas"], 0.0, replicas), True),
        ((options.counts_as[rows] * factor).astype(np.float64), limited["replicas"]),
        (options.power_w[rows] * factor, limited["power"]),
        (options.idle_power_w[rows] * factor, limited["idle"]),
        (options.target_use[rows], limited["slack"]),
        (options.changed[rows].astype(np.float64), limited["changes"]),
        (-options.most[rows].astype(np.float64) * ruled, True),
    ]
    most = np.column_stack([np.where(np.isfinite(c), c, np.inf) for c, asked in columns if asked])
    equal = np.column_stack(
        [
            single.astype(np.float64),
            np.where(ruled, replicas, -1.0),
            np.where(ruled, options.remain[rows], -1.0),
            np.where(by_node, cards, -1.0),
            options.in_place[rows].astype(np.float64),
            options.kind[rows].astype(np.float64),
            like,
        ]
    )
    return most, equal


def _relevant(question: Question) -> dict[str, bool]:
    """Return which attributes a limit or an objective looks at."""
    limits, objectives = question.limits, question.objectives
    return {
        "replicas": limits.max_replicas is not None,
        "power": limits.power_w is not None or objectives.includes(ObjectiveName.ENERGY),
        "idle": limits.idle_power_w is not None,
        "slack": objectives.includes(ObjectiveName.SLO_SLACK),
        "changes": limits.max_changes is not None or objectives.includes(ObjectiveName.CHANGES),
    }


def _single_pool(question: Question, rows: IntArray) -> BoolArray:
    """Return the options that are alike in having one and the same pool to take, all of it open."""
    pools, wishes, options = question.pools, question.wishes, question.options
    types = int(pools.card_type.max(initial=-1)) + 1
    of_type = np.zeros((pools.count, max(types, 1)), dtype=np.int64)
    of_type[np.arange(pools.count), pools.card_type] = 1
    usable = wishes.allowed.astype(np.int64) @ of_type
    known = options.card_type[rows] < types
    counted = usable[options.server[rows], np.where(known, options.card_type[rows], 0)]
    return np.asarray(known & (counted == 1), dtype=np.bool_)


def _only_pool_worth(
    question: Question, rows: IntArray, single: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return cost and value in full of options with one pool; 0 for others."""
    options, pairs = question.options, question.pairs
    price, value = np.zeros(options.count), np.zeros(options.count)
    price[pairs.option] = pairs.price
    value[pairs.option] = pairs.value
    count = options.least[rows]
    total = options.constant[rows] + options.starts(options.least)[rows] + count * value[rows]
    return np.where(single, count * price[rows], 0.0), np.where(single, total, 0.0)
