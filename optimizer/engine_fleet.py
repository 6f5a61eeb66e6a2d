"""Replicas of a fleet as cases of the analysis of the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from optimizer.fleet_columns import FleetArrays
from optimizer.predictions import Replicas
from optimizer.table import BoolArray, FloatArray, IntArray
from queueing.engine import EngineCases, EngineTargets, IterationTimes, LatencyTarget
from queueing.engine.build import iteration_times
from queueing.engine.one_of_many import OneOfMany
from queueing.engine.routing import INDEPENDENT, share_cv
from stoker.domain.latency import Latency, Statistic
from stoker.domain.routing import Router

_BLOCK = 4096
"""Cases computed at once: the states of more would not fit into fast memory."""


class EngineFleet:
    """Makes cases and targets of replicas of one fleet."""

    def __init__(self, arrays: FleetArrays, max_blocking: float | None) -> None:
        """Take the fleet, and the largest fraction of requests that may be turned away."""
        self._arrays = arrays
        self._max_blocking = np.nan if max_blocking is None else max_blocking
        self._times = iteration_times(arrays.profiles.parameters)

    def times(self, replicas: Replicas) -> IterationTimes:
        """Return the times of iterations of each replica."""
        return self._times.take(replicas.profile)

    def split_at_random(self) -> Self:
        """Return the same fleet with a router that looks at nothing."""
        servers = self._arrays.servers
        router = np.full_like(servers.router, Router.RANDOM)
        arrays = replace(self._arrays, servers=replace(servers, router=router))
        return type(self)(arrays, None if np.isnan(self._max_blocking) else self._max_blocking)

    def pooled(self, server: IntArray) -> BoolArray:
        """Tell of which servers the number of replicas decides what one of them gets.

        A random split of Poisson arrivals gives Poisson arrivals, whatever the number.
        """
        servers = self._arrays.servers
        alone = (servers.router == Router.RANDOM) & (servers.arrival_cv == 1.0)
        pooled: BoolArray = ~alone[server]
        return pooled

    def blocks(self, replicas: Replicas) -> Iterator[tuple[IntArray, Router, EngineCases]]:
        """Yield rows computed together, of one router and like batch limits, with their cases.

        The cases have the arrivals to all replicas.
        """
        router = self._arrays.servers.router[replicas.server]
        order = np.argsort(replicas.max_batch, kind="stable")
        for own in Router:
            alike = order[router[order] == own]
            for start in range(0, len(alike), _BLOCK):
                rows = alike[start : start + _BLOCK]
                yield rows, own, self.cases(replicas.take(rows))

    def parts(self, replicas: Replicas) -> Iterator[tuple[IntArray, OneOfMany]]:
        """Yield rows computed together, as replicas behind their routers."""
        for rows, router, cases in self.blocks(replicas):
            count = replicas.count[rows]
            if router not in INDEPENDENT:
                count = np.maximum(np.rint(count), 1.0)
            yield rows, OneOfMany.of(cases, count, router)

    def cases(self, part: Replicas) -> EngineCases:
        """Return replicas as cases with the arrivals to all of them."""
        servers, profiles = self._arrays.servers, self._arrays.profiles
        return EngineCases.of(
            self._times.take(part.profile),
            servers.input_tokens[part.server],
            servers.output_tokens[part.server],
            part.max_batch,
            part.max_queue,
            input_cv=servers.input_cv[part.server],
            output_cv=servers.output_cv[part.server],
            arrival_cv=servers.arrival_cv[part.server],
            token_budget=profiles.token_budget[part.profile],
            kv_tokens=profiles.kv_tokens[part.profile],
            prefix_hit_rate=servers.prefix_hit_rate[part.server],
        )

    def distinct(self, replicas: Replicas) -> tuple[IntArray, IntArray]:
        """Return rows of which no two are the same to the sizing, and which of them each row is.

        What a replica can carry does not depend on how much its server must, but on how many
        there are where a router looks at them.
        """
        servers = self._arrays.servers
        router = servers.router[replicas.server]
        arrival_cv = servers.arrival_cv[replicas.server]
        looking = ~np.isin(router, list(INDEPENDENT))
        for own in INDEPENDENT:
            arrival_cv = np.where(
                router == own, share_cv(own, replicas.count, arrival_cv), arrival_cv
            )
        columns = [
            replicas.profile,
            replicas.max_batch,
            replicas.max_queue,
            arrival_cv,
            np.where(looking, router, -1),
            np.where(looking, replicas.count, 0.0),
            *(
                values[replicas.server]
                for values in (
                    servers.input_tokens,
                    servers.output_tokens,
                    servers.input_cv,
                    servers.output_cv,
                    servers.prefix_hit_rate,
                    servers.tps > 0,
                    *servers.limits_ms,
                )
            ),
        ]
        if not len(replicas.server):
            return replicas.server, replicas.server
        keys = np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])
        _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        return first.astype(np.int64), inverse.reshape(-1).astype(np.int64)

    def targets(self, server: IntArray) -> EngineTargets:
        """Return all that servers promise, and the bound on blocking."""
        limits = self._limits(server)
        by_latency = {
            latency: tuple(
                _target(statistic, limits_ms)
                for statistic, limits_ms in zip(self._statistics, limits, strict=True)
                if statistic.latency is latency and not np.isnan(limits_ms).all()
            )
            for latency in Latency
        }
        tps = self._arrays.servers.tps[server]
        return EngineTargets.of(
            len(server),
            ttft=by_latency[Latency.TTFT],
            itl=by_latency[Latency.ITL],
            e2e=by_latency[Latency.E2E],
            tps=np.where(tps > 0, tps, np.nan),
            max_blocking=self._max_blocking,
        )

    def single_targets(self, server: IntArray) -> Iterator[tuple[int, IntArray, EngineTargets]]:
        """Yield index of each statistic, rows that have a target of it, and that target alone."""
        limits = self._limits(server)
        for index, statistic in enumerate(self._statistics):
            rows = np.flatnonzero(~np.isnan(limits[index]))
            if len(rows):
                target = (_target(statistic, limits[index, rows]),)
                match statistic.latency:
                    case Latency.TTFT:
                        yield index, rows, EngineTargets.of(len(rows), ttft=target)
                    case Latency.ITL:
                        yield index, rows, EngineTargets.of(len(rows), itl=target)
                    case Latency.E2E:
                        yield index, rows, EngineTargets.of(len(rows), e2e=target)

    def blocking_bound(self, server: IntArray) -> EngineTargets:
        """Return the bound on blocking alone."""
        return EngineTargets.of(len(server), max_blocking=self._max_blocking)

    @property
    def _statistics(self) -> Sequence[Statistic]:
        return self._arrays.servers.statistics

    def _limits(self, server: IntArray) -> FloatArray:
        """Return the target of each statistic, NaN where there is none."""
        limits = self._arrays.servers.limits_ms[:, server]
        return np.where(np.isfinite(limits), limits, np.nan)


def _target(statistic: Statistic, limits_ms: FloatArray) -> LatencyTarget:
    percentile = np.nan if statistic.percentile is None else statistic.percentile
    return LatencyTarget.of(len(limits_ms), limits_ms, percentile)
