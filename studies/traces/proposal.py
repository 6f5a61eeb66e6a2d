"""What planning proposes: replicas for a load, by the same planner that plans fleets."""

from __future__ import annotations

from optimizer.planner import plan_fleet
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency
from stoker.domain.routing import Router
from stoker.domain.server import Server
from stoker.domain.settings import Analysis, OptimizerSettings
from stoker.domain.slo import PercentileTarget, ServiceClass, SloTarget
from stoker.domain.workload import Load
from studies.traces.goal import TraceGoal
from studies.traces.replica import ReplicaOption

_LARGEST_PERCENTILE = 99.99
"""In place of a share of all requests, which no analysis can promise."""


def planned_replicas(
    option: ReplicaOption, load: Load, goal: TraceGoal, router: Router
) -> int | None:
    """Return the replicas that a plan gives to a load; None where it finds none that do.

    The targets are planned as percentiles, each by itself: the share of the goal is that of each.
    """
    percentile = min(100 * goal.share, _LARGEST_PERCENTILE)
    promises = tuple(
        PercentileTarget(latency, percentile, limit)
        for latency, limit in goal.limits()
        if latency is not Latency.ITL or load.output_tokens > 1
    )
    model = option.profile.model
    fleet = Fleet(
        currency="USD",
        accelerators=(option.accelerator,),
        capacity=(),
        profiles=(option.profile,),
        service_classes=(ServiceClass("trace", 1, (SloTarget(model, percentiles=promises),)),),
        servers=(
            Server(
                "trace",
                "trace",
                model,
                load,
                min_replicas=1,
                max_batch=option.max_batch,
                router=router,
            ),
        ),
    )
    settings = OptimizerSettings(unlimited=True, analysis=Analysis.FULL)
    try:
        plan = plan_fleet(fleet, settings)
    except InvalidInputError:
        return None
    placed = [item for item in plan.allocations if item.server == "trace" and item.fully_served]
    return placed[0].replicas if placed else None
