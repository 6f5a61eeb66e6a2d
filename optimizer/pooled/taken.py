"""What a solution takes: one option a server, and its replicas by pool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.pooled.model import PooledModel
from optimizer.table import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Taken:
    """Options taken, sorted by server.

    Attributes:
        option: Options, shape (taken,).
        pool_replicas: Replicas of each in each pool, (taken, pools).
        price: Cost per hour of each, over its pools, (taken,).
        value: Value of each, (taken,).
    """

    option: IntArray
    pool_replicas: IntArray
    price: FloatArray
    value: FloatArray


def read_solution(model: PooledModel, x: FloatArray) -> Taken:
    """Return what a solution takes; replicas of options that it does not take are dropped."""
    columns, question = model.columns, model.question
    options, pools = question.options, question.pools
    whole = np.rint(x[: columns.count]).astype(np.int64)
    chosen = np.unique(columns.option[columns.takes & (whole > 0)])
    place = np.full(options.count, -1, dtype=np.int64)
    place[chosen] = np.arange(chosen.size)
    owner = place[columns.option[columns.entry_column]]
    held = np.flatnonzero((owner >= 0) & (whole[columns.entry_column] > 0))
    units = whole[columns.entry_column[held]]
    replicas = np.zeros((chosen.size, pools.count), dtype=np.int64)
    np.add.at(
        replicas,
        (owner[held], columns.entry_pool[held]),
        units * columns.entry_replicas[held],
    )
    price = np.zeros(chosen.size)
    value = options.constant[chosen].copy()
    np.add.at(price, owner[held], units * columns.entry_price[held])
    np.add.at(value, owner[held], units * columns.entry_value[held])
    value += options.take(chosen).starts(replicas.sum(axis=1))
    return Taken(chosen, replicas, price, value)
