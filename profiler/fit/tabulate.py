"""A fitted table written down: its knots, its times, and how sure they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from profiler.fit.mixture import context
from profiler.fit.points import Points
from profiler.fit.problem import Problem
from profiler.fit.result import CurveFit, Grid
from profiler.fit.table_form import TableFormTimes
from queueing.arrays import FloatArray
from queueing.roofline.knots import knotted
from stoker.domain.curve import IterationTable

CLOSE = 0.005
"""Relative deviation from the fitted times at which a table has knots enough."""
MOST_KNOTS = 16
"""Most knots of an axis."""
_PLACES = 65
_DIGITS = 6
_STEP = 1e-4
_NORMAL_95 = 1.959964
_FAR = 50.0
_UNKNOWN_BATCH = 256.0
"""Largest batch of a table where neither a batch limit nor clients are known."""


def table_of(
    times: TableFormTimes, delays: tuple[float, float, float], points: Points
) -> IterationTable:
    """Return the table of fitted times over the states that the rows reach.

    Batches go up to the batch limit or the clients, prompts to the token budget, and contexts and
    reads to those of the longest requests. Times never fall along an axis.

    Args:
        times: of one case.
        delays: of first tokens: fixed, by sequence, by output token, in ms.
        points: the rows.
    """
    longest = float(np.max(points.input_tokens + points.output_tokens))
    budget = float(np.max(points.token_budget))
    decode = knotted(
        lambda batch, at: _spread(times.decode_ms, batch, at),
        _places(_largest_batch(points)),
        _places(max(longest, float(np.max(context(points))))),
        close=CLOSE,
        most=MOST_KNOTS,
    )
    prefill = knotted(
        lambda tokens, reads: _spread(times.prefill_ms, tokens, reads),
        _places(budget),
        _places(max(budget, longest)),
        close=CLOSE,
        most=MOST_KNOTS,
        region=lambda tokens, reads: reads >= tokens,
    )
    prefill_ms = _grid(_rising(prefill.values))
    return IterationTable(
        tuple(decode.rows.tolist()),
        tuple(decode.columns.tolist()),
        _grid(_rising(decode.values)),
        tuple(prefill.rows.tolist()),
        tuple(prefill.columns.tolist()),
        prefill_ms,
        min(_rounded(float(times.shared_ms[0])), prefill_ms[0][0]),
        *(_rounded(delay) for delay in delays),
    )


def with_bands(
    table: IterationTable, problem: Problem, logs: FloatArray, covariance: FloatArray
) -> CurveFit:
    """Return a table with the intervals of its times, by linearization.

    Args:
        table: of the solution.
        problem: what was solved.
        logs: the solution, (parameters,).
        covariance: of it, (parameters, parameters).
    """
    steps = _STEP * np.eye(len(logs))
    around = np.concatenate([logs + steps, logs - steps])
    moved = problem.family.build(
        {name: np.exp(around[:, index]) for index, name in enumerate(problem.names)}
    )
    assert isinstance(moved, TableFormTimes)

    shared = np.log(moved.shared_ms)
    slope = (shared[: len(logs)] - shared[len(logs) :]) / (2.0 * _STEP)
    reach_of_shared = float(_reach(np.array(slope @ covariance @ slope)))

    def ends(
        function: Callable[[FloatArray, FloatArray], FloatArray],
        rows: tuple[float, ...],
        columns: tuple[float, ...],
        grid: Grid,
    ) -> tuple[Grid, Grid]:
        at, beside = np.meshgrid(rows, columns, indexing="ij")
        told = np.log(function(at[:, :, None], beside[:, :, None]))
        slopes = (told[:, :, : len(logs)] - told[:, :, len(logs) :]) / (2.0 * _STEP)
        variance = np.einsum("ijk,kl,ijl->ij", slopes, covariance, slopes)
        reach = _reach(variance)
        return _grid(np.array(grid) / reach), _grid(np.array(grid) * reach)

    return CurveFit(
        table,
        ends(moved.decode_ms, table.batches, table.contexts, table.decode_ms),
        ends(moved.prefill_ms, table.prefill_tokens, table.prefill_contexts, table.prefill_ms),
        (table.shared_ms / reach_of_shared, table.shared_ms * reach_of_shared),
    )


def _reach(variance: FloatArray) -> FloatArray:
    """Return the factor that a 95% interval goes up and down by."""
    reach: FloatArray = np.exp(np.minimum(_NORMAL_95 * np.sqrt(np.maximum(variance, 0.0)), _FAR))
    return reach


def _largest_batch(points: Points) -> float:
    limits = points.max_batch[np.isfinite(points.max_batch)]
    clients = points.load[points.closed]
    found = [*limits.tolist(), *clients.tolist()]
    return max(found) if found else _UNKNOWN_BATCH


def _spread(
    function: Callable[[FloatArray, FloatArray], FloatArray], rows: FloatArray, columns: FloatArray
) -> FloatArray:
    """Return a function of one case over rows and columns that broadcast."""
    one, other = np.broadcast_arrays(rows, columns)
    return function(one[..., None], other[..., None])[..., 0]


def _rising(values: FloatArray) -> FloatArray:
    """Return values that never fall along either axis, each at least its own."""
    along: FloatArray = np.maximum.accumulate(np.maximum.accumulate(values, axis=0), axis=1)
    return along


def _places(most: float) -> FloatArray:
    return np.unique(np.round(np.geomspace(1.0, max(most, 2.0), _PLACES)))


def _grid(values: FloatArray) -> Grid:
    return tuple(tuple(_rounded(value) for value in row) for row in values.tolist())


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
