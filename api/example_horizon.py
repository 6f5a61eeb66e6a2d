"""A fleet with the demand of four hours, and its plan; a test compares them."""

from __future__ import annotations

from api import examples

REQUEST: dict[str, object] = {
    "fleet": examples.FLEET,
    "demand": [
        {"hour": 0, "server": "Premium-granite_13b", "arrival_rate_rps": 4.0},
        {"hour": 1, "server": "Premium-granite_13b", "arrival_rate_rps": 6.0},
        {"hour": 2, "server": "Premium-granite_13b", "arrival_rate_rps": 9.0},
        {"hour": 3, "server": "Premium-granite_13b", "arrival_rate_rps": 5.0},
    ],
    "options": {"reserved": {"price_factor": 0.6}, "start_up_hours": 1, "time_limit_s": 10.0},
}

PLAN: dict[str, object] = {
    "status": "optimal",
    "hours": 4,
    "currency": "USD",
    "analysis": "reference",
    "quantile": None,
    "start_up_hours": 1,
    "min_up_hours": 1,
    "confidence": 0.999,
    "cost": 5.4399999999999995,
    "bound": 5.4399999999999995,
    "gap": 0.0,
    "costs": {"reserved": 3.84, "on_demand": 1.6, "spot": 0.0, "switches": 0.0},
    "compared": {
        "hour_by_hour": 7.6000000000000005,
        "static": 9.600000000000001,
        "static_reserved": 5.76,
    },
    "cards": {
        "A100": {
            "price_per_hour": 0.4,
            "reserved": 4,
            "reserved_used": [4, 4, 4, 3],
            "on_demand": [0, 2, 2, 0],
            "spot": [0, 0, 0, 0],
            "available": [64, 64, 64, 64],
            "reserved_cost": 3.84,
            "on_demand_cost": 1.6,
            "spot_cost": 0.0,
        }
    },
    "servers": {
        "Premium-granite_13b": {
            "priority": 1,
            "switches": 0,
            "cost": 7.6000000000000005,
            "accelerator": ["A100", "A100", "A100", "A100"],
            "needed": [3, 4, 6, 3],
            "firm": [3, 4, 6, 3],
            "spot": [0, 0, 0, 0],
            "counted_spot": [0, 0, 0, 0],
            "runs": [
                {
                    "accelerator": "A100",
                    "configuration": None,
                    "card_type": "A100",
                    "cards_per_replica": 1,
                    "cost_per_hour": 0.4,
                    "firm": [3, 4, 6, 3],
                    "firm_starting": [1, 2, 0, 0],
                    "spot": [0, 0, 0, 0],
                    "spot_starting": [0, 0, 0, 0],
                }
            ],
        }
    },
    "unscheduled": {},
    "method": "milp",
    "notes": [],
    "timings_ms": {"candidates": 3.0, "solve": 21.0, "total": 26.0},
}
