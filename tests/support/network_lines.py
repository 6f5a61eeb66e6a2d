"""Cases about fleets behind a router and about two pools, and asking about one."""

from __future__ import annotations

import json
from typing import Any

from tests.support.replica_cli import Answer, read_strictly, run
from tests.support.simulation_cli import simulate

REPLICA: dict[str, Any] = {
    "maxBatchSize": 16,
    "maxQueueSize": 160,
    "avgInputTokens": 512,
    "avgOutputTokens": 128,
    "inputTokensCV": 0.5,
    "outputTokensCV": 0.5,
    "alpha": 8,
    "beta": 0.03,
    "gamma": 0.0003,
    "percentiles": [50, 95],
}
FLEET = REPLICA | {"replicas": 4, "router": "shortest-queue", "RPS": 20}
POOLS = REPLICA | {
    "prefillReplicas": 2,
    "decodeReplicas": 3,
    "prefillMaxBatchSize": 4,
    "maxBatchSize": 32,
    "transferMs": 10,
    "transferMsPerToken": 0.005,
    "RPS": 24,
}
CARDS = {name: POOLS[name] for name in POOLS if name not in ("prefillReplicas", "decodeReplicas")}
CARDS |= {"cards": 5}
ROUTERS = ("random", "round-robin", "shortest-queue", "least-kv")
DISTRIBUTIONS = ("ttft_ms", "itl_ms", "token_itl_ms", "e2e_ms", "wait_ms")


def one(question: str, case: dict[str, Any], *arguments: str) -> Answer:
    (answer,) = run(question, "-", *arguments, stdin=json.dumps(case)).answers
    return answer


def played(case: dict[str, Any], requests: int = 40_000) -> Answer:
    result = simulate("-", stdin=json.dumps(case | {"requests": requests, "seed": 4}))
    return read_strictly(result.stdout)
