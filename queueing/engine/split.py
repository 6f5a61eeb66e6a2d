"""The best split of cards between a prefill pool and a decode pool."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from queueing.arrays import BoolArray, FloatArray, IntArray
from queueing.engine.cases import EngineCases
from queueing.engine.routing import fleet_saturation_rps
from queueing.engine.sizing import FIRST_LOAD, LARGEST_LOAD, SMALLEST_LOAD, TPS_MARGIN
from queueing.engine.stations import System, Transfer, handover_at
from queueing.engine.targets import EngineTargets
from queueing.roots import last_not_positive
from stoker.domain.routing import Router

_NARROWEST = 1e-4


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
    first, second = _splits(cards, prefill_cards_per_replica, decode_cards_per_replica)
    rows = np.zeros(len(first), dtype=np.int64)
    search = _Search(
        System(
            prefill.take(rows),
            decode.take(rows),
            first.astype(np.float64),
            second.astype(np.float64),
            Transfer(transfer.fixed_ms[rows], transfer.ms_per_token[rows]),
            prefill_router,
            decode_router,
        ),
        targets.take(rows),
    )
    with np.errstate(all="ignore"):
        most = search.saturation_rps()
        rate = _largest_rates(search, most)
    used = first * prefill_cards_per_replica + second * decode_cards_per_replica
    order = np.lexsort((first, used, -rate))
    best = int(order[0]) if rate[order[0]] > 0.0 else None
    return Split(first, second, used, rate, most, best)


def _splits(cards: int, first_cards: int, second_cards: int) -> tuple[IntArray, IntArray]:
    """Return the replicas of both pools, for each number of the first as many of the second.

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


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """Splits and their targets, one of each a case."""

    system: System
    targets: EngineTargets

    def take(self, rows: IntArray) -> _Search:
        """Return some of the splits."""
        system = self.system
        return _Search(
            replace(
                system,
                prefill=system.prefill.take(rows),
                decode=system.decode.take(rows),
                prefill_replicas=system.prefill_replicas[rows],
                decode_replicas=system.decode_replicas[rows],
                transfer=Transfer(
                    system.transfer.fixed_ms[rows], system.transfer.ms_per_token[rows]
                ),
            ),
            self.targets.take(rows),
        )

    def saturation_rps(self) -> FloatArray:
        """Return the largest rates that both pools could carry."""
        first, second = self.system.stages()
        carried = fleet_saturation_rps(second, self.system.decode_replicas)
        most: FloatArray = np.minimum(
            fleet_saturation_rps(first, self.system.prefill_replicas),
            carried / np.maximum(self.system.answers().answering, 1e-12),
        )
        return most

    def excess_of(self, rows: IntArray, rate_rps: FloatArray) -> FloatArray:
        """Return the same as `excess` of some of the splits."""
        return self.take(rows).excess(rate_rps)

    def excess(self, rate_rps: FloatArray) -> FloatArray:
        """Return how far splits are beyond their targets at a rate; above 0 where they miss one."""
        handover, targets = handover_at(self.system, rate_rps / 1e3), self.targets
        worst = np.full(len(targets), -np.inf)
        limit = targets.max_blocking
        over = np.log(np.maximum(handover.first.blocking, 1e-300) / np.maximum(limit, 1e-300))
        worst = np.where(np.isnan(limit), worst, over)
        for target in targets.ttft:
            worst = np.maximum(worst, target.excess(handover.first_token))
        if targets.itl:
            gaps, some = handover.itl(), handover.steps > 1e-9
            for target in targets.itl:
                worst = np.maximum(worst, np.where(some, target.excess(gaps), -np.inf))
        if targets.e2e:
            whole = handover.e2e()
            for target in targets.e2e:
                worst = np.maximum(worst, target.excess(whole))
        return worst


def _largest_rates(search: _Search, saturation_rps: FloatArray) -> FloatArray:
    """Return the largest rates within targets; 0 where there is none."""
    margin = np.where(np.isnan(search.targets.tps), 1.0, TPS_MARGIN)
    most = LARGEST_LOAD * margin * saturation_rps
    usable = search.system.prefill.usable() & search.system.decode.usable()
    usable &= np.isfinite(most) & (most > 0.0)
    most = np.where(usable, most, 1.0)
    missed = search.excess(most)
    rate = np.where(usable & (missed <= 0.0), most, 0.0)
    rows = np.flatnonzero(usable & ~(missed <= 0.0))
    high, high_value = most.copy(), missed
    for load in (FIRST_LOAD, SMALLEST_LOAD):
        if not len(rows):
            break
        trial = load * most[rows]
        part = search.take(rows)
        value = part.excess(trial)
        good: BoolArray = value <= 0.0
        done = rows[good]
        if len(done):
            bracket = part.take(np.flatnonzero(good))
            rate[done] = last_not_positive(
                bracket.excess_of,
                trial[good],
                high[done],
                value[good],
                high_value[done],
                close_enough=0.0,
                narrowest=_NARROWEST,
            )
        high[rows[~good]], high_value[rows[~good]] = trial[~good], value[~good]
        rows = rows[~good]
    return rate
