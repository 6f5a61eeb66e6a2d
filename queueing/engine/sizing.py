"""Sizing: the largest arrival rate at which replicas keep their targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from queueing.arrays import BoolArray, FloatArray, IntArray
from queueing.engine.cases import EngineCases
from queueing.engine.correction import Networks, careful, networks
from queueing.engine.excess import DOUBT, DOUBTFUL, excess
from queueing.engine.rows import take_rows
from queueing.engine.saturation import saturation
from queueing.engine.scene import scene_at
from queueing.engine.states import Full, full
from queueing.engine.targets import EngineTargets
from queueing.roots import last_not_positive

LARGEST_LOAD = 0.999
"""Share of the saturated throughput up to which rates are considered."""
SMALLEST_LOAD = 1e-4
"""Share of it from which on they are: who cannot keep a target there cannot keep it."""
LIGHT_LOAD = 0.1
"""Share of it that is tried before the smallest one."""
FIRST_LOAD = 0.75
"""Share of it that is tried first."""
TPS_MARGIN = 0.9
_STEP = 0.5
"""How far from the first load the second is for an excess of one, in the logit of the load. Most
excesses rise by 1.5 to 3 over one of it, so that the rate searched is mostly between the two, and
not far from the second."""
_FURTHER = 1.3
"""How far from the second load the third is, in the distance to where the excess would be none."""
_LEAST_STEP, _MOST_STEP = 0.1, 2.0
_BEND = 0.03
"""Share of its cube by which an excess is made straight: it hardly changes any more once nearly
none or nearly all requests are beyond a target."""
_HOPELESS = 2.8
"""Excess that tells no more than that nearly all requests are beyond a 95th percentile."""
_WITHIN = 3e-3
"""How close to a target the search ends, as a share of the requests beyond it."""
_SETTLED = 3.0 * _WITHIN
"""How close to a target a search mostly ends: margins are looked at there alone."""
_NARROWEST = 5e-4
_NOTHING = 1e-12
"""Share of the arrivals turned away that is none."""
_TOGETHER = 32_768
"""Cases that are searched in step: the last ones in search are still many."""
_BLOCK = 1024
"""Cases that are evaluated at once: the arrays of more would neither stay in fast memory, nor in
the process from one to the next."""


@dataclass(frozen=True, slots=True, eq=False)
class EngineSizing:
    """What replicas carry within their targets; arrays (cases,).

    Attributes:
        rate_rps: largest arrival rate within the targets; 0 where they cannot be kept.
        throughput_rps: requests completed at that rate.
        max_rate_rps: largest rate considered.
        feasible: whether the targets can be kept at all.
        limited: whether a target, and not saturation, decides.
    """

    rate_rps: FloatArray
    throughput_rps: FloatArray
    max_rate_rps: FloatArray
    feasible: BoolArray
    limited: BoolArray


def size_engine(
    cases: EngineCases,
    targets: EngineTargets,
    *,
    corrected: bool = True,
    fitted: Networks | None = None,
) -> EngineSizing:
    """Return the largest rates at which replicas keep all their targets.

    Cases that make no sense carry nothing.

    Args:
        cases: the replicas.
        targets: what they are to keep.
        corrected: whether to correct latencies (`queueing.engine.correction`), and to take the
            margins off the rates that this asks for.
        fitted: networks of the correction; None for those of the package.
    """
    usable = np.flatnonzero(cases.usable())
    order = usable[np.argsort(cases.max_batch[usable], kind="stable")]
    correction = (fitted or networks()) if corrected else None
    none, no = np.zeros(len(cases)), np.zeros(len(cases), dtype=np.bool_)
    answer = (none, none.copy(), none.copy(), no, no.copy())
    for start in range(0, len(order), _TOGETHER):
        some = order[start : start + _TOGETHER]
        with np.errstate(all="ignore"):
            rows = _size(cases.take(some), targets.take(some), correction)
        for column, part in zip(answer, rows, strict=True):
            column[some] = part
    return EngineSizing(*answer)


def _size(
    cases: EngineCases, targets: EngineTargets, correction: Networks | None
) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray, BoolArray]:
    limit = saturation(cases)
    usable = np.isfinite(limit.throughput_rps) & (limit.throughput_rps > 0.0)
    margin = np.where(np.isnan(targets.tps), 1.0, TPS_MARGIN)
    carried = np.where(usable, margin * limit.throughput_rps, 1.0)
    most, least = LARGEST_LOAD * carried, SMALLEST_LOAD * carried
    top = full(cases, limit.memory.requests, limit)
    search = _Search.of(cases, top, targets, correction)
    rows = np.flatnonzero(usable)
    first = search.evaluate(rows, FIRST_LOAD * carried[rows])
    again = search.unsettled(rows)
    rows, first = rows[again], first[again]
    load = _second_load(first)
    second = search.evaluate(rows, load * carried[rows])
    # Whoever kept the targets both times, or missed them, is tried further on, then at the end of
    # the range.
    outside = np.where(second <= 0.0, load < LARGEST_LOAD, load > SMALLEST_LOAD)
    further = search.unsettled(rows) & outside & ((first <= 0.0) == (second <= 0.0))
    third = _third_load(first[further], load[further], second[further])
    search.evaluate(rows[further], third * carried[rows[further]])
    rows = rows[search.unsettled(rows)]
    # Corrected latencies need not fall all the way down: look at a light load first.
    light = LIGHT_LOAD * carried[rows]
    lower = (search.low[rows] <= 0.0) & (search.high[rows] > light)
    search.evaluate(rows[lower], light[lower])
    rising = np.isinf(search.high[rows]) & (search.low[rows] < most[rows])
    falling = (search.low[rows] <= 0.0) & (search.high[rows] > least[rows])
    ends, up = rows[rising | falling], rising[rising | falling]
    search.evaluate(ends, np.where(up, most[ends], least[ends]))
    rows = rows[search.unsettled(rows)]
    search.narrow(rows[(search.low[rows] > 0.0) & np.isfinite(search.high[rows])])
    carefully = search.carefully()
    return (
        carefully,
        carefully * (1.0 - search.blocking),
        np.where(usable, most, 0.0),
        search.low > 0.0,
        usable & (carefully < most),
    )


def _second_load(value: FloatArray) -> FloatArray:
    """Return the load to try after the first one, where targets were missed by some excess."""
    step = np.clip(_STEP * np.abs(value), _LEAST_STEP, _MOST_STEP)
    load = expit(logit(FIRST_LOAD) + np.where(value <= 0.0, step, -step))
    load = np.where(np.isneginf(value), LARGEST_LOAD, load)
    return np.where(value > _HOPELESS, SMALLEST_LOAD, load)


def _third_load(first: FloatArray, load: FloatArray, second: FloatArray) -> FloatArray:
    """Return the load to try where the second one has an excess of the same sign as the first."""
    place, value = logit(load), _straight(second)
    rise = (value - _straight(first)) / (place - logit(FIRST_LOAD))
    step = np.where(rise > 0.0, _FURTHER * np.abs(value) / rise, _MOST_STEP)
    step = np.clip(step, _LEAST_STEP, _MOST_STEP)
    further = expit(place + np.where(value <= 0.0, step, -step))
    third: FloatArray = np.clip(further, SMALLEST_LOAD, LARGEST_LOAD)
    return third


def _straight(excess: FloatArray) -> FloatArray:
    """Return an excess that rises more evenly with the load; close to none it stays as it is."""
    straight: FloatArray = excess * (1.0 + _BEND * excess * excess)
    return straight


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """Replicas, their targets, and what is known so far; arrays (cases,), written as it goes.

    Attributes:
        cases: the replicas.
        top: what they do with every slot taken.
        targets: their targets.
        correction: what corrects latencies; None for nothing.
        low: largest rate found to keep the targets; 0 where none is.
        high: smallest rate found to miss them; infinite where none is.
        low_excess: how far replicas are beyond their targets at the one.
        high_excess: and at the other.
        blocking: share of the arrivals turned away at the largest rate that keeps the targets.
        margin: log of what to divide that rate by; NaN where it was not looked at.
    """

    cases: EngineCases
    top: Full
    targets: EngineTargets
    correction: Networks | None
    low: FloatArray
    high: FloatArray
    low_excess: FloatArray
    high_excess: FloatArray
    blocking: FloatArray
    margin: FloatArray

    @classmethod
    def of(
        cls, cases: EngineCases, top: Full, targets: EngineTargets, correction: Networks | None
    ) -> _Search:
        """Return a search that knows of no rate."""
        count = len(cases)
        none, all_ = np.zeros(count), np.full(count, np.inf)
        return cls(
            cases,
            top,
            targets,
            correction,
            low=none,
            high=all_,
            low_excess=-all_,
            high_excess=all_.copy(),
            blocking=none.copy(),
            margin=none.copy(),
        )

    def evaluate(self, rows: IntArray, rate_rps: FloatArray) -> FloatArray:
        """Return how far some of the replicas are beyond their targets at rates, and note it.

        The rates are to be above all that are known to keep them, and below those that miss them.
        """
        value, lost, margin = np.empty((3, len(rows)))
        for start in range(0, len(rows), _BLOCK):
            part = slice(start, start + _BLOCK)
            cases, targets = self.cases.take(rows[part]), self.targets.take(rows[part])
            top = take_rows(self.top, rows[part])
            found = excess(
                cases,
                top.memory.requests,
                top,
                targets,
                rate_rps[part],
                self.correction,
                kept_within=_SETTLED,
            )
            value[part], lost[part] = found.worst, found.blocking
            margin[part] = found.margin(np.zeros(len(cases), dtype=np.bool_))
        kept = value <= 0.0
        good, bad = rows[kept], rows[~kept]
        self.low[good], self.low_excess[good] = rate_rps[kept], value[kept]
        self.blocking[good], self.margin[good] = lost[kept], margin[kept]
        self.high[bad], self.high_excess[bad] = rate_rps[~kept], value[~kept]
        return value

    def unsettled(self, rows: IntArray) -> BoolArray:
        """Tell which of the replicas may carry more than the largest rate known."""
        unsettled: BoolArray = self.low_excess[rows] < -2.0 * _WITHIN
        return unsettled

    def carefully(self) -> FloatArray:
        """Return the largest rates known to keep the targets, less their margins.

        What is not known yet of margins, and blocking at the lower rate, is looked at here.
        """
        for rows in _blocks(np.flatnonzero((self.low > 0.0) & np.isnan(self.margin))):
            cases, top = self.cases.take(rows), take_rows(self.top, rows)
            requests, targets = top.memory.requests, self.targets.take(rows)
            found = excess(cases, requests, top, targets, self.low[rows], self.correction)
            self.margin[rows] = found.margin(np.isfinite(self.high[rows]))
        doubts = None if self.correction is None else careful(self.correction)
        if doubts is not None:
            for rows in _blocks(np.flatnonzero((self.low > 0.0) & (self.margin > 0.0))):
                cases, top = self.cases.take(rows), take_rows(self.top, rows)
                requests, targets = top.memory.requests, self.targets.take(rows)
                rate = self.low[rows] * np.exp(-DOUBT)
                found = excess(cases, requests, top, targets, rate, doubts)
                in_doubt = rows[found.worst > 0.0]
                self.margin[in_doubt] = np.maximum(self.margin[in_doubt], DOUBTFUL)
        rate = np.where(self.low > 0.0, self.low * np.exp(-self.margin), 0.0)
        for rows in _blocks(np.flatnonzero((rate < self.low) & (self.blocking > _NOTHING))):
            cases, top = self.cases.take(rows), take_rows(self.top, rows)
            self.blocking[rows] = scene_at(
                cases, top.memory.requests, top, rate[rows] / 1e3
            ).blocking
        return rate

    def narrow(self, rows: IntArray) -> None:
        """Find the largest rates of replicas of which one rate is known on either side."""

        def evaluate(selected: IntArray, rates: FloatArray) -> FloatArray:
            return _straight(self.evaluate(rows[selected], rates)) + _WITHIN

        last_not_positive(
            evaluate,
            self.low[rows],
            self.high[rows],
            _straight(self.low_excess[rows]) + _WITHIN,
            _straight(self.high_excess[rows]) + _WITHIN,
            close_enough=_WITHIN,
            narrowest=_NARROWEST,
        )


def _blocks(rows: IntArray) -> Iterator[IntArray]:
    """Yield rows that are evaluated at once."""
    for start in range(0, len(rows), _BLOCK):
        yield rows[start : start + _BLOCK]
