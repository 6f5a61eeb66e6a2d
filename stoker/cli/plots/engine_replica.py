"""One replica of a plan as the analysis of the engine, `full`, sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.engine import EngineCases, EngineTargets, LatencyTarget
from queueing.engine.build import iteration_times
from queueing.engine.routing import INDEPENDENT, share_cv
from stoker.cli.plots.replica import profile_of, rate_per_replica
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency, Statistic
from stoker.domain.plan import Plan
from stoker.domain.settings import Analysis


@dataclass(frozen=True, slots=True)
class EngineReplica:
    """A replica at its share of a server's load.

    Attributes:
        server: Name of the server.
        accelerator: What it runs on.
        case: The replica, as the one row that the analysis takes.
        limits_ms: What its server promises: statistics of latencies, each with its limit in ms.
        tps: Output tokens per second promised; None for none.
        max_blocking: Share of the requests that may be turned away; None for no bound.
        arrival_rate_rps: Requests offered to this replica per second.
    """

    server: str
    accelerator: str
    case: EngineCases
    limits_ms: tuple[tuple[Statistic, float], ...]
    tps: float | None
    max_blocking: float | None
    arrival_rate_rps: float

    @property
    def max_batch(self) -> int:
        """Batch limit of the replica."""
        return int(self.case.max_batch[0])

    def targets(self, count: int = 1) -> EngineTargets:
        """Return all targets, for a number of cases alike."""

        def of(latency: Latency) -> tuple[LatencyTarget, ...]:
            return tuple(
                LatencyTarget.of(count, limit_ms, _given(statistic.percentile))
                for statistic, limit_ms in self.limits_ms
                if statistic.latency is latency
            )

        return EngineTargets.of(
            count,
            ttft=of(Latency.TTFT),
            itl=of(Latency.ITL),
            e2e=of(Latency.E2E),
            tps=_given(self.tps),
            max_blocking=_given(self.max_blocking),
        )


def planned_engine_replica(fleet: Fleet, plan: Plan, server: str) -> EngineReplica | None:
    """Return a replica of a server as it was planned, of a mix the part with most replicas.

    None where one replica cannot be redrawn: the server got nothing, has no load, its figures are
    somebody else's (no profile, queue limit unknown), another analysis made them, or its router
    looks at the replicas, so that none is like one alone.
    """
    if plan.analysis is not Analysis.FULL:
        return None
    item = next((item for item in plan.allocations if item.server == server), None)
    if item is None or not item.replicas or item.max_queue is None:
        return None
    if item.router not in INDEPENDENT:
        return None
    load = next((known.load for known in fleet.servers if known.name == server), None)
    profile = profile_of(fleet, item)
    rate = rate_per_replica(item)
    if load is None or profile is None or not rate > 0:
        return None
    case = EngineCases.of(
        iteration_times([profile.parameters]),
        load.input_tokens,
        load.output_tokens,
        float(item.max_batch),
        float(item.max_queue),
        input_cv=load.input_tokens_cv,
        output_cv=load.output_tokens_cv,
        arrival_cv=_own_cv(item, load.arrival_cv, rate),
        token_budget=float(profile.token_budget),
        kv_tokens=np.inf if profile.kv_tokens is None else float(profile.kv_tokens),
        prefix_hit_rate=load.prefix_hit_rate,
    )
    return EngineReplica(
        server=server,
        accelerator=profile.accelerator,
        case=case,
        limits_ms=tuple(item.targets.limits()) if item.targets else (),
        tps=item.tps_target,
        max_blocking=fleet.rules.max_blocking,
        arrival_rate_rps=rate,
    )


def costliest_engine_replica(fleet: Fleet, plan: Plan) -> EngineReplica | None:
    """Return a replica of the server that costs most, of those that can be redrawn."""
    for item in sorted(plan.allocations, key=lambda item: -item.cost_per_hour):
        found = planned_engine_replica(fleet, plan, item.server)
        if found is not None:
            return found
    return None


def _own_cv(item: PlannedAllocation, arrival_cv: float, rate_rps: float) -> float:
    """Return the variability of the arrivals at one replica, of those to all."""
    shares = np.array([item.arrival_rate_rps / rate_rps])
    return float(share_cv(item.router, shares, np.array([arrival_cv]))[0])


def _given(value: float | None) -> float:
    return np.nan if value is None else value
