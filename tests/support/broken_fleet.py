"""The fleet whose world is broken: two servers, what they need, and the rules of their loop."""

from __future__ import annotations

from typing import Any

from demos.cluster.emulated import EmulatedWorkload
from emulator.load_phases import Constant, Load
from emulator.replica import ServedModel
from simulator import Engine, FixedLength, SeparateLengths
from stoker.domain.profile import TokenWorkParameters

CHAT, SEARCH = "chat", "search"
"""The server that suffers, and the one beside it."""
REPLICAS, NEEDED = {CHAT: 5, SEARCH: 2}, 2
"""Replicas while nothing shrinks, and those that the load of each needs."""

PERIOD_S, DOWN_WINDOW_S, WINDOW_S, SCRAPE_S = 6.0, 3.0, 5.0, 1.0
LEASE_S = 6.0
PACE_S = 1.0
"""Cycles are asked for this often: a loop may be told to begin one before its period is over."""
PATIENCE_S = 240.0

_TIMES = TokenWorkParameters(20.0, 0.12, 0.0008)
_MAX_BATCH, _INPUT, _OUTPUT, _RATE_RPS = 16, 50, 15, 54.0
PRODUCTS = {CHAT: ("H100", "NVIDIA-H100-80GB-HBM3"), SEARCH: ("L4", "NVIDIA-L4")}
CARDS = 8
"""Cards of each type."""


def fleet_document() -> dict[str, Any]:
    """The two servers, each on a type of card of its own."""
    return {
        "version": 1,
        "currency": "USD",
        "analysis": "reference",
        "accelerators": [
            {"name": card, "cost_per_hour": 3, "memory_gb": 80} for card, _ in PRODUCTS.values()
        ],
        "capacity": {card: CARDS for card, _ in PRODUCTS.values()},
        "profiles": [
            {
                "model": f"{server}-8b",
                "accelerator": card,
                "max_batch": _MAX_BATCH,
                "at_tokens": _OUTPUT,
                "parameters": {
                    "kind": "token-work",
                    "alpha_ms": _TIMES.alpha_ms,
                    "beta_ms": _TIMES.beta_ms,
                    "gamma_ms": _TIMES.gamma_ms,
                },
            }
            for server, (card, _) in PRODUCTS.items()
        ],
        "service_classes": [
            {
                "name": "interactive",
                "priority": 1,
                "targets": [
                    {"model": f"{server}-8b", "ttft_ms": 800, "itl_ms": 40} for server in PRODUCTS
                ],
            }
        ],
        "servers": [
            {
                "name": server,
                "service_class": "interactive",
                "model": f"{server}-8b",
                "load": "unknown",
                "min_replicas": 1,
            }
            for server in PRODUCTS
        ],
    }


def control_document() -> dict[str, Any]:
    """The rules: quick ones, and any smaller size is taken to after three seconds."""
    return {
        "version": 1,
        "kind": "control",
        "fleet": "fleet.yaml",
        "loop": {"mode": "act", "period_s": PERIOD_S, "deadline_s": PERIOD_S},
        "metrics": {"window_s": WINDOW_S, "stale_s": 5, "fresh_replica_s": 2, "timeout_s": 3},
        "forecast": {"method": "last", "quantile": 0.5, "startup_s": 1},
        "stability": {"scale_down_window_s": DOWN_WINDOW_S, "cooldown_down_s": 0},
        "correction": {"enabled": False},
        "lease": {"namespace": "stoker", "duration_s": LEASE_S, "renew_s": 1},
        "servers": [{"server": CHAT, "min_replicas": 1}, {"server": SEARCH, "min_replicas": 1}],
    }


def workload(server: str) -> EmulatedWorkload:
    """The pods of a server, and their load."""
    lengths = SeparateLengths(FixedLength(_INPUT), FixedLength(_OUTPUT))
    load = Load((Constant(_RATE_RPS, 36_000.0),), lengths)
    return EmulatedWorkload(server, ServedModel(f"{server}-8b", Engine(_TIMES, _MAX_BATCH)), load)
