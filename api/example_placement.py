"""A plan on nodes, and its placement; a test compares them."""

from __future__ import annotations

REQUEST: dict[str, object] = {
    "plan": {
        "allocations": {
            "chat": {"accelerator": "4xA100", "replicas": 3, "cards": 12, "card_type": "A100"}
        }
    },
    "nodes": [{"name": "gpu", "count": 2, "card_type": "A100", "cards": 8, "cards_taken": 1}],
    "strategy": "pack",
    "most_per_node": 2,
    "time_limit_s": 10.0,
}

PLACEMENT: dict[str, object] = {
    "status": "optimal",
    "complete": False,
    "strategy": "pack",
    "most_per_node": 2,
    "method": "milp",
    "goals": [
        {
            "name": "replicas placed, priority 1",
            "value": 2,
            "bound": 2,
            "maximized": True,
            "proven": True,
        },
        {
            "name": "idle nodes taken into use",
            "value": 0,
            "bound": 0,
            "maximized": False,
            "proven": True,
        },
        {
            "name": "idle link groups taken into use",
            "value": 0,
            "bound": 0,
            "maximized": False,
            "proven": True,
        },
    ],
    "placed": {
        "chat": [
            {
                "accelerator": "4xA100",
                "node": "gpu-1",
                "cards": 4,
                "link_groups": [{"group": 0, "cards": 4}],
            },
            {
                "accelerator": "4xA100",
                "node": "gpu-2",
                "cards": 4,
                "link_groups": [{"group": 0, "cards": 4}],
            },
        ]
    },
    "unfit": [
        {
            "server": "chat",
            "accelerator": "4xA100",
            "card_type": "A100",
            "cards_per_replica": 4,
            "replicas": 1,
            "reason": "fragmented",
            "detail": "6 of 14 free cards of A100 are left over, but at most 3 on one node, and a "
            "replica takes 4",
            "remedy": "add 1 node with 8 cards of A100 for everything on that type to fit; or move "
            "1 card taken on gpu-1 (1 to gpu-2) for one more replica",
        }
    ],
    "notes": [],
    "timings_ms": {"place": 2.1, "explain": 1.4},
}
