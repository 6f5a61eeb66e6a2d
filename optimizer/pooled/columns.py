"""Columns of the model: taking an option, and replicas of it in a pool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.pooled.question import Question
from optimizer.table import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Columns:
    """What columns stand for; arrays of shape (columns,) unless said otherwise.

    A column takes an option, or adds a replica of it in a pool, or takes it with all its replicas.

    Attributes:
        option: Option of the column.
        takes: Whether the column takes the option when 1; other columns add replicas.
        upper: Upper bound; the lower is 0 and all are integer.
        split: Whether the replicas of an option have columns of their own, (options,).
        entry_column: Columns that hold replicas, shape (entries,).
        entry_pool: The pool that they stand in, shape (entries,).
        entry_replicas: Replicas for each unit of the column, shape (entries,).
        entry_price: Cost per hour for each unit of the column, shape (entries,).
        entry_value: Value for each unit of the column, shape (entries,).
    """

    option: IntArray
    takes: BoolArray
    upper: FloatArray
    split: BoolArray
    entry_column: IntArray
    entry_pool: IntArray
    entry_replicas: IntArray
    entry_price: FloatArray
    entry_value: FloatArray

    @property
    def count(self) -> int:
        """Number of columns."""
        return self.option.size


def split_columns(question: Question) -> Columns:
    """Return a column for every option, and one for each of its pools where it has several.

    An option with one pool and a fixed number of replicas is a single column: integer replicas
    beside a binary choice are what solvers find hard.
    """
    options, pairs = question.options, question.pairs
    choices = np.bincount(pairs.option, minlength=options.count)
    split = (choices > 1) | ((choices == 1) & (options.most > options.least))
    # A part on spot cards alone is for the row of its share to refuse.
    share = question.wishes.spot_share[options.wisher[pairs.option]]
    split[pairs.option[question.pools.spot[pairs.pool] & (share < 1)]] = True
    whole = np.flatnonzero(~split[pairs.option])
    parts = np.flatnonzero(split[pairs.option])
    first = options.count
    option_of_part = pairs.option[parts]
    replicas = options.least[pairs.option[whole]]
    return Columns(
        option=np.concatenate([np.arange(options.count), option_of_part]),
        takes=np.arange(options.count + parts.size) < options.count,
        upper=np.concatenate(
            [np.ones(options.count), np.minimum(pairs.room[parts], options.most[option_of_part])]
        ).astype(np.float64),
        split=split,
        entry_column=np.concatenate([pairs.option[whole], first + np.arange(parts.size)]),
        entry_pool=np.concatenate([pairs.pool[whole], pairs.pool[parts]]),
        entry_replicas=np.concatenate([replicas, np.ones(parts.size, dtype=np.int64)]),
        entry_price=np.concatenate([replicas * pairs.price[whole], pairs.price[parts]]),
        entry_value=np.concatenate([replicas * pairs.value[whole], pairs.value[parts]]),
    )
