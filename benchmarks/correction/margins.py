"""Examples of margins: what sizing to a latency that was simulated gives away or risks.

A replica that was simulated at a rate keeps a target of what came out there just so. Sized to that
target, it gets another rate; the log of the one over the other is the error of sizing, in the unit
in which a margin is taken. Sizing is by networks that have not seen the example: by what they have
learned by heart they would look too good.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from benchmarks.correction.examples import Example
from benchmarks.correction.folds import Folds
from benchmarks.correction.learning import Lesson, averaged, fitted
from benchmarks.correction.table import FIGURES, Table, analysed, together
from benchmarks.fidelity.engine import cases_of
from benchmarks.fidelity.sizing import TOLERANCE
from queueing.engine import EngineTargets, LatencyTarget, analyze_engine, size_engine
from queueing.engine.cases import EngineCases
from queueing.engine.factors import KNOTS
from queueing.engine.network import Network

Array = npt.NDArray[np.float64]

LESSON = Lesson(hidden=(64, 64, 64), passes=20, rate=3e-3, decay=0.5, high=0.96)
"""Share of the sized rates that keep the target by what the networks tell. Weights decay fast: few
examples tell where the errors of a kind end."""
WIDTH = 0.75
"""What margins are multiplied by: examples are known less well than replicas that are judged, and
the error of their simulation is in what the networks tell."""
CAREFUL = Lesson(hidden=(64, 64, 64), passes=60, rate=4e-3, decay=0.1, high=0.985)
"""How to fit networks that tell what few latencies exceed."""

SEVERAL = 2
"""Networks whose average tells: a quantile is told by few examples, so that they differ by their
first weights."""
HEAVIEST = 8.0
"""Largest weight of an error, where the mean is one."""

_LEAST, _MOST = -0.5, 1.0
"""Errors beyond count as these."""
_STEP = 1.04
_FLAT, _STEEP = 0.02, 5.0
_KNOWN_WITHIN = 0.02


def margins(name: str, examples: Sequence[Example], by: Folds) -> Table:
    """Return the errors of sizing to one latency; a row for each example and figure.

    An error counts for more where the latency rises steeply with the rate, as if targets lay as
    close together everywhere; and for less where simulation knows it less well.

    Args:
        name: of the latency.
        examples: what was simulated.
        by: what sizes them.
    """
    cases = cases_of([example.replica for example in examples])
    true_rps = np.array([example.truth.rate_rps for example in examples])
    slope = _slopes(name, cases, true_rps)
    tables = []
    for index, figure in enumerate(FIGURES):
        wanted = np.array([e.truth.value(name, figure) for e in examples]) / TOLERANCE
        half = np.array([e.truth.half_width(name, figure) for e in examples])
        sized = _sized(name, figure, cases, wanted, by)
        with np.errstate(all="ignore"):
            error = np.log(sized / true_rps)
        known = np.isfinite(error)
        missed = np.full((len(examples), len(FIGURES)), np.nan)
        missed[known, index] = np.clip(error[known], _LEAST, _MOST)
        weight = np.zeros(missed.shape)
        steep = np.clip(np.nan_to_num(slope[index]), _FLAT, _STEEP)
        doubt = (np.nan_to_num(half, nan=_KNOWN_WITHIN) / _KNOWN_WITHIN) ** 2
        weight[:, index] = steep / (1.0 + doubt)
        weight /= weight[known, index].mean()
        traits = analysed(name, cases, np.where(known, sized, true_rps))
        tables.append(Table(traits[known], missed[known], weight[known], np.flatnonzero(known)))
    return together(tables)


def fitted_margins(table: Table, on_pass: Callable[[], None] = lambda: None) -> Network:
    """Return a network that tells margins: several of them on average."""
    lessons = [replace(LESSON, seed=seed) for seed in range(SEVERAL)]
    weight = np.minimum(table.weight, HEAVIEST)
    several = [fitted(table.traits, table.missed, weight, each, on_pass) for each in lessons]
    return averaged(several, times=WIDTH)


def _sized(name: str, figure: str, cases: EngineCases, wanted_ms: Array, by: Folds) -> Array:
    """Return rates sized to one figure; NaN where it cannot be kept, or at any rate."""
    rate = np.full(len(wanted_ms), np.nan)
    percentile = np.nan if figure == "mean" else float(figure.removeprefix("p"))
    for index, networks in enumerate(by.networks):
        rows = np.flatnonzero((by.part == index) & (wanted_ms > 0.0))
        target = LatencyTarget.of(len(rows), wanted_ms[rows], percentile)
        targets = EngineTargets.of(
            len(rows),
            ttft=(target,) if name == "ttft" else (),
            itl=(target,) if name == "itl" else (),
            e2e=(target,) if name == "e2e" else (),
        )
        found = size_engine(cases.take(rows), targets, fitted=networks)
        rate[rows] = np.where(found.feasible & found.limited, found.rate_rps, np.nan)
    return rate


def _slopes(name: str, cases: EngineCases, rate_rps: Array) -> Array:
    """Return by how much figures rise with the rate, log by log; array (figures, cases)."""
    low, high = (
        getattr(analyze_engine(cases, rate, KNOTS, corrected=False), name)
        for rate in (rate_rps / _STEP, rate_rps * _STEP)
    )
    with np.errstate(all="ignore"):
        rises = np.log(np.concatenate([high.mean_ms[None] / low.mean_ms, high.at_ms / low.at_ms]))
    rises[~np.isfinite(rises)] = 0.0
    slopes: Array = rises / (2.0 * np.log(_STEP))
    return slopes
