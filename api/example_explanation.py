"""The explanation of the plan of `api.examples.FLEET`; a test compares it."""

from __future__ import annotations

from api import example_answers

EXPLAINED: dict[str, object] = {
    "plan": example_answers.PLAN,
    "explanation": {
        "currency": "USD",
        "cost_per_hour": 1.2,
        "objective": 1.32,
        "method": "milp-exact",
        "allocations": {
            "Premium-granite_13b": {
                "accelerator": "A100",
                "configuration": None,
                "replicas": 3,
                "shared_with": [],
                "cost_per_hour": 1.2,
                "fully_served": True,
                "estimate": "declared",
                "binding": "itl_ms.mean",
                "count_limit": "load",
                "spare_replicas": 0,
                "spare_for": [],
                "choice_limit": "only_one",
                "keep_accelerator": False,
                "preferred": None,
                "margins": [
                    {
                        "statistic": "ttft_ms.mean",
                        "predicted_ms": 71.5366,
                        "target_ms": 500.0,
                        "margin_ms": 428.463,
                        "margin_share": 0.856927,
                    },
                    {
                        "statistic": "itl_ms.mean",
                        "predicted_ms": 33.6012,
                        "target_ms": 40.0,
                        "margin_ms": 6.39883,
                        "margin_share": 0.159971,
                    },
                ],
                "load_headroom": 0.270605,
                "runner_up": {
                    "without": "A100",
                    "without_sharing_with": [],
                    "own": {
                        "served": False,
                        "cost_per_hour": 0.0,
                        "value": 0.0,
                        "pools": {},
                        "shared_with": [],
                        "parts": [],
                    },
                    "own_cost_change": None,
                    "plan": {
                        "evidence": "proven",
                        "served_change": {"1": -1},
                        "value_change": -1.32,
                        "cost_change": -1.2,
                        "value_change_error": {"below": 0.0, "above": 0.0},
                        "no_longer_served": ["Premium-granite_13b"],
                        "newly_served": [],
                        "moved": [],
                        "objectives": [],
                    },
                },
                "forbidden": [
                    {
                        "without": "A100",
                        "without_sharing_with": [],
                        "own": {
                            "served": False,
                            "cost_per_hour": 0.0,
                            "value": 0.0,
                            "pools": {},
                            "shared_with": [],
                            "parts": [],
                        },
                        "own_cost_change": None,
                        "plan": {
                            "evidence": "proven",
                            "served_change": {"1": -1},
                            "value_change": -1.32,
                            "cost_change": -1.2,
                            "value_change_error": {"below": 0.0, "above": 0.0},
                            "no_longer_served": ["Premium-granite_13b"],
                            "newly_served": [],
                            "moved": [],
                            "objectives": [],
                        },
                    }
                ],
                "options": [
                    {
                        "accelerator": "A100",
                        "replicas": 3,
                        "max_batch": 64,
                        "configuration": None,
                        "prefill_replicas": 0,
                        "cost_per_hour": 1.2,
                        "value": 1.32,
                        "cards": 3,
                        "card_type": "A100",
                        "fits": True,
                        "enough_cards": True,
                    }
                ],
                "replica_range": None,
            }
        },
        "unplaced": {},
        "shadow_prices": [
            {
                "kind": "cards",
                "of": "A100",
                "amount": 1.0,
                "used": 3,
                "available": 64,
                "plan": {
                    "evidence": "proven",
                    "served_change": {},
                    "value_change": 0.0,
                    "cost_change": 0.0,
                    "value_change_error": {"below": 0.0, "above": 0.0},
                    "no_longer_served": [],
                    "newly_served": [],
                    "moved": [],
                    "objectives": [],
                },
            }
        ],
        "regret": None,
        "notes": [],
    },
}
