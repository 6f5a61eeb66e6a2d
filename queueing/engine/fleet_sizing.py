"""Sizing of fleets behind a router: the largest arrival rate at which they keep their targets."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from queueing.arrays import FloatArray, IntArray, columns
from queueing.engine.beyond import worst_excess
from queueing.engine.cases import EngineCases
from queueing.engine.decoding import decoding
from queueing.engine.first_token import ttft_mixture
from queueing.engine.largest import largest_rates
from queueing.engine.misses import target_excess
from queueing.engine.routing import (
    INDEPENDENT,
    check_replicas,
    fleet_saturation_rps,
    fleet_scene,
    share_cv,
)
from queueing.engine.sizing import EngineSizing, size_engine
from queueing.engine.targets import EngineTargets
from queueing.engine.tokens import e2e_mixture, itl_mixture
from stoker.domain.routing import Router


def size_fleet(
    cases: EngineCases, replicas: npt.ArrayLike, router: Router, targets: EngineTargets
) -> EngineSizing:
    """Return the largest rates to fleets at which they keep all their targets.

    Args:
        cases: the replicas, as `analyze_fleet` takes them.
        replicas: replicas of each fleet, a whole number from 1.
        router: how a request finds its replica.
        targets: the targets; one of tokens per second is that of the fleet.

    Raises:
        ValueError: a number of replicas is below 1 or not whole.
    """
    if router in INDEPENDENT:
        return _each_by_itself(cases, replicas, router, targets)
    search = _search(cases, replicas, router, targets)
    with np.errstate(all="ignore"):
        most = fleet_saturation_rps(cases, search.replicas)
        return largest_rates(search, targets, most, cases.usable())


def fleet_excess(
    cases: EngineCases,
    replicas: npt.ArrayLike,
    router: Router,
    targets: EngineTargets,
    arrival_rate_rps: npt.ArrayLike,
) -> FloatArray:
    """Return how far fleets are beyond the worst of their targets.

    Of replicas that do not know of each other it is told carefully (`target_excess`).
    """
    rate, _ = columns(arrival_rate_rps, np.zeros(len(cases)))
    if router in INDEPENDENT:
        count, own = _shares(cases, replicas, router)
        return target_excess(own, targets, rate / count)
    with np.errstate(all="ignore"):
        return _search(cases, replicas, router, targets).at(rate)[0]


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """Fleets and their targets, one of each a case."""

    cases: EngineCases
    replicas: FloatArray
    router: Router
    targets: EngineTargets

    def take(self, rows: IntArray) -> _Search:
        """Return some of the fleets."""
        return replace(
            self,
            cases=self.cases.take(rows),
            replicas=self.replicas[rows],
            targets=self.targets.take(rows),
        )

    def at(self, rate_rps: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return how far fleets are beyond their targets at a rate, and the share turned away."""
        scene = fleet_scene(self.cases, self.replicas, self.router, rate_rps / 1e3)
        first, decode = ttft_mixture(scene), decoding(scene)
        worst = worst_excess(
            self.targets,
            blocking=scene.blocking,
            ttft=first,
            itl=lambda: itl_mixture(decode),
            e2e=lambda: e2e_mixture(scene, decode, first),
            answering=scene.requests.steps > 1e-9,
        )
        return worst, scene.blocking


def _each_by_itself(
    cases: EngineCases, replicas: npt.ArrayLike, router: Router, targets: EngineTargets
) -> EngineSizing:
    """Size fleets in which a replica is one of its own, with the arrivals that come to it."""
    count, own = _shares(cases, replicas, router)
    found = size_engine(own, targets)
    return replace(
        found,
        rate_rps=count * found.rate_rps,
        throughput_rps=count * found.throughput_rps,
        max_rate_rps=count * found.max_rate_rps,
    )


def _shares(
    cases: EngineCases, replicas: npt.ArrayLike, router: Router
) -> tuple[FloatArray, EngineCases]:
    """Return the numbers of replicas, and one of each with the arrivals that come to it."""
    count, _ = columns(replicas, np.zeros(len(cases)))
    check_replicas(count)
    return count, replace(cases, arrival_cv=share_cv(router, count, cases.arrival_cv))


def _search(
    cases: EngineCases, replicas: npt.ArrayLike, router: Router, targets: EngineTargets
) -> _Search:
    count, _ = columns(replicas, np.zeros(len(cases)))
    check_replicas(count)
    return _Search(cases, count, router, targets)
