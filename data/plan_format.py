"""Plans as documents: Stoker's own JSON, the reference's answer, and CSV.

What is unknown is null (empty in CSV), never NaN and never zero.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import replace

from data.inferno import InfernoAllocation, load_to_inferno, to_json
from data.wording import shown
from stoker.domain.fleet import Fleet
from stoker.domain.plan import MixPart, Plan, PlannedAllocation, Unplaced
from stoker.domain.units import cents_from_units
from stoker.domain.workload import Load

Json = dict[str, object]

_MONEY_DIGITS = 12
"""Significant digits of money: more than any price has, fewer than binary noise needs."""

_CSV_COLUMNS = (
    "server",
    "service_class",
    "model",
    "accelerator",
    "replicas",
    "max_batch",
    "max_queue",
    "cards",
    "card_type",
    "cost_per_hour",
    "currency",
    "arrival_rate_rps",
    "max_rate_rps",
    "ttft_ms",
    "ttft_target_ms",
    "itl_ms",
    "itl_target_ms",
    "tps_target",
    "utilization",
    "blocking",
    "fully_served",
    "unplaced_reason",
)


def plan_to_document(plan: Plan) -> Json:
    """Return a plan as JSON with units in its names; the order of keys is fixed."""
    return {
        "status": plan.status.value,
        "objective": _money(plan.objective),
        "bound": _money(plan.bound),
        "gap": _known(plan.gap),
        "cost_per_hour": _money(plan.cost_per_hour),
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
                "cost_per_hour": _money(item.cost_per_hour),
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
        "timings_ms": {phase: _known(value) for phase, value in plan.timings_ms.items()},
    }


def _known(value: float | None) -> float | None:
    """Return a figure, or None where it is unknown or no finite number (JSON has none other)."""
    return value if value is not None and math.isfinite(value) else None


def _money(amount: float | None) -> float | None:
    """Return an amount without the noise of binary fractions (0.6900000000000001)."""
    known = _known(amount)
    return None if known is None else float(f"{known:.{_MONEY_DIGITS}g}")


def _allocation(item: PlannedAllocation) -> Json:
    document: Json = {
        "accelerator": item.accelerator,
        "replicas": item.replicas,
        "max_batch": item.max_batch,
        "max_queue": item.max_queue,
        "cost_per_hour": _money(item.cost_per_hour),
        "value": _money(item.value),
        "ttft_ms": _known(item.ttft_ms),
        "itl_ms": _known(item.itl_ms),
        "utilization": _known(item.utilization),
        "blocking": _known(item.blocking),
        "max_rate_rps": _known(item.max_rate_rps),
        "arrival_rate_rps": _known(item.arrival_rate_rps),
        "service_class": item.service_class,
        "model": item.model,
        "cards": item.cards,
        "card_type": item.card_type,
        "fully_served": item.fully_served,
        "estimate": item.estimate.value if item.estimate is not None else None,
        "targets": {
            "ttft_ms": _known(item.ttft_target_ms),
            "itl_ms": _known(item.itl_target_ms),
            "tps": _known(item.tps_target),
        },
    }
    if item.mix:
        document["mix"] = [_part(part) for part in item.mix]
    return document


def _part(part: MixPart) -> Json:
    return {
        "accelerator": part.accelerator,
        "replicas": part.replicas,
        "max_batch": part.max_batch,
        "cost_per_hour": _money(part.cost_per_hour),
        "cards": part.cards,
        "card_type": part.card_type,
        "arrival_rate_rps": _known(part.arrival_rate_rps),
        "ttft_ms": _known(part.ttft_ms),
        "itl_ms": _known(part.itl_ms),
        "utilization": _known(part.utilization),
        "blocking": _known(part.blocking),
        "max_rate_rps": _known(part.max_rate_rps),
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
            cost=cents_from_units(_money(item.cost_per_hour) or 0.0),
            itl_average=_known(item.itl_ms) or 0.0,
            ttft_average=_known(item.ttft_ms) or 0.0,
            load=load_to_inferno(load) if load else None,
        )
    )


def _share(part: MixPart, load: Load | None) -> Load | None:
    """Return the load that all replicas of a part take together."""
    if load is None:
        return None
    rate_rps = part.replicas * part.arrival_rate_rps
    return replace(load, arrival_rate_rps=rate_rps, throughput_rps=None)


def plan_to_csv(plan: Plan) -> str:
    """Return a plan as CSV: a row for each allocation, and for each part of a mixed one.

    A server that got nothing has a row with the reason and no accelerator.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(plan))
    return text.getvalue()


def _rows(plan: Plan) -> Iterator[Json]:
    reasons = {item.server: item.reason.value for item in plan.unplaced}
    for item in plan.allocations:
        common: Json = {
            "server": item.server,
            "service_class": item.service_class,
            "model": item.model,
            "max_queue": item.max_queue,
            "currency": plan.currency,
            "ttft_target_ms": _known(item.ttft_target_ms),
            "itl_target_ms": _known(item.itl_target_ms),
            "tps_target": _known(item.tps_target),
            "fully_served": shown(item.fully_served),
            "unplaced_reason": reasons.pop(item.server, None),
        }
        for figures in item.mix or (item,):
            yield common | {
                "accelerator": figures.accelerator,
                "replicas": figures.replicas,
                "max_batch": figures.max_batch,
                "cards": figures.cards,
                "card_type": figures.card_type,
                "cost_per_hour": _money(figures.cost_per_hour),
                "arrival_rate_rps": _known(figures.arrival_rate_rps),
                "max_rate_rps": _known(figures.max_rate_rps),
                "ttft_ms": _known(figures.ttft_ms),
                "itl_ms": _known(figures.itl_ms),
                "utilization": _known(figures.utilization),
                "blocking": _known(figures.blocking),
            }
    for server, reason in reasons.items():
        yield {
            "server": server,
            "currency": plan.currency,
            "fully_served": shown(False),
            "unplaced_reason": reason,
        }
