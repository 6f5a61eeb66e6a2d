"""One replica of a plan as the analysis `reference` sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.cases import ReplicaCases
from queueing.service import LinearService, ServiceTimeModel, TokenWorkService
from queueing.targets import LatencyTargets
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.curve import IterationTable
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.profile import (
    LinearParameters,
    ModelProfile,
    OverlapParameters,
    ServiceParameters,
    TokenWorkParameters,
)
from stoker.domain.settings import Analysis
from stoker.domain.slo import SloTarget
from stoker.domain.workload import Load


@dataclass(frozen=True, slots=True)
class PlannedReplica:
    """A replica at its share of a server's load.

    Attributes:
        server: Name of the server.
        accelerator: What it runs on.
        case: The replica, as the one row that the analysis takes.
        targets: Its targets, likewise; those of the fleet's rules among them.
        arrival_rate_rps: Requests offered to this replica per second.
    """

    server: str
    accelerator: str
    case: ReplicaCases
    targets: LatencyTargets
    arrival_rate_rps: float

    @property
    def max_batch(self) -> int:
        """Batch limit of the replica."""
        return int(self.case.max_batch[0])

    @property
    def max_queue(self) -> int:
        """Queue limit of the replica."""
        return int(self.case.max_queue[0])

    @property
    def ttft_target_ms(self) -> float | None:
        """Target of mean TTFT; None where there is none."""
        return _known(self.targets.ttft_ms[0])

    @property
    def itl_target_ms(self) -> float | None:
        """Target of mean ITL; None where there is none."""
        return _known(self.targets.itl_ms[0])


def planned_replica(fleet: Fleet, plan: Plan, server: str) -> PlannedReplica | None:
    """Return a replica of a server as it was planned, of a mix the part with most replicas.

    None where the reference analysis cannot redraw it: the server got nothing, has no load, its
    figures are somebody else's (no profile, queue limit unknown), another analysis made them, or
    its profile is a measured curve or of the model `overlap`.
    """
    if plan.analysis is not Analysis.REFERENCE:
        return None
    item = next((item for item in plan.allocations if item.server == server), None)
    if item is None or not item.replicas or item.max_queue is None:
        return None
    load = next((known.load for known in fleet.servers if known.name == server), None)
    profile = profile_of(fleet, item)
    rate = rate_per_replica(item)
    if load is None or profile is None or not rate > 0:
        return None
    service = _service(profile.parameters)
    if service is None:
        return None
    return PlannedReplica(
        server=server,
        accelerator=profile.accelerator,
        case=_case(service, load, item.max_batch, item.max_queue),
        targets=_targets(fleet, item),
        arrival_rate_rps=rate,
    )


def costliest_replica(fleet: Fleet, plan: Plan) -> PlannedReplica | None:
    """Return a replica of the server that costs most, of those that can be redrawn."""
    for item in sorted(plan.allocations, key=lambda item: -item.cost_per_hour):
        found = planned_replica(fleet, plan, item.server)
        if found is not None:
            return found
    return None


def profile_of(fleet: Fleet, item: PlannedAllocation) -> ModelProfile | None:
    """Return the profile that an allocation rests on; None where no one profile tells it all.

    That is where the fleet has none, and where prefill and decode are apart.
    """
    if item.pools:
        return None
    return next(
        (
            profile
            for profile in fleet.profiles
            if (profile.model, profile.accelerator, profile.configuration)
            == (item.model, item.accelerator, item.configuration)
        ),
        None,
    )


def rate_per_replica(item: PlannedAllocation) -> float:
    """Return the requests per second that one replica of its main accelerator gets.

    Of a replica that has several engines, those of one engine.
    """
    engines = item.parallel.data if item.parallel else 1
    for part in item.mix:
        if (part.accelerator, part.configuration) == (item.accelerator, item.configuration):
            return part.arrival_rate_rps / engines
    return item.arrival_rate_rps / item.replicas / engines


def _service(parameters: ServiceParameters) -> ServiceTimeModel | None:
    """Return the model of the reference, which has none for curves and `overlap`."""
    match parameters:
        case LinearParameters(alpha, beta, gamma, delta):
            return LinearService.of(alpha, beta, gamma, delta)
        case TokenWorkParameters(alpha, beta, gamma):
            return TokenWorkService.of(alpha, beta, gamma)
        case IterationTable() | OverlapParameters():
            return None


def _case(service: ServiceTimeModel, load: Load, max_batch: int, max_queue: int) -> ReplicaCases:
    return ReplicaCases(
        service=service,
        input_tokens=np.array([load.input_tokens]),
        output_tokens=np.array([load.output_tokens]),
        max_batch=np.array([float(max_batch)]),
        max_queue=np.array([float(max_queue)]),
    )


def _targets(fleet: Fleet, item: PlannedAllocation) -> LatencyTargets:
    def given(value: float | None) -> float:
        return np.nan if value is None else value

    target = SloTarget(item.model, item.ttft_target_ms, item.itl_target_ms, item.tps_target)
    return LatencyTargets.of(
        1,
        ttft_ms=given(target.ttft_ms),
        itl_ms=given(target.itl_ms),
        tps=given(target.tps),
        max_blocking=given(fleet.rules.max_blocking),
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
