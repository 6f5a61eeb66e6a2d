"""Pools, limits and objectives of plans as documents; nothing of plans without them."""

from __future__ import annotations

import math

from stoker.domain.allocation import PlannedAllocation
from stoker.domain.plan import Plan

Json = dict[str, object]


def pools_of_plan(plan: Plan) -> Json:
    """Return what a plan says of pools, limits and objectives; empty where it says nothing."""
    document: Json = {}
    if plan.pools:
        document = {
            "pools": {
                item.pool: {
                    "card_type": item.card_type,
                    "region": item.region,
                    "zone": item.zone,
                    "cluster": item.cluster,
                    "price_kind": item.price_kind.value,
                    "used": item.used,
                    "available": item.available,
                    "replicas": item.replicas,
                    "cost_per_hour": _fine(item.cost_per_hour),
                    "interruptions_per_hour": _fine(item.interruptions_per_hour),
                }
                for item in plan.pools
            },
            "limits": {
                item.name: {
                    "used": _fine(item.used),
                    "limit": _fine(item.limit),
                    "unit": item.unit or f"{plan.currency} per hour",
                }
                for item in plan.limits
            },
            "objectives": [
                {
                    "name": item.name,
                    "value": _fine(item.value),
                    "bound": _fine(item.bound),
                    "unit": item.unit,
                }
                for item in plan.objectives
            ],
        }
    if plan.surge != 1.0 or plan.pools:
        document["surge"] = plan.surge
    return document


def placements_of(item: PlannedAllocation) -> Json:
    """Return where the replicas of an allocation stand; empty where that is not told."""
    if not item.placements:
        return {}
    return {
        "placements": [
            {
                "pool": part.pool,
                "replicas": part.replicas,
                "cards": part.cards,
                "price_kind": part.price_kind.value,
                "cost_per_hour": _fine(part.cost_per_hour),
            }
            for part in item.placements
        ],
        "spare_replicas": item.spare_replicas,
        "power_w": _fine(item.power_w),
        "idle_power_w": _fine(item.idle_power_w),
    }


def placement_words(item: PlannedAllocation) -> str:
    """Return the placements of an allocation in one cell: ``eu-a=3; eu-b=2``."""
    return "; ".join(f"{part.pool}={part.replicas}" for part in item.placements)


def _fine(value: float | None) -> float | None:
    """Return a figure without the noise of binary fractions; None where it is unknown."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.12g}")
