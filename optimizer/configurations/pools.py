"""Prefill and decode pools of rows of a fleet, as systems of the analysis of the engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from optimizer.engine_fleet import EngineFleet
from optimizer.fleet_columns import FleetArrays
from optimizer.predictions import Replicas
from optimizer.table import BoolArray, FloatArray, IntArray
from queueing.engine.pool_sizing import pools_excess, pools_saturation_rps
from queueing.engine.stations import System, Transfer
from stoker.domain.routing import Router
from stoker.domain.serving import Disaggregation

_BLOCK = 1024
"""Systems computed at once: the states of more would not fit into fast memory."""


@dataclass(frozen=True, slots=True)
class PoolRows:
    """Pairs of pools, each serving a server; arrays of shape (rows,).

    Attributes:
        server: Server whose requests they get.
        profile: Profile of the decode replicas.
        max_batch: Batch limit of a decode replica.
        prefill_batch: Batch limit of a prefill replica.
        max_queue: Queue limit of a prefill replica.
        prefill: Prefill replicas.
        decode: Decode replicas.
    """

    server: IntArray
    profile: IntArray
    max_batch: IntArray
    prefill_batch: IntArray
    max_queue: IntArray
    prefill: IntArray
    decode: IntArray

    def take(self, rows: IntArray | BoolArray) -> PoolRows:
        """Return the selected rows, in that order."""
        return PoolRows(**{item.name: getattr(self, item.name)[rows] for item in fields(self)})


class PoolFleet:
    """Makes systems and targets of pools of one fleet."""

    def __init__(self, arrays: FleetArrays, max_blocking: float | None) -> None:
        """Take the fleet, and the largest fraction of requests that may be turned away."""
        profiles = arrays.profiles
        self._profiles = profiles
        self.engines = EngineFleet(arrays, max_blocking)
        found = [item or Disaggregation() for item in profiles.disaggregated]
        self._routers = np.array(
            [(int(item.prefill_router), int(item.decode_router)) for item in found], dtype=np.int64
        ).reshape(-1, 2)
        self._transfer = np.array(
            [(item.transfer_ms, item.transfer_ms_per_token) for item in found], dtype=np.float64
        ).reshape(-1, 2)

    def systems(self, rows: PoolRows) -> Iterator[tuple[IntArray, System]]:
        """Yield rows computed together, of the same routers, with their systems."""
        routers = self._routers[rows.profile]
        for pair in np.unique(routers, axis=0):
            alike = np.flatnonzero((routers == pair).all(axis=1))
            for start in range(0, len(alike), _BLOCK):
                own = alike[start : start + _BLOCK]
                yield own, self._system(rows.take(own), Router(pair[0]), Router(pair[1]))

    def excess(self, rows: PoolRows, rate_rps: FloatArray) -> FloatArray:
        """Return how far pools are beyond the worst of their targets at a rate to all."""
        worst = np.full(len(rows.server), np.nan)
        for own, system in self.systems(rows):
            usable = system.prefill.usable() & system.decode.usable()
            targets = self.engines.targets(rows.server[own])
            beyond = pools_excess(system, targets, rate_rps[own])
            worst[own] = np.where(usable, beyond, np.inf)
        return np.where(np.isnan(worst), np.inf, worst)

    def saturation_rps(self, rows: PoolRows) -> tuple[FloatArray, FloatArray]:
        """Return the rates at which one replica of each pool is full, requests per second."""
        first, second = np.zeros(len(rows.server)), np.zeros(len(rows.server))
        many = 1e9  # so many that the other pool is never full
        for own, system in self.systems(rows):
            one, lots = np.ones(len(own)), np.full(len(own), many)
            first[own] = pools_saturation_rps(_sized(system, one, lots))
            second[own] = pools_saturation_rps(_sized(system, lots, one))
        return first, second

    def units(self, profile: IntArray) -> tuple[IntArray, IntArray]:
        """Return the units of the accelerator that a prefill and a decode replica take."""
        profiles = self._profiles
        return profiles.units[profiles.prefill[profile]], profiles.units[profile]

    def _system(self, rows: PoolRows, prefill: Router, decode: Router) -> System:
        profiles = self._profiles
        first = profiles.prefill[rows.profile]
        one = np.ones(len(rows.server))
        transfer = self._transfer[rows.profile]
        return System(
            self.engines.cases(
                Replicas(rows.server, first, rows.prefill_batch, rows.max_queue, one)
            ),
            self.engines.cases(
                Replicas(rows.server, rows.profile, rows.max_batch, rows.max_queue, one)
            ),
            (rows.prefill * profiles.engines[first]).astype(np.float64),
            (rows.decode * profiles.engines[rows.profile]).astype(np.float64),
            Transfer.of(len(rows.server), transfer[:, 0], transfer[:, 1]),
            prefill,
            decode,
        )


def _sized(system: System, prefill: FloatArray, decode: FloatArray) -> System:
    return System(
        system.prefill,
        system.decode,
        prefill * system.prefill_replicas,
        decode * system.decode_replicas,
        system.transfer,
        system.prefill_router,
        system.decode_router,
    )
