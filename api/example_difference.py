"""Two plans, and what differs between them; a test compares it."""

from __future__ import annotations

REQUEST: dict[str, object] = {
    "before": {
        "status": "optimal",
        "objective": 1.32,
        "bound": 1.32,
        "gap": 0.0,
        "cost_per_hour": 1.2,
        "currency": "USD",
        "analysis": "reference",
        "method": "milp-exact",
        "allocations": {
            "chat": {
                "accelerator": "A100",
                "replicas": 3,
                "max_batch": 64,
                "cost_per_hour": 1.2,
                "value": 1.32,
                "max_rate_rps": 1.69414,
                "arrival_rate_rps": 4.0,
                "service_class": "Premium",
                "model": "granite_13b",
                "cards": 3,
                "card_type": "A100",
                "fully_served": True,
            }
        },
        "unplaced": {},
        "usage": {"A100": {"used": 3, "available": 64, "cost_per_hour": 1.2}},
        "services": [{"priority": 1, "servers": 1, "served": 1, "bound": 1}],
        "notes": [],
        "timings_ms": {},
    },
    "after": {
        "status": "optimal",
        "objective": 1.76,
        "bound": 1.76,
        "gap": 0.0,
        "cost_per_hour": 1.6,
        "currency": "USD",
        "analysis": "reference",
        "method": "milp-exact",
        "allocations": {
            "chat": {
                "accelerator": "A100",
                "replicas": 4,
                "max_batch": 64,
                "cost_per_hour": 1.6,
                "value": 1.76,
                "max_rate_rps": 1.69414,
                "arrival_rate_rps": 6.0,
                "service_class": "Premium",
                "model": "granite_13b",
                "cards": 4,
                "card_type": "A100",
                "fully_served": True,
            }
        },
        "unplaced": {},
        "usage": {"A100": {"used": 4, "available": 64, "cost_per_hour": 1.6}},
        "services": [{"priority": 1, "servers": 1, "served": 1, "bound": 1}],
        "notes": [],
        "timings_ms": {},
    },
}

DIFFERENCE: dict[str, object] = {
    "currency": "USD",
    "cost_per_hour": {"before": 1.2, "after": 1.6, "change": 0.4},
    "served": {"before": {"1": 1}, "after": {"1": 1}},
    "newly_served": [],
    "no_longer_served": [],
    "cards_used": {"A100": 1},
    "causes": [],
    "servers": {
        "chat": {
            "change": "resized",
            "before": {
                "accelerator": "A100",
                "configuration": None,
                "prefill_replicas": 0,
                "replicas": 3,
                "max_batch": 64,
                "shared_with": [],
                "pools": {},
                "cost_per_hour": 1.2,
                "fully_served": True,
                "mix": [],
            },
            "after": {
                "accelerator": "A100",
                "configuration": None,
                "prefill_replicas": 0,
                "replicas": 4,
                "max_batch": 64,
                "shared_with": [],
                "pools": {},
                "cost_per_hour": 1.6,
                "fully_served": True,
                "mix": [],
            },
            "cost_change": 0.4,
            "causes": [{"kind": "load", "of": None, "before": "4", "after": "6"}],
        }
    },
    "unchanged": 0,
    "words": [
        "cost 1.20 → 1.60 USD/h (+0.40)",
        "cards used: A100 +1",
        "1 server changed, 0 servers as before",
        "chat: 3 × A100 → 4 × A100 (+0.40 USD/h), because its load changed: 4 → 6 requests/s",
    ],
}
