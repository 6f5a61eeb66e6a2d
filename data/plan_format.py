"""Plans as documents: Stoker's own JSON, and the reference's answer.

What is unknown is null, never NaN and never zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace

from data.inferno import InfernoAllocation, load_to_inferno, to_json
from data.latency_fields import target_value
from data.plan_pools import placements_of, pools_of_plan
from stoker.domain.allocation import BatchChoice, MixPart, PlannedAllocation, PoolPart
from stoker.domain.fleet import Fleet
from stoker.domain.latency import (
    MEAN,
    Latency,
    LatencyStatistics,
    percentile_name,
)
from stoker.domain.plan import Plan, Unplaced
from stoker.domain.serving import Parallelism
from stoker.domain.slo import SloTarget
from stoker.domain.units import cents_from_units
from stoker.domain.workload import Load

Json = dict[str, object]

_MONEY_DIGITS = 12
"""Significant digits of money: more than any price has, fewer than binary noise needs."""


def plan_to_document(plan: Plan) -> Json:
    """Return a plan as JSON with units in its names; the order of keys is fixed."""
    return {
        "status": plan.status.value,
        "objective": money(plan.objective),
        "bound": money(plan.bound),
        "gap": known(plan.gap),
        "cost_per_hour": money(plan.cost_per_hour),
        "currency": plan.currency,
        "analysis": plan.analysis.value,
        "method": plan.method,
        "backend": plan.backend or None,
        "allocations": {item.server: _allocation(item) for item in plan.allocations},
        "unplaced": {item.server: _unplaced(item) for item in plan.unplaced},
        "usage": {
            item.card_type: {
                "used": item.used,
                "available": item.available,
                "cost_per_hour": money(item.cost_per_hour),
            }
            for item in plan.usage
        },
        "services": [
            {
                "priority": item.priority,
                "servers": item.servers,
                "served": item.served,
                "bound": item.bound,
            }
            for item in plan.services
        ],
        "notes": list(plan.notes),
        "timings_ms": {phase: known(value) for phase, value in plan.timings_ms.items()},
        **pools_of_plan(plan),
    }


def known(value: float | None) -> float | None:
    """Return a figure, or None where it is unknown or no finite number (JSON has none other)."""
    return value if value is not None and math.isfinite(value) else None


def money(amount: float | None) -> float | None:
    """Return an amount without the noise of binary fractions (0.6900000000000001)."""
    exact = known(amount)
    return None if exact is None else float(f"{exact:.{_MONEY_DIGITS}g}")


def _allocation(item: PlannedAllocation) -> Json:
    document: Json = {
        "accelerator": item.accelerator,
        "configuration": item.configuration or None,
        "parallel": _parallel(item.parallel),
        "serving": item.serving.value,
        "sliced": item.sliced,
        "replicas": item.replicas,
        "router": item.router.label,
        "max_batch": item.max_batch,
        "batch_choice": _batch_choice(item.batch_choice),
        "max_queue": item.max_queue,
        "cost_per_hour": money(item.cost_per_hour),
        "value": money(item.value),
        "ttft_ms": known(item.ttft_ms),
        "itl_ms": known(item.itl_ms),
        "utilization": known(item.utilization),
        "blocking": known(item.blocking),
        "max_rate_rps": known(item.max_rate_rps),
        "arrival_rate_rps": known(item.arrival_rate_rps),
        "service_class": item.service_class,
        "model": item.model,
        "cards": item.cards,
        "card_type": item.card_type,
        "fully_served": item.fully_served,
        "estimate": item.estimate.value if item.estimate is not None else None,
        "targets": _targets(item),
        "binding": item.binding,
        "kv_use": known(item.kv_use),
        "preemptions_per_request": known(item.preemptions_per_request),
        "latencies": _latencies(item.latencies),
    }
    if item.pools:
        document["pools"] = [_pool(pool) for pool in item.pools]
    if item.shared_with:
        document |= {
            "shared_with": list(item.shared_with),
            "counted_with": item.counted_with,
            "engine_priority": item.engine_priority,
        }
    document |= placements_of(item)
    if item.mix:
        document["mix"] = [_part(part) for part in item.mix]
    return document


def _parallel(parallel: Parallelism | None) -> Json | None:
    """Return all degrees; null where they are not told."""
    return None if parallel is None else asdict(parallel)


def _pool(pool: PoolPart) -> Json:
    return {
        "role": pool.role,
        "configuration": pool.configuration or None,
        "parallel": _parallel(pool.parallel),
        "replicas": pool.replicas,
        "router": pool.router.label,
        "max_batch": pool.max_batch,
        "cards": pool.cards,
        "cost_per_hour": money(pool.cost_per_hour),
    }


def _targets(item: PlannedAllocation) -> Json:
    """Return the targets as a fleet's document has them: numbers, or by statistic."""
    promised = item.targets or SloTarget("")
    return {
        "ttft_ms": target_value(Latency.TTFT, known(item.ttft_target_ms), promised.percentiles),
        "itl_ms": target_value(Latency.ITL, known(item.itl_target_ms), promised.percentiles),
        "e2e_ms": target_value(Latency.E2E, known(promised.e2e_ms), promised.percentiles),
        "tps": known(item.tps_target),
    }


def _latencies(latencies: Mapping[Latency, LatencyStatistics]) -> Json | None:
    """Return mean and percentiles by latency; null where the analysis knows means alone."""
    if not latencies:
        return None
    return {
        latency.value: {MEAN: known(figures.mean_ms)}
        | {percentile_name(at): known(value) for at, value in figures.percentiles_ms.items()}
        for latency, figures in latencies.items()
    }


def _batch_choice(choice: BatchChoice | None) -> Json | None:
    """Return what a batch limit was preferred to; null where it was not chosen."""
    if choice is None:
        return None
    return {
        "largest": choice.largest,
        "max_rate_rps": known(choice.max_rate_rps),
        "binding": choice.binding,
    }


def _part(part: MixPart) -> Json:
    return {
        "accelerator": part.accelerator,
        "configuration": part.configuration or None,
        "parallel": _parallel(part.parallel),
        "replicas": part.replicas,
        "max_batch": part.max_batch,
        "batch_choice": _batch_choice(part.batch_choice),
        "cost_per_hour": money(part.cost_per_hour),
        "cards": part.cards,
        "card_type": part.card_type,
        "arrival_rate_rps": known(part.arrival_rate_rps),
        "ttft_ms": known(part.ttft_ms),
        "itl_ms": known(part.itl_ms),
        "utilization": known(part.utilization),
        "blocking": known(part.blocking),
        "estimate": part.estimate.value if part.estimate is not None else None,
        "max_rate_rps": known(part.max_rate_rps),
        "binding": part.binding,
        "kv_use": known(part.kv_use),
        "preemptions_per_request": known(part.preemptions_per_request),
        "latencies": _latencies(part.latencies),
    }


def _unplaced(item: Unplaced) -> Json:
    return {
        "reason": item.reason.value,
        "detail": item.detail,
        "remedy": item.remedy,
        "rejections": {name: why.value for name, why in item.rejections.items()},
    }


def plan_to_inferno(plan: Plan, fleet: Fleet) -> Json:
    """Return a plan as the reference answers: ``{"allocations": {server: allocation}}``.

    Costs are in cents per hour and rates per minute; an empty allocation has the accelerator
    "". A latency that is unknown is 0, the reference's way to say so. The reference knows no
    mixes: one has the accelerator of its largest part with the replicas, the cost and the load
    of all parts, and lists them as allocations of their own under ``mix``.

    Args:
        plan: The plan.
        fleet: The fleet it was made for, which tells the loads.
    """
    loads = {server.name: server.load for server in fleet.servers}
    return {
        "allocations": {
            item.server: _inferno_allocation(item, loads.get(item.server))
            for item in plan.allocations
        }
    }


def _inferno_allocation(item: PlannedAllocation, load: Load | None) -> Json:
    document = _inferno_figures(item, load)
    if len(item.mix) > 1:
        document["mix"] = [_inferno_figures(part, _share(part, load)) for part in item.mix]
    return document


def _inferno_figures(item: PlannedAllocation | MixPart, load: Load | None) -> Json:
    return to_json(
        InfernoAllocation(
            accelerator=item.accelerator or "",
            num_replicas=item.replicas,
            max_batch=item.max_batch,
            cost=cents_from_units(money(item.cost_per_hour) or 0.0),
            itl_average=known(item.itl_ms) or 0.0,
            ttft_average=known(item.ttft_ms) or 0.0,
            load=load_to_inferno(load) if load else None,
        )
    )


def _share(part: MixPart, load: Load | None) -> Load | None:
    """Return the load that all replicas of a part take together."""
    if load is None:
        return None
    rate_rps = part.replicas * part.arrival_rate_rps
    return replace(load, arrival_rate_rps=rate_rps, throughput_rps=None)
