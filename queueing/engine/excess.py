"""How far replicas are beyond their targets at a rate, as expected and carefully.

A rate that is sized to a target is as wrong as the latency is flat: where hardly any load lies
between a latency that is kept and one that is not, a percent of it is many percents of the rate.
So what a careful promise takes off is told as a share of the rate (`Factors.margins`), not of the
latency: the rate so divided keeps the target nearly always (docs/engine.md, "The correction").
Where a latency may be far higher than expected such a margin cannot be told: the rate is in doubt,
and much more is taken off it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from queueing.arrays import BoolArray, FloatArray, IntArray
from queueing.engine.cases import EngineCases
from queueing.engine.correction import Corrector, Networks, careful, networks
from queueing.engine.decoding import decoding
from queueing.engine.factors import Factors
from queueing.engine.first_token import ttft_mixture
from queueing.engine.mixtures import Mixture
from queueing.engine.requests import Requests
from queueing.engine.rows import take_rows
from queueing.engine.scene import scene_at
from queueing.engine.states import Full
from queueing.engine.targets import EngineTargets, LatencyTarget
from queueing.engine.tokens import e2e_mixture, itl_mixture

Name = Literal["ttft", "itl", "e2e"]

DOUBT = 0.3
"""Log of what a rate is divided by to see whether it is in doubt: it is where a latency that few
exceed misses a target even there."""
DOUBTFUL = 0.5
"""Log of what a rate in doubt is divided by at least."""
_STEPS = 5
"""Steps in which the largest rate within targets is looked for above a given one."""
_RISE = 2.0
"""By how much an excess rises at least with the log of the rate, mostly."""


@dataclass(frozen=True, slots=True, eq=False)
class LatencyExcess:
    """How far one latency is beyond its targets; arrays (cases,).

    Attributes:
        name: which latency.
        worst: above 0 where a target is missed, as expected; minus infinity without target.
        margin: log of what a rate sized to the target is to be divided by, to be careful; NaN where
            it was not asked for.
    """

    name: Name
    worst: FloatArray
    margin: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Excess:
    """How far replicas are beyond their targets at a rate; arrays (cases,).

    Attributes:
        latencies: the latencies that have targets.
        over: log of blocking over its bound; minus infinity where there is none.
        blocking: share of the arrivals turned away.
    """

    latencies: tuple[LatencyExcess, ...]
    over: FloatArray
    blocking: FloatArray

    @property
    def worst(self) -> FloatArray:
        """Above 0 where any target is missed, as expected."""
        worst = self.over
        for latency in self.latencies:
            worst = np.maximum(worst, latency.worst)
        return worst

    def margin(self, limited: BoolArray) -> FloatArray:
        """Return the log of what the rate is to be divided by.

        A latency that would miss its targets at a higher rate than the others has a part of its
        margin, or all of it, already. NaN where margins were not asked for.

        Args:
            limited: of which cases the rate is the largest within the targets, array (cases,);
                the others are kept from more by what they can carry at all.
        """
        margin, most = np.zeros(len(self.over)), np.where(limited, self.worst, 0.0)
        for latency in self.latencies:
            # Who has no target has no margin, and minus infinity less itself is none.
            apart = np.where(np.isneginf(latency.worst), -np.inf, latency.worst - most)
            left = latency.margin + np.minimum(apart, 0.0) / _RISE
            margin = np.maximum(margin, left)
        return margin


def excess(
    cases: EngineCases,
    requests: Requests,
    top: Full,
    targets: EngineTargets,
    rate_rps: FloatArray,
    correction: Networks | None,
    kept_within: float = np.inf,
) -> Excess:
    """Return how far replicas are beyond their targets at a rate, and what margins it takes.

    Args:
        cases: the replicas.
        requests: what they are asked.
        top: what they do with every slot taken.
        targets: their targets.
        rate_rps: the rate, array (cases,).
        correction: what corrects the latencies; None for the formulas alone, without margins.
        kept_within: margins are told of those that keep their targets, and by no more than this.
    """
    scene = scene_at(cases, requests, top, rate_rps / 1e3)
    blocking, limit = scene.blocking, targets.max_blocking
    over = np.full(len(cases), -np.inf)
    if np.any(~np.isnan(limit)):
        lost = np.log(np.maximum(blocking, 1e-300) / np.maximum(limit, 1e-300))
        over = np.where(np.isnan(limit), over, lost)
    known = None if correction is None else Corrector(scene, correction, margins=True)
    asked: list[tuple[Name, tuple[LatencyTarget, ...], Mixture, Factors | None]] = []
    if targets.ttft or targets.e2e:
        first = ttft_mixture(scene)
    if targets.itl or targets.e2e:
        decode = decoding(scene)
    if targets.ttft:
        asked.append(("ttft", targets.ttft, first, None if known is None else known.ttft(first)))
    if targets.itl:
        gaps = itl_mixture(decode)
        factors = None if known is None else known.itl(gaps, decode)
        some = requests.steps > 1e-9
        asked.append(("itl", tuple(each.where(some) for each in targets.itl), gaps, factors))
    if targets.e2e:
        whole = e2e_mixture(scene, decode, first)
        factors = None if known is None else known.e2e(whole, decode)
        asked.append(("e2e", targets.e2e, whole, factors))
    beyond = [
        [each.excess(mixture, factors) for each in some] for _, some, mixture, factors in asked
    ]
    worst = np.max([over, *(each for some in beyond for each in some)], axis=0)
    rows = np.flatnonzero((worst <= 0.0) & (worst >= -kept_within))
    return Excess(
        tuple(
            _latency(name, some, factors, each, rows)
            for (name, some, _, factors), each in zip(asked, beyond, strict=True)
        ),
        over,
        blocking,
    )


def careful_excess(
    cases: EngineCases,
    requests: Requests,
    top: Full,
    targets: EngineTargets,
    rate_rps: FloatArray,
    most_rps: FloatArray,
) -> FloatArray:
    """Return how far replicas are beyond their targets at a rate, margins included.

    It is not above 0 where every latency would keep its targets, as expected, at the rate times
    its margin, and is not in doubt there, or would keep them at the rate times what is taken off
    rates in doubt.

    Args:
        cases: the replicas.
        requests: what they are asked.
        top: what they do with every slot taken.
        targets: their targets.
        rate_rps: the rate, array (cases,).
        most_rps: largest rate that is looked at, for the one with the margin; array (cases,).
    """
    correction = networks()
    doubts = careful(correction)
    limit = np.maximum(most_rps, rate_rps)
    expected = excess(cases, requests, top, targets, rate_rps, correction)
    worst = expected.worst.copy()
    for latency in expected.latencies:
        # Who misses a target as it is needs no margin to do so.
        rows = np.flatnonzero(latency.margin > 0.0)
        margin = latency.margin[rows]
        only = targets.only(latency.name)

        def at(
            some: IntArray,
            log: FloatArray,
            correction: Networks | None = correction,
            only: EngineTargets = only,
            rows: IntArray = rows,
        ) -> FloatArray:
            if not len(some):
                return np.empty(0)
            own = rows[some]
            rate = np.minimum(rate_rps[own] * np.exp(log), limit[own])
            of = (cases.take(own), take_rows(requests, own), take_rows(top, own), only.take(own))
            return excess(*of, rate, correction).worst

        found = at(np.arange(len(rows)), margin)
        if doubts is not None:
            largest, kept_far = _largest(at, margin, found)
            in_doubt = np.flatnonzero(~kept_far)
            doubtful = at(in_doubt, largest[in_doubt] - DOUBT, doubts)
            found[in_doubt] = np.maximum(found[in_doubt], doubtful)
        worst[rows] = np.maximum(worst[rows], found)
    return worst


def _largest(
    at: Callable[[IntArray, FloatArray], FloatArray], margin: FloatArray, found: FloatArray
) -> tuple[FloatArray, BoolArray]:
    """Return which multiple of a rate is the largest within targets, and whether it is far above.

    Args:
        at: tells how far some of the replicas are beyond their targets, by the log of the multiple.
        margin: log of the least multiple, array (cases,).
        found: what `at` tells there.

    Returns:
        The log of the multiple, up to what is taken off rates in doubt; and whether targets are
        kept even there.
    """
    low, value, largest = margin.copy(), found.copy(), margin.copy()
    far, at_far = np.maximum(margin, DOUBTFUL), np.full(len(margin), np.inf)
    open_ = np.flatnonzero(found <= 0.0)
    at_far[open_] = at(open_, far[open_])
    kept_far = at_far <= 0.0
    open_ = open_[~kept_far[open_]]
    for step in range(1, _STEPS + 1):
        high = margin[open_] + (far[open_] - margin[open_]) * step / _STEPS
        beyond = at(open_, high) if step < _STEPS else at_far[open_]
        crossed = beyond > 0.0
        with np.errstate(invalid="ignore"):
            share = np.clip(np.nan_to_num(-value[open_] / (beyond - value[open_])), 0.0, 1.0)
        between = low[open_] + share * (high - low[open_])
        largest[open_[crossed]] = between[crossed]
        low[open_], value[open_] = high, beyond
        open_ = open_[~crossed]
    return largest, kept_far


def _latency(
    name: Name,
    targets: tuple[LatencyTarget, ...],
    factors: Factors | None,
    beyond: list[FloatArray],
    rows: IntArray,
) -> LatencyExcess:
    """Return how far a latency is beyond its worst target, with the margin of that in some rows."""
    worst = np.max(beyond, axis=0)
    margin = np.full(len(worst), np.nan)
    margin[rows] = 0.0
    for target, each in zip(targets, beyond, strict=True):
        deciding = rows[each[rows] == worst[rows]]
        margin[deciding] = np.maximum(margin[deciding], target.margin(factors, deciding))
    return LatencyExcess(name, worst, margin)
