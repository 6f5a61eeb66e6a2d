"""Several replicas behind a router.

What a router does to one of R replicas:

- random: each gets a thinned stream. Of renewal arrivals with squared coefficient of variation c²
  every R-th at random leaves times between arrivals of 1 + (c² - 1)/R (Whitt, The queueing
  network analyzer, 1983, section 4.4);
- round robin: each gets every R-th arrival, whose times between are sums of R: c²/R;
- shortest queue and least KV: the numbers in service are evened out (see `levelling`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from queueing.arrays import FloatArray, columns
from queueing.engine.answer import engine_point
from queueing.engine.cases import EngineCases
from queueing.engine.levelling import levelled
from queueing.engine.point import PERCENTILES, EnginePoint
from queueing.engine.saturation import saturation
from queueing.engine.scene import Scene, scene_at
from queueing.engine.states import full
from stoker.domain.routing import Router

INDEPENDENT = frozenset({Router.RANDOM, Router.ROUND_ROBIN})
"""Routers that do not look at the replicas: each of those is one of its own, and corrected so."""

_IN_A_ROW = {Router.SHORTEST_QUEUE: 0.6, Router.LEAST_KV: 1.0}
"""How unevenly arrivals come to one of many replicas that hold many requests."""
_MANY = 7.0
"""Requests in a replica from which on one more is a small part."""


def share_cv(
    router: Router, replicas: FloatArray, arrival_cv: FloatArray, number: FloatArray | None = None
) -> FloatArray:
    """Return the coefficient of variation of the times between arrivals at one of the replicas.

    Shortest queue and least KV take turns where a request is a large part of what a replica holds.
    Where it is a small one the replica that lost some gets several in a row: arrivals come as
    unevenly as departures do. Both are what simulated fleets show, not derived.

    Args:
        router: how requests are spread.
        replicas: replicas R, at least 1.
        arrival_cv: that of the arrivals to all of them.
        number: mean number in one replica, for the routers that look at it; none at all counts
            as few.
    """
    squared = arrival_cv**2
    if router is Router.RANDOM:
        return np.sqrt(1.0 + (squared - 1.0) / replicas)
    turns = squared / replicas
    if router is Router.ROUND_ROBIN or number is None:
        return np.sqrt(turns)
    uneven = _IN_A_ROW[router] * number**2 / (number**2 + _MANY**2)
    return np.sqrt(turns + uneven * (1.0 - 1.0 / replicas))


def fleet_scene(
    cases: EngineCases, replicas: FloatArray, router: Router, rate: FloatArray
) -> Scene:
    """Return what one of the replicas looks like at a rate (per ms) to all of them."""
    most = saturation(cases)
    requests = most.memory.requests
    top = full(cases, requests, most)

    def one(number: FloatArray | None = None) -> Scene:
        own_cv = share_cv(router, replicas, cases.arrival_cv, number)
        return scene_at(replace(cases, arrival_cv=own_cv), requests, top, rate / replicas)

    scene = one()
    if router in INDEPENDENT:
        return scene
    scene = one(np.where(np.isfinite(scene.states.mean), scene.states.mean, 0.0))
    part = np.where(replicas > 1.0, 1.0, 0.0)
    if router is Router.LEAST_KV:
        # Of numbers with tokens of their own each, even tokens explain that share.
        memory = scene.top.memory
        part = part / (1.0 + memory.kv_variance / memory.kv_mean**2)
    return levelled(scene, replicas, cases.arrival_cv, part)


def analyze_fleet(
    cases: EngineCases,
    replicas: npt.ArrayLike,
    router: Router,
    arrival_rate_rps: npt.ArrayLike,
    percentiles: tuple[float, ...] = PERCENTILES,
) -> EnginePoint:
    """Return what fleets of replicas do, one fleet a case.

    Rates and numbers of requests are those of all replicas together; latencies, utilization and
    use of KV memory are alike at each of them. Behind routers that do not look at the replicas
    latencies are corrected (`queueing.engine.correction`).

    Args:
        cases: the replicas; their `arrival_cv` is that of the arrivals to all of them, their
            limits are those of one.
        replicas: replicas of each fleet, a whole number from 1.
        router: how a request finds its replica.
        arrival_rate_rps: requests per second to all of them.
        percentiles: the percentiles of all latencies.

    Raises:
        ValueError: a number of replicas is below 1 or not whole.
    """
    offered, count, _ = columns(arrival_rate_rps, replicas, np.zeros(len(cases)))
    check_replicas(count)
    with np.errstate(all="ignore"):
        scene = fleet_scene(cases, count, router, np.maximum(offered, 1e-12) / 1e3)
        point = engine_point(scene, offered / count, percentiles, router in INDEPENDENT)
        return of_all(point, count)


def fleet_saturation_rps(cases: EngineCases, replicas: FloatArray) -> FloatArray:
    """Return the largest throughput of fleets, requests per second."""
    return replicas * saturation(cases).throughput_rps


def of_all(point: EnginePoint, replicas: FloatArray) -> EnginePoint:
    """Return the point of several replicas alike from that of one."""
    return replace(
        point,
        arrival_rate_rps=replicas * point.arrival_rate_rps,
        throughput_rps=replicas * point.throughput_rps,
        saturation_rps=replicas * point.saturation_rps,
        mean_in_service=replicas * point.mean_in_service,
        mean_in_system=replicas * point.mean_in_system,
    )


def check_replicas(count: FloatArray, name: str = "replicas") -> None:
    """Refuse numbers of replicas that no fleet has.

    Raises:
        ValueError: one is below 1 or not whole; the message names it.
    """
    for value in count:
        if not (value >= 1.0 and np.floor(value) == value and np.isfinite(value)):
            raise ValueError(f"{name} is {value:g} (allowed: a whole number from 1)")
