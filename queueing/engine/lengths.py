"""Output lengths in strata, for the latencies that grow with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from queueing.arrays import FloatArray
from queueing.engine.cases import EngineCases
from queueing.engine.requests import Requests

_EDGES = np.array([0.0, 0.12, 0.32, 0.54, 0.74, 0.87, 0.94, 0.975, 0.9925, 1.0])
WEIGHTS: FloatArray = np.diff(_EDGES)


@dataclass(frozen=True, slots=True, eq=False)
class StepStrata:
    """Decode iterations within strata of the output length; arrays (strata, cases).

    Attributes:
        mean: mean of them.
        variance: variance of them.
    """

    mean: FloatArray
    variance: FloatArray


def step_strata(cases: EngineCases, requests: Requests) -> StepStrata:
    """Return the decode iterations within strata of the output length.

    The strata have probability `WEIGHTS`, from the shortest answers to the longest. Means follow
    from partial expectations of the lognormal distribution and are scaled to have the requests'
    own mean; what is below one token counts as one.
    """
    spread = np.log1p(requests.output_square / requests.output**2 - 1.0)
    spread = np.where(cases.output_cv > 0.0, spread, 0.0)
    deviation = np.sqrt(spread)
    with np.errstate(divide="ignore", invalid="ignore"):
        edges = ndtri(_EDGES)[:, None]
        first = np.diff(ndtr(edges - deviation), axis=0) / WEIGHTS[:, None]
        second = np.exp(spread) * np.diff(ndtr(edges - 2.0 * deviation), axis=0) / WEIGHTS[:, None]
    mean = requests.output * first
    variance = requests.output**2 * np.maximum(second - first**2, 0.0)
    steps = np.maximum(mean - 1.0, 0.0)
    total = (WEIGHTS[:, None] * steps).sum(axis=0)
    scale = np.where(total > 0.0, requests.steps / np.maximum(total, 1e-300), 1.0)
    return StepStrata(steps * scale, variance * np.minimum(scale, 1.0) ** 2)
