"""What the analysis of the engine can be asked about: one replica, a fleet, or two pools.

Three kinds of systems with one face, many systems of a kind at once.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np

from optimizer.table import FloatArray, IntArray
from queueing.arrays import BoolArray
from queueing.engine import (
    EngineCases,
    EnginePoint,
    EngineSizing,
    EngineTargets,
    analyze_engine,
    size_engine,
)
from queueing.engine.build import iteration_times
from queueing.engine.disaggregated import DisaggregatedPoint, analyze_system
from queueing.engine.fleet_sizing import fleet_excess, size_fleet
from queueing.engine.misses import target_excess
from queueing.engine.pool_sizing import pools_excess, size_pools
from queueing.engine.routing import analyze_fleet
from queueing.engine.rows import take_rows
from queueing.engine.stations import System, Transfer
from stoker.domain.replica import ReplicaCase
from stoker.domain.replica_system import PoolSizes, RoutedReplicas, TwoPools
from stoker.domain.routing import Router


@dataclass(frozen=True, slots=True, eq=False)
class SystemPoint:
    """What systems do at an operating point.

    Attributes:
        whole: Each system as one.
        pools: Its two pools; None where there are none.
    """

    whole: EnginePoint
    pools: DisaggregatedPoint | None = None


class EngineSystems(Protocol):
    """Systems of one kind, one a case."""

    def take(self, rows: IntArray) -> Self:
        """Return some of them."""
        ...

    def usable(self) -> BoolArray:
        """Tell which of them make sense."""
        ...

    def at(self, rate_rps: FloatArray, percentiles: tuple[float, ...]) -> SystemPoint:
        """Return what they do at arrival rates."""
        ...

    def size(self, targets: EngineTargets) -> EngineSizing:
        """Return the largest rates at which they keep their targets."""
        ...

    def excess(self, targets: EngineTargets, rate_rps: FloatArray) -> FloatArray:
        """Return how far they are beyond their targets at a rate; above 0 where one is missed."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SingleReplicas:
    """Replicas on their own."""

    cases: EngineCases

    def take(self, rows: IntArray) -> SingleReplicas:
        """Return some of them."""
        return SingleReplicas(self.cases.take(rows))

    def usable(self) -> BoolArray:
        """Tell which of them make sense."""
        return self.cases.usable()

    def at(self, rate_rps: FloatArray, percentiles: tuple[float, ...]) -> SystemPoint:
        """Return what they do at arrival rates."""
        return SystemPoint(analyze_engine(self.cases, rate_rps, percentiles))

    def size(self, targets: EngineTargets) -> EngineSizing:
        """Return the largest rates at which they keep their targets."""
        return size_engine(self.cases, targets)

    def excess(self, targets: EngineTargets, rate_rps: FloatArray) -> FloatArray:
        """Return how far they are beyond their targets at a rate."""
        return target_excess(self.cases, targets, rate_rps)


@dataclass(frozen=True, slots=True, eq=False)
class Fleets:
    """Replicas alike behind routers of one kind."""

    cases: EngineCases
    replicas: FloatArray
    router: Router

    def take(self, rows: IntArray) -> Fleets:
        """Return some of them."""
        return replace(self, cases=self.cases.take(rows), replicas=self.replicas[rows])

    def usable(self) -> BoolArray:
        """Tell which of them make sense."""
        return self.cases.usable()

    def at(self, rate_rps: FloatArray, percentiles: tuple[float, ...]) -> SystemPoint:
        """Return what they do at arrival rates to all of their replicas."""
        return SystemPoint(
            analyze_fleet(self.cases, self.replicas, self.router, rate_rps, percentiles)
        )

    def size(self, targets: EngineTargets) -> EngineSizing:
        """Return the largest rates at which they keep their targets."""
        return size_fleet(self.cases, self.replicas, self.router, targets)

    def excess(self, targets: EngineTargets, rate_rps: FloatArray) -> FloatArray:
        """Return how far they are beyond their targets at a rate."""
        return fleet_excess(self.cases, self.replicas, self.router, targets, rate_rps)


@dataclass(frozen=True, slots=True, eq=False)
class PairsOfPools:
    """Prefill and decode pools behind routers of one kind each."""

    system: System

    def take(self, rows: IntArray) -> PairsOfPools:
        """Return some of them."""
        return PairsOfPools(take_rows(self.system, rows))

    def usable(self) -> BoolArray:
        """Tell which of them make sense."""
        return self.system.prefill.usable() & self.system.decode.usable()

    def at(self, rate_rps: FloatArray, percentiles: tuple[float, ...]) -> SystemPoint:
        """Return what they do at arrival rates."""
        pools = analyze_system(self.system, rate_rps, percentiles)
        return SystemPoint(pools.whole(), pools)

    def size(self, targets: EngineTargets) -> EngineSizing:
        """Return the largest rates at which they keep their targets."""
        return size_pools(self.system, targets)

    def excess(self, targets: EngineTargets, rate_rps: FloatArray) -> FloatArray:
        """Return how far they are beyond their targets at a rate."""
        return pools_excess(self.system, targets, rate_rps)


def kind_of(case: ReplicaCase) -> Hashable:
    """Return what cases share that are computed together."""
    system = case.system
    if isinstance(system, TwoPools):
        return system.prefill_router, system.decode_router
    return system.router if system.replicas > 1 else None


def systems_of(cases: Sequence[ReplicaCase]) -> EngineSystems:
    """Return the systems of cases that are all of one kind, sizes of pools told."""
    first = cases[0].system
    if isinstance(first, TwoPools):
        return pairs_of_pools(cases)
    alone = engine_cases(cases)
    routed = [case.system.replicas for case in cases if isinstance(case.system, RoutedReplicas)]
    if first.replicas > 1:
        return Fleets(alone, np.array(routed, dtype=np.float64), first.router)
    return SingleReplicas(alone)


def engine_cases(cases: Sequence[ReplicaCase]) -> EngineCases:
    """Return cases as arrays: of two pools, the replicas of the decode pool."""
    return EngineCases.of(
        iteration_times([case.parameters for case in cases]),
        [case.input_tokens for case in cases],
        [case.output_tokens for case in cases],
        [case.max_batch for case in cases],
        [case.max_queue for case in cases],
        input_cv=[case.input_cv for case in cases],
        output_cv=[case.output_cv for case in cases],
        arrival_cv=[case.arrival_cv for case in cases],
        token_budget=[case.token_budget for case in cases],
        kv_tokens=[_capacity(case.kv_tokens) for case in cases],
        prefix_hit_rate=[case.prefix_hit_rate for case in cases],
    )


def pairs_of_pools(cases: Sequence[ReplicaCase]) -> PairsOfPools:
    """Return the pools of cases that all have two of told sizes, behind the same routers."""
    decode = engine_cases(cases)
    pools = [case.system for case in cases if isinstance(case.system, TwoPools)]
    own = [item.prefill for item in pools]
    prefill = replace(
        decode,
        times=iteration_times([item.parameters for item in own]),
        max_batch=np.array([item.max_batch for item in own], dtype=np.float64),
        token_budget=np.array([item.token_budget for item in own], dtype=np.float64),
        kv_tokens=np.array([_capacity(item.kv_tokens) for item in own], dtype=np.float64),
    )
    sizes = [item.sizes for item in pools if isinstance(item.sizes, PoolSizes)]
    transfer = Transfer.of(
        len(pools),
        [item.transfer_ms for item in pools],
        [item.transfer_ms_per_token for item in pools],
    )
    return PairsOfPools(
        System(
            prefill,
            decode,
            np.array([item.prefill for item in sizes], dtype=np.float64),
            np.array([item.decode for item in sizes], dtype=np.float64),
            transfer,
            pools[0].prefill_router,
            pools[0].decode_router,
        )
    )


def _capacity(kv_tokens: int | None) -> float:
    return math.inf if kv_tokens is None else kv_tokens
