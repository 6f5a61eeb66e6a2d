"""Parameters of `token-work` from a throughput grid.

A request of L input and K output tokens takes part in K - 1 iterations beside n - 1 others, and its
prompt is computed once, so that in a steady engine its share of all iterations is

    1 / X = alpha (K - 1) / n + beta (L + K - 1) + gamma ((K - 1) (L + K / 2) + L)

with the throughput X; n is X times the time that requests spend decoding (Little's law), or the
batch limit where that time is not told. It is linear in the parameters: non-negative least squares
on relative errors finds them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from data.measurements.grids import ThroughputGrid
from queueing.arrays import FloatArray
from stoker.domain.profile import TokenWorkParameters

_LEAST_CELLS = 4
_SHORTEST_OUTPUT = 16
"""Requests of fewer are prompts above all, which may have iterations to themselves."""

_NORMAL_95 = 1.96
NAMES = ("alpha_ms", "beta_ms", "gamma_ms")


@dataclass(frozen=True, slots=True)
class GridFit:
    """Parameters fitted to a grid.

    Attributes:
        parameters: The parameters.
        confidence: 95% interval of each, by name, never below 0.
        condition_number: Of the scaled problem.
        error: Mean of |predicted - given| / given of the throughput.
        cells: Cells that took part.
        largest_batch: Largest number of requests at once in them.
    """

    parameters: TokenWorkParameters
    confidence: dict[str, tuple[float, float]]
    condition_number: float
    error: float
    cells: int
    largest_batch: int


def fit_grid(grid: ThroughputGrid, max_batch: int) -> GridFit | None:
    """Return the parameters that a grid tells; None where it has too few cells.

    Args:
        grid: The grid; cells of rate 0 and of fewer than 16 output tokens tell nothing.
        max_batch: Requests in service at once, where the grid tells no response time.
    """
    rows, seconds, batches = _equations(grid, max_batch)
    if len(seconds) < _LEAST_CELLS:
        return None
    scaled = rows / seconds[:, None]
    scale = np.linalg.norm(scaled, axis=0)
    solution, _ = nnls(scaled / scale, np.ones(len(seconds)))
    found_ms = solution / scale * 1e3
    predicted = rows @ (found_ms / 1e3)
    residual = predicted / seconds - 1.0
    free = max(1, len(seconds) - len(NAMES))
    variance = float(residual @ residual) / free
    covariance = variance * np.linalg.pinv((scaled / scale).T @ (scaled / scale))
    half_ms = _NORMAL_95 * np.sqrt(np.diag(covariance)) / scale * 1e3
    return GridFit(
        TokenWorkParameters(*(_rounded(value) for value in found_ms)),
        {
            name: (max(0.0, _rounded(value - half)), _rounded(value + half))
            for name, value, half in zip(NAMES, found_ms, half_ms, strict=True)
        },
        _rounded(np.linalg.cond(scaled / scale)),
        _rounded(np.mean(np.abs(seconds / predicted - 1.0))),
        len(seconds),
        max(1, math.ceil(float(np.max(batches)))),
    )


def _rounded(value: float) -> float:
    """Return a number to six digits: more are noise in anything fitted."""
    return float(f"{value:.6g}")


def _equations(grid: ThroughputGrid, max_batch: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return coefficients by cell, seconds by request, and requests at once."""
    rows, seconds, batches = [], [], []
    for row, output in enumerate(grid.output_tokens):
        for column, given in enumerate(grid.input_tokens):
            rate = grid.rates_rps[row][column]
            if not rate > 0 or output < _SHORTEST_OUTPUT:
                continue
            n = float(max_batch)
            if grid.e2e_s is not None:
                waited = grid.ttft_s[row][column] if grid.ttft_s is not None else 0.0
                n = max(1.0, rate * max(0.0, grid.e2e_s[row][column] - waited))
            steps = output - 1.0
            rows.append((steps / n, given + steps, steps * (given + output / 2.0) + given))
            seconds.append(1.0 / rate)
            batches.append(n)
    return np.array(rows).reshape(-1, 3), np.array(seconds), np.array(batches)
