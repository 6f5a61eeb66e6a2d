"""What the variability of arrivals makes of the mean wait at a single server.

By Spitzer's identity the mean wait of GI/G/1 is the sum over k of E[(S_k - A_k)⁺] / k, with S_k
the sum of k services and A_k that of k times between arrivals (Spitzer, 1956; Asmussen, Applied
Probability and Queues, 2003, chapter VIII). For gamma times these are incomplete beta functions.
Here are their sums over the mean wait of M/G/1, tabulated.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import betainc

from queueing.arrays import FloatArray

_LOADS = np.array([0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97])
_ARRIVALS = np.array([0.1, 0.25, 0.5, 0.75, 1.0, 1.35, 1.7, 2.2, 3.0, 5.0])
_SERVICES = np.array([0.1, 0.4, 0.8, 1.2, 2.0, 3.0])
_TERMS = 60
_DOUBLINGS = 9


def wait_ratio(load: FloatArray, arrival_cv: FloatArray, service_spread: FloatArray) -> FloatArray:
    """Return the mean wait of GI/G/1 over that of M/G/1; all arguments broadcast.

    Args:
        load: arrival rate over service rate; taken as 0.97 beyond.
        arrival_cv: coefficient of variation of the times between arrivals.
        service_spread: squared coefficient of variation of the services.
    """
    if np.all(arrival_cv == 1.0):
        return np.ones(np.broadcast_shapes(np.shape(load), np.shape(service_spread)))
    table = _table()
    i, u = _place(_LOADS, load)
    j, v = _place(_ARRIVALS, arrival_cv)
    k, w = _place(_SERVICES, np.sqrt(service_spread))
    ratio = np.zeros(np.broadcast_shapes(np.shape(load), np.shape(arrival_cv), np.shape(w)))
    for a in (0, 1):
        for b in (0, 1):
            for c in (0, 1):
                share = (u if a else 1.0 - u) * (v if b else 1.0 - v) * (w if c else 1.0 - w)
                ratio = ratio + share * table[i + a, j + b, k + c]
    # The table holds logarithms: waits of regular arrivals vanish at low loads.
    result: FloatArray = np.where(arrival_cv == 1.0, 1.0, np.exp(ratio))
    return result


def _place(knots: FloatArray, value: FloatArray) -> tuple[np.ndarray, FloatArray]:
    """Return cell and place in it."""
    inside = np.clip(np.nan_to_num(value), knots[0], knots[-1])
    cell = np.clip(np.searchsorted(knots, inside, side="right") - 1, 0, len(knots) - 2)
    return cell, (inside - knots[cell]) / (knots[cell + 1] - knots[cell])


@lru_cache(maxsize=1)
def _table() -> FloatArray:
    """Return log ratios, shape (loads, arrivals, services)."""
    load = _LOADS[:, None, None]
    arrivals = _ARRIVALS[None, :, None]
    services = _SERVICES[None, None, :]
    wait = np.zeros((len(_LOADS), len(_ARRIVALS), len(_SERVICES)))
    # Every term up to some number, then ever longer steps: the terms change ever more slowly.
    edges = np.concatenate([np.arange(1, _TERMS), _TERMS * 2.0 ** np.arange(_DOUBLINGS)])
    terms = [_term(edge, load, arrivals, services) for edge in edges]
    for index in range(_TERMS - 1):
        wait = wait + terms[index]
    for index in range(_TERMS - 1, len(edges) - 1):
        low, high = edges[index], edges[index + 1]
        # Sum of a term that falls like a power between the ends.
        first, last = np.maximum(terms[index], 1e-300), np.maximum(terms[index + 1], 1e-300)
        power = np.log(first / last) / np.log(high / low)
        near = np.where(np.abs(power - 1.0) < 1e-6, 1.0 + 1e-6, power)
        wait = wait + first * low * (1.0 - (low / high) ** (near - 1.0)) / (near - 1.0)
    poisson = load * (1.0 + services**2) / (2.0 * (1.0 - load))
    return np.log(np.maximum(wait / poisson, 1e-6))


def _term(
    number: float, load: FloatArray, arrivals: FloatArray, services: FloatArray
) -> FloatArray:
    """Return E[(S_k - A_k)⁺] / k, in units of the mean service."""
    a, b = number / services**2, number / arrivals**2
    first, second = services**2, arrivals**2 / load
    share = first / (first + second)
    inside = a * first * betainc(b, a + 1.0, share) - b * second * betainc(b + 1.0, a, share)
    term: FloatArray = np.maximum(inside, 0.0) / number
    return term
