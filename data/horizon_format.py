"""Plans of a horizon as documents and tables. What is unknown is null or empty, never zero."""

from __future__ import annotations

import csv
import io

from stoker.domain.horizon import HorizonPlan, ServerSchedule

Json = dict[str, object]

_COLUMNS = (
    "hour",
    "server",
    "accelerator",
    "configuration",
    "card_type",
    "needed",
    "firm",
    "firm_starting",
    "spot",
    "spot_starting",
    "cards",
)


def horizon_to_document(plan: HorizonPlan) -> Json:
    """Return a plan as a document."""
    terms = plan.terms
    return {
        "status": plan.status.value,
        "hours": plan.hours,
        "currency": plan.currency,
        "analysis": plan.analysis.value,
        "quantile": plan.quantile,
        "start_up_hours": terms.start_up_hours,
        "min_up_hours": terms.min_up_hours,
        "confidence": terms.confidence,
        "cost": plan.cost,
        "bound": plan.bound,
        "gap": plan.gap,
        "costs": {
            "reserved": plan.reserved_cost,
            "on_demand": plan.on_demand_cost,
            "spot": plan.spot_cost,
            "switches": plan.switch_cost,
        },
        "compared": {
            "hour_by_hour": plan.hour_by_hour_cost,
            "static": plan.static_cost,
            "static_reserved": plan.static_reserved_cost,
        },
        "cards": {
            item.card_type: {
                "price_per_hour": item.price_per_hour,
                "reserved": item.reserved,
                "reserved_used": list(item.reserved_used),
                "on_demand": list(item.on_demand),
                "spot": list(item.spot),
                "available": None if item.available is None else list(item.available),
                "reserved_cost": item.reserved_cost,
                "on_demand_cost": item.on_demand_cost,
                "spot_cost": item.spot_cost,
            }
            for item in plan.cards
        },
        "servers": {item.server: _server(item) for item in plan.schedules},
        "unscheduled": {
            item.server: {"reason": item.reason, "detail": item.detail} for item in plan.unscheduled
        },
        "method": plan.method,
        "notes": list(plan.notes),
        "timings_ms": dict(plan.timings_ms),
    }


def _server(item: ServerSchedule) -> Json:
    return {
        "priority": item.priority,
        "switches": item.switches,
        "cost": item.cost,
        "accelerator": [hour.accelerator for hour in item.hours],
        "needed": [hour.needed for hour in item.hours],
        "firm": [hour.firm for hour in item.hours],
        "spot": [hour.spot for hour in item.hours],
        "counted_spot": [hour.counted_spot for hour in item.hours],
        "runs": [
            {
                "accelerator": run.accelerator,
                "configuration": run.configuration,
                "card_type": run.card_type,
                "cards_per_replica": run.cards_per_replica,
                "cost_per_hour": run.cost_per_hour,
                "firm": list(run.firm),
                "firm_starting": list(run.firm_starting),
                "spot": list(run.spot),
                "spot_starting": list(run.spot_starting),
            }
            for run in item.runs
        ],
    }


def horizon_to_csv(plan: HorizonPlan) -> str:
    """Return the replicas as CSV: a row for each server, hour and accelerator that has any."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for item in plan.schedules:
        for hour in range(plan.hours):
            for run in item.runs:
                counts = (run.firm, run.firm_starting, run.spot, run.spot_starting)
                held = [count[hour] for count in counts]
                active = item.hours[hour].accelerator == run.accelerator
                if any(held):
                    writer.writerow(
                        [
                            hour,
                            item.server,
                            run.accelerator,
                            run.configuration or "",
                            run.card_type,
                            item.hours[hour].needed if active else "",
                            *held,
                            sum(held) * run.cards_per_replica,
                        ]
                    )
    return text.getvalue()
