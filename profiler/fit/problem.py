"""The least-squares problem: how far a set of parameters is from what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from profiler.fit.candidate import Candidate
from profiler.fit.forecast import forecast, itl_at_ms
from profiler.fit.observations import Observations
from profiler.fit.parameters import Family, Parameter
from profiler.fit.points import Points
from queueing.arrays import FloatArray
from queueing.engine.curve import CurveTimes
from stoker.domain.curve import IterationTable

SCALE = 0.03
"""Relative error from which residuals count linearly instead of squared (soft L1)."""
AT_BATCH_WEIGHT = 2.0
"""Weight of the ITL at the measured concurrency, which no queue amplifies."""
UNSTABLE = 1.0
"""Residual of the TTFT where the model says that a settled load never settles, at least."""
_ABSENT = {"wave_share": 0.0, "turnover_share": 0.0, "kv_tokens": np.inf, "miss_share": 1.0}
DELAYS = ("first_token_ms", "first_token_sequence_ms", "first_token_output_ms")


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Rows to explain and the parameters that may do it.

    Attributes:
        family: the service-time model.
        free: the parameters that are fitted, of the model and of the runs.
        points: conditions of the rows.
        observed: what was measured.
        weights: of the TTFT and ITL of each point, (points,).
        penalty: what else is known of the free parameters: rows that map their logarithms to
            spreads from the usual, (rows, free); None where nothing is.
    """

    family: Family
    free: tuple[Parameter, ...]
    points: Points
    observed: Observations
    weights: FloatArray
    penalty: FloatArray | None = None

    @property
    def names(self) -> list[str]:
        """Names of the free parameters."""
        return [parameter.name for parameter in self.free]

    def candidate(self, logs: FloatArray) -> Candidate:
        """Return the assumptions of parameter vectors (copies, parameters), copy by copy."""
        values = np.repeat(np.exp(logs), len(self.points), axis=0)
        return candidate_of(
            self.family, {name: values[:, i] for i, name in enumerate(self.names)}, len(values)
        )

    def residuals(self, logs: FloatArray) -> FloatArray:
        """Return the residuals of parameter vectors, shape (copies, 4 * points).

        Logarithms of predicted over measured: TTFT, ITL, ITL at the measured concurrency, and
        throughput at saturation, one block after the other; 0 where nothing was measured.
        """
        copies, count = len(logs), len(self.points)
        points = self.points.tiled(copies)
        candidate = self.candidate(logs)
        predicted = forecast(points, candidate)
        ttft, itl, decoding, capacity = (
            np.tile(column, copies)
            for column in (
                self.observed.ttft_ms,
                self.observed.itl_ms,
                self.observed.decoding,
                self.observed.capacity_rps,
            )
        )
        median = np.tile(self.observed.median, copies)
        typical = np.where(median, predicted.ttft_p50_ms, predicted.ttft_ms)
        unstable = predicted.saturated & ~points.closed & ~np.isfinite(predicted.ttft_ms)
        beyond = np.log(points.load / predicted.throughput_rps)
        late = np.where(unstable, UNSTABLE + beyond, np.log(typical / ttft))
        at_batch = AT_BATCH_WEIGHT * _at_batch(points, candidate, decoding, ttft, itl)
        weights = np.tile(self.weights, copies)
        blocks = [
            np.where(np.isfinite(ttft), weights * late, 0.0),
            weights * np.log(predicted.itl_ms / itl),
            at_batch,
            np.log(predicted.throughput_rps / capacity),
        ]
        stacked = np.stack([block.reshape(copies, count) for block in blocks], axis=1)
        known: FloatArray = np.nan_to_num(stacked, nan=0.0, posinf=20.0, neginf=-20.0)
        return known.reshape(copies, -1)

    def priors(self, logs: FloatArray) -> FloatArray:
        """Return how far parameter vectors are from the usual, in spreads: (copies, known)."""
        columns = []
        for index, parameter in enumerate(self.free):
            if parameter.usual is not None:
                centre = np.log(parameter.usual)
                if parameter.relative_to:
                    centre = centre + logs[:, self.names.index(parameter.relative_to)]
                columns.append((logs[:, index] - centre) / parameter.spread)
        usual = np.stack(columns, axis=1) if columns else np.zeros((len(logs), 0))
        if self.penalty is None:
            return usual
        return np.concatenate([usual, logs @ self.penalty.T], axis=1)


def candidate_of(family: Family, values: dict[str, FloatArray], cases: int) -> Candidate:
    """Return the assumptions of parameters by name; those that are absent have no effect."""
    delays = [values.get(name, np.zeros(cases)) for name in DELAYS]
    conditions = [values.get(name, np.full(cases, absent)) for name, absent in _ABSENT.items()]
    return Candidate(family.build(values), *delays, *conditions)


def candidate_of_table(table: IterationTable, values: Mapping[str, float], cases: int) -> Candidate:
    """Return the assumptions of a table beside the conditions among some values."""
    delays = [np.full(cases, delay) for delay in table.delays_ms]
    conditions = [np.full(cases, values.get(name, absent)) for name, absent in _ABSENT.items()]
    return Candidate(CurveTimes.of([table] * cases), *delays, *conditions)


def robust(residuals: FloatArray) -> FloatArray:
    """Return residuals whose squares are the soft-L1 loss 2 (sqrt(1 + (r / scale)²) - 1)."""
    scaled = residuals / SCALE
    squashed: FloatArray = np.sign(scaled) * np.sqrt(2.0 * (np.sqrt(1.0 + scaled**2) - 1.0))
    return squashed


def _at_batch(
    points: Points,
    candidate: Candidate,
    decoding: FloatArray,
    ttft_ms: FloatArray,
    itl_ms: FloatArray,
) -> FloatArray:
    known = np.flatnonzero(np.isfinite(decoding) & np.isfinite(itl_ms))
    residual = np.full(len(decoding), np.nan)
    if len(known):
        implied = itl_at_ms(
            points.take(known), candidate.take(known), decoding[known], ttft_ms[known]
        )
        residual[known] = np.log(implied / itl_ms[known])
    return residual
