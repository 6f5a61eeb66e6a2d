"""Sizing: the largest arrival rate at which replicas keep their targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.arrays import BoolArray, FloatArray, IntArray
from queueing.engine.cases import EngineCases
from queueing.engine.decoding import decoding
from queueing.engine.first_token import ttft_mixture
from queueing.engine.requests import Requests
from queueing.engine.rows import take_rows
from queueing.engine.saturation import saturation
from queueing.engine.scene import scene_at
from queueing.engine.states import Full, full
from queueing.engine.targets import EngineTargets
from queueing.engine.tokens import e2e_mixture, itl_mixture
from queueing.roots import last_not_positive

LARGEST_LOAD = 0.999
"""Share of the saturated throughput up to which rates are considered."""
SMALLEST_LOAD = 1e-4
"""Share of it from which on they are: who cannot keep a target there cannot keep it."""
FIRST_LOAD = 0.3
TPS_MARGIN = 0.9
_BLOCK = 2048
_NARROWEST = 5e-4
_WITHIN = 3e-3
"""How close to a target the search ends, as a share of the requests beyond it."""


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


def size_engine(cases: EngineCases, targets: EngineTargets) -> EngineSizing:
    """Return the largest rates at which replicas keep all their targets.

    Cases that make no sense carry nothing.
    """
    usable = np.flatnonzero(cases.usable())
    order = usable[np.argsort(cases.max_batch[usable], kind="stable")]
    none, no = np.zeros(len(cases)), np.zeros(len(cases), dtype=np.bool_)
    answer = (none, none.copy(), none.copy(), no, no.copy())
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        with np.errstate(all="ignore"):
            rows = _size(cases.take(block), targets.take(block))
        for column, part in zip(answer, rows, strict=True):
            column[block] = part
    return EngineSizing(*answer)


def _size(
    cases: EngineCases, targets: EngineTargets
) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray, BoolArray]:
    limit = saturation(cases)
    requests = limit.memory.requests
    top = full(cases, requests, limit)
    rate = limit.throughput_rps
    most = LARGEST_LOAD * np.where(np.isnan(targets.tps), 1.0, TPS_MARGIN) * rate
    usable = np.isfinite(rate) & (rate > 0.0)
    problem = _Problem(cases, requests, top, targets)
    high = np.where(usable, most, 1.0)
    missed, blocking = problem.excess(high)
    rate = high.copy()
    search = usable & ~(missed <= 0.0)
    feasible = usable & ~search
    rows = np.flatnonzero(search)
    low = high.copy()
    kept = np.full(len(high), np.inf)
    # Most keep their targets at a third of the load, and need not be looked for further down.
    for load in (FIRST_LOAD, SMALLEST_LOAD):
        if not len(rows):
            break
        trial = load / LARGEST_LOAD * most[rows]
        value, lost = take_rows(problem, rows).excess(trial)
        good = value <= 0.0
        done = rows[good]
        low[done], kept[done], blocking[done] = trial[good], value[good], lost[good]
        high[rows[~good]], missed[rows[~good]] = trial[~good], value[~good]
        feasible[done] = True
        rows = rows[~good]
    rows = np.flatnonzero(search & feasible)
    if len(rows):
        part = take_rows(problem, rows)
        best, best_lost = low[rows], blocking[rows]

        def evaluate(selected: IntArray, rates: FloatArray) -> FloatArray:
            value, lost = take_rows(part, selected).excess(rates)
            better = (value <= 0.0) & (rates > best[selected])
            best[selected[better]] = rates[better]
            best_lost[selected[better]] = lost[better]
            return value + _WITHIN

        last_not_positive(
            evaluate,
            low[rows],
            high[rows],
            np.minimum(kept[rows] + _WITHIN, 0.0),
            missed[rows] + _WITHIN,
            close_enough=_WITHIN,
            narrowest=_NARROWEST,
        )
        rate[rows], blocking[rows] = best, best_lost
    rate = np.where(feasible, rate, 0.0)
    return (
        rate,
        np.where(feasible, rate * (1.0 - blocking), 0.0),
        np.where(usable, most, 0.0),
        feasible,
        search,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """Replicas and their targets."""

    cases: EngineCases
    requests: Requests
    top: Full
    targets: EngineTargets

    def excess(self, rate_rps: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return how far replicas are beyond their targets at a rate, and blocking."""
        return excess(self.cases, self.requests, self.top, self.targets, rate_rps)


def excess(
    cases: EngineCases,
    requests: Requests,
    top: Full,
    targets: EngineTargets,
    rate_rps: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return how far replicas are beyond their targets at a rate, and blocking.

    Above 0 where a target is missed.
    """
    scene = scene_at(cases, requests, top, rate_rps / 1e3)
    blocking = scene.blocking
    worst = np.full(len(cases), -np.inf)
    limit = targets.max_blocking
    if np.any(~np.isnan(limit)):
        over = np.log(np.maximum(blocking, 1e-300) / np.maximum(limit, 1e-300))
        worst = np.where(np.isnan(limit), worst, over)
    if targets.ttft or targets.e2e:
        first = ttft_mixture(scene)
        for target in targets.ttft:
            worst = np.maximum(worst, target.excess(first))
    if targets.itl or targets.e2e:
        decode = decoding(scene)
        if targets.itl:
            gaps = itl_mixture(decode)
            some = requests.steps > 1e-9
            for target in targets.itl:
                worst = np.maximum(worst, np.where(some, target.excess(gaps), -np.inf))
        if targets.e2e:
            whole = e2e_mixture(scene, decode, first)
            for target in targets.e2e:
                worst = np.maximum(worst, target.excess(whole))
    return worst, blocking
