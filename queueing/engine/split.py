"""The best split of cards between a prefill pool and a decode pool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.arrays import FloatArray, IntArray
from queueing.engine.cases import EngineCases
from queueing.engine.pool_sizing import pools_saturation_rps, size_pools
from queueing.engine.rows import take_rows
from queueing.engine.stations import System, Transfer
from queueing.engine.targets import EngineTargets
from stoker.domain.routing import Router


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """What the splits of a number of cards carry; arrays (splits,), more prefill from row to row.

    Attributes:
        prefill_replicas: replicas of the prefill pool.
        decode_replicas: replicas of the decode pool, as many as the other cards make.
        cards: cards in use.
        rate_rps: largest arrival rate within the targets; 0 where they cannot be kept.
        saturation_rps: largest rate that both pools could carry without targets.
        best: row of the split with the largest rate, of several the one with the fewest cards and
            then the fewest prefill replicas; None where none can keep the targets.
    """

    prefill_replicas: IntArray
    decode_replicas: IntArray
    cards: IntArray
    rate_rps: FloatArray
    saturation_rps: FloatArray
    best: int | None


def best_split(
    prefill: EngineCases,
    decode: EngineCases,
    cards: int,
    prefill_cards_per_replica: int,
    decode_cards_per_replica: int,
    targets: EngineTargets,
    *,
    transfer: Transfer | None = None,
    prefill_router: Router = Router.ROUND_ROBIN,
    decode_router: Router = Router.SHORTEST_QUEUE,
) -> Split:
    """Return what every split of the cards between the pools carries within targets, and the best.

    Args:
        prefill: a replica of the prefill pool and its requests, one case.
        decode: a replica of the decode pool, one case.
        cards: cards for both pools.
        prefill_cards_per_replica: cards of a prefill replica.
        decode_cards_per_replica: cards of a decode replica.
        targets: targets of TTFT, ITL and E2E, and of blocking at the prefill pool, one case.
        transfer: the way of the KV, one case; none takes no time.
        prefill_router: how a request finds its prefill replica.
        decode_router: how it finds its decode replica.

    Raises:
        ValueError: not one case, a number of cards below 1, or too few for a replica of each.
    """
    transfer = Transfer.of(1) if transfer is None else transfer
    for name, count in (
        ("prefill", len(prefill)),
        ("decode", len(decode)),
        ("targets", len(targets)),
        ("transfer", len(transfer.fixed_ms)),
    ):
        if count != 1:
            raise ValueError(f"{name} has {count} cases (allowed: 1)")
    first, second = card_splits(cards, prefill_cards_per_replica, decode_cards_per_replica)
    rows = np.zeros(len(first), dtype=np.int64)
    system = System(
        prefill.take(rows),
        decode.take(rows),
        first.astype(np.float64),
        second.astype(np.float64),
        take_rows(transfer, rows),
        prefill_router,
        decode_router,
    )
    rate = size_pools(system, targets.take(rows)).rate_rps
    most = pools_saturation_rps(system)
    used = first * prefill_cards_per_replica + second * decode_cards_per_replica
    best = best_row(rate, used, first)
    return Split(first, second, used, rate, most, best if rate[best] > 0.0 else None)


def best_row(rate_rps: FloatArray, cards: IntArray, prefill_replicas: IntArray) -> int:
    """Return the split with the largest rate, of several the one with the fewest cards in use.

    Of several of those it is the one with the fewest prefill replicas.
    """
    return int(np.lexsort((prefill_replicas, cards, -rate_rps))[0])


def card_splits(cards: int, first_cards: int, second_cards: int) -> tuple[IntArray, IntArray]:
    """Return the replicas of both pools, for each number of the first as many of the second.

    Args:
        cards: cards for both pools.
        first_cards: cards of a prefill replica.
        second_cards: cards of a decode replica.

    Raises:
        ValueError: a number is below 1, or the cards are too few for a replica of each.
    """
    for name, value in (
        ("prefill_cards_per_replica", first_cards),
        ("decode_cards_per_replica", second_cards),
    ):
        if value < 1:
            raise ValueError(f"{name} is {value} (allowed: 1 or more)")
    least = first_cards + second_cards
    if cards < least:
        raise ValueError(f"cards is {cards} (allowed: {least} or more, a replica of each pool)")
    first = np.arange(1, (cards - second_cards) // first_cards + 1, dtype=np.int64)
    return first, (cards - first * first_cards) // second_cards
