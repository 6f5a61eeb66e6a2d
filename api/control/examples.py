"""Examples of what a control loop answers, for its description."""

from __future__ import annotations

_WORKLOAD = "Deployment models/chat"
_TARGET: dict[str, object] = {
    "workload": _WORKLOAD,
    "accelerator": "H100",
    "replicas": 4,
    "replicas_before": 2,
    "max_batch": None,
}
DECISION: dict[str, object] = {
    "direction": "up",
    "wanted_replicas": 4,
    "wanted_accelerator": "H100",
    "held": ["awaits_approval"],
    "reason": "",
    "targets": [_TARGET],
}
_PLAN = "3f2a9c0d41be"
_AT = 1_796_104_800.0

PENDING: dict[str, object] = {
    "mode": "advise",
    "leader": True,
    "plan": {
        "id": _PLAN,
        "servers": ["chat"],
        "cycle": 12,
        "at": _AT,
        "approved": [],
        "decisions": {"chat": DECISION},
    },
    "rejected": {},
}
APPROVED: dict[str, object] = {"plan": _PLAN, "approved": {"chat": DECISION}}
REJECTED: dict[str, object] = {"plan": _PLAN, "rejected": {"chat": DECISION}}
PAUSED: dict[str, object] = {"paused": {"since": _AT, "reason": "Maintenance of the nodes."}}
HISTORY: dict[str, object] = {
    "cycles": [
        {
            "cycle": 13,
            "at": _AT,
            "mode": "advise",
            "leader": True,
            "paused": False,
            "dry_run": False,
            "fleet_version": "5d0c7a",
            "took_s": 0.42,
            "plan_status": "optimal",
            "cost_per_hour": 12.0,
            "servers_count": 1,
            "load_unknown": [],
            "held": [],
            "problems": [],
            "proposal": None,
            "changes": [
                {
                    "workload": _WORKLOAD,
                    "replicas": 4,
                    "replicas_before": 2,
                    "outcome": "applied",
                    "detail": "",
                }
            ],
        }
    ],
    "next": None,
}
