"""Waiting for a slot when every one is taken, with or without a limit of the queue.

With all N slots taken requests leave at the rate μ, and the number waiting is about geometric.
Its ratio follows from the mean wait of those that wait, F / (μ (1 - ρ)), where F accounts for the
variability of arrivals and services: 1 for Poisson arrivals and exponential services, the
approximation of Cosmetatos (1976) for fixed ones, between and beyond them the interpolation of
Kimura (1986), for other arrivals what they make of the wait at a single server
(`queueing.engine.single_server`).

With a limit of the queue the ratio stays, and the last place counts for as much as makes those that
get in as many as those that leave (H. C. Tijms, A First Course in Stochastic Models, Wiley, 2003,
section 9.8.2, eq. (9.8.4)): exact for M/M/c/c+N and M/G/1/N+1. Without any queue it is Erlang's
formula, which holds whatever the services.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.cases import EngineCases
from queueing.engine.single_server import wait_ratio

_CERTAIN = 1e60
"""Odds of a full replica beyond which it is always full, to all digits."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """The line behind a full replica; arrays (cases,).

    Attributes:
        weight: what the probability of a full replica with nobody waiting is multiplied by to
            have that of a full replica.
        lost: probability that one who finds the replica full finds the queue full, too.
        mean_ms: mean wait of those who find it full and may wait.
        variance: variance of that wait.
    """

    weight: FloatArray
    lost: FloatArray
    mean_ms: FloatArray
    variance: FloatArray


def line(
    cases: EngineCases, slots: FloatArray, rate: FloatArray, top: FloatArray, spread: FloatArray
) -> Line:
    """Return the line of those who find every slot taken.

    Args:
        cases: the replicas.
        slots: requests in service when full.
        rate: arrivals per millisecond.
        top: departures per millisecond when full.
        spread: squared coefficient of variation of the time in service.
    """
    load = rate / top
    factor = variability(cases, slots, load, spread)
    # Beyond saturation departures let one in each, whatever F is; the ratio goes on smoothly.
    over = load > 1.0
    scale = np.where(over, factor, np.maximum(1.0 - load + factor * load, 1e-3))
    queue = cases.max_queue
    step = factor / (top * scale)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        ratio = np.where(over, load ** (1.0 / factor), factor * load / scale)
        power = np.where(np.isinf(queue), np.where(over, np.inf, 0.0), ratio**queue)
        near = np.abs(load - 1.0) < 1e-6
        weight = np.where(near, 1.0 + queue / factor, (1.0 - load * power) / (1.0 - load))
        lost = np.where(np.isfinite(power), power / weight, 1.0 - 1.0 / load)
        lost = np.where(np.isinf(queue), 0.0, lost)
        ahead, square = _waiting_ahead(ratio, queue)
    one = _first_variance(slots, step, spread)
    ahead = np.where(np.isfinite(ahead), ahead, np.inf)
    mean = step * (ahead + 1.0)
    variance = one * (ahead + 1.0) + step**2 * np.maximum(square - ahead**2, 0.0)
    return Line(np.minimum(weight, _CERTAIN), lost, mean, variance)


def variability(
    cases: EngineCases, slots: FloatArray, load: FloatArray, spread: FloatArray
) -> FloatArray:
    """Return F, what variability makes of the mean wait of exponential times."""
    busy = np.clip(load, 1e-9, 1.0)
    idle = (1.0 - busy) * (slots - 1.0) * (np.sqrt(4.0 + 5.0 * slots) - 2.0)
    fixed = 0.5 * (1.0 + np.minimum(idle / (16.0 * busy * slots), 1.0))
    factor = (1.0 + spread) / (2.0 * spread + (1.0 - spread) / fixed)
    result: FloatArray = factor * wait_ratio(busy, cases.arrival_cv, spread)
    return result


def _waiting_ahead(ratio: FloatArray, queue: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and mean square of the number found waiting, geometric and below the limit."""
    free = np.where(ratio < 1.0, ratio / (1.0 - ratio), np.inf)
    free_square = np.where(ratio < 1.0, ratio * (1.0 + ratio) / (1.0 - ratio) ** 2, np.inf)
    if np.all(np.isinf(queue)):
        return free, free_square
    places = np.where(np.isinf(queue), 1.0, np.maximum(queue, 1.0))
    # Truncated at Q - 1: sums of a geometric series, by its logarithm so that any ratio is fine.
    theta = np.log(np.maximum(ratio, 1e-300))
    theta = np.where(np.abs(theta) * places < 1e-4, 1e-4 / places, theta)
    step, rest = np.exp(-np.abs(theta)), -np.expm1(-np.abs(theta))
    whole, others = np.exp(-np.abs(theta) * places), -np.expm1(-np.abs(theta) * places)
    # A geometric number is a truncated one plus the limit times an independent geometric one.
    near = step / rest - places * whole / others
    spread = step / rest**2 - places**2 * whole / others**2
    variance = np.maximum(spread, 0.0)
    rising = theta > 0.0
    mean = np.where(rising, places - 1.0 - near, near)
    none = np.where(np.isinf(queue), False, queue < 1.0)
    mean = np.where(np.isinf(queue), free, np.where(none, 0.0, mean))
    squares = np.where(np.isinf(queue), free_square, np.where(none, 0.0, variance + mean**2))
    return mean, squares


def _first_variance(slots: FloatArray, step: FloatArray, spread: FloatArray) -> FloatArray:
    """Return the variance of the time between departures of a full replica."""
    mix = np.minimum(spread, 1.0)
    fixed = step**2 * slots / (slots + 2.0)
    result: FloatArray = mix * step**2 * np.maximum(spread, 1.0) + (1.0 - mix) * fixed
    return result
