"""Examples of requests, shown in the documentation and sent by the tests."""

from __future__ import annotations

ACCELERATOR: dict[str, object] = {
    "name": "A100",
    "type": "A100",
    "multiplicity": 1,
    "memSize": 80,
    "memBW": 2000,
    "power": {"idle": 150, "full": 400, "midPower": 320, "midUtil": 0.6},
    "cost": 40.0,
}

COUNT: dict[str, object] = {"type": "A100", "count": 64}

PERFORMANCE: dict[str, object] = {
    "name": "granite_13b",
    "acc": "A100",
    "accCount": 1,
    "maxBatchSize": 64,
    "atTokens": 512,
    "perfParms": {"alpha": 20.58, "beta": 0.041, "gamma": 0.00128125},
}

TARGET: dict[str, object] = {
    "model": "granite_13b",
    "slo-itl": 40.0,
    "slo-ttft": 500.0,
    "slo-tps": 0.0,
}

SERVICE_CLASS: dict[str, object] = {"name": "Premium", "priority": 1, "modelTargets": [TARGET]}

_LOAD: dict[str, object] = {
    "arrivalRate": 240.0,
    "throughput": 0.0,
    "avgInTokens": 128,
    "avgOutTokens": 512,
}

SERVER: dict[str, object] = {
    "name": "Premium-granite_13b",
    "class": "Premium",
    "model": "granite_13b",
    "keepAccelerator": False,
    "minNumReplicas": 1,
    "currentAlloc": {
        "accelerator": "",
        "numReplicas": 0,
        "maxBatch": 0,
        "cost": 0.0,
        "itlAverage": 0.0,
        "ttftAverage": 0.0,
        "load": _LOAD,
    },
}

FLAGS: dict[str, object] = {
    "unlimited": False,
    "heterogeneous": False,
    "milpSolver": False,
    "useCplex": False,
    "delayedBestEffort": False,
    "saturationPolicy": "None",
}

SYSTEM: dict[str, object] = {
    "system": {
        "acceleratorData": {"accelerators": [ACCELERATOR]},
        "capacityData": {"count": [COUNT]},
        "modelData": {"models": [PERFORMANCE]},
        "serviceClassData": {"serviceClasses": [SERVICE_CLASS]},
        "serverData": {"servers": [SERVER]},
        "optimizerData": {"optimizer": FLAGS},
    }
}

FLEET: dict[str, object] = {
    "analysis": "reference",
    "version": 1,
    "name": "one-server",
    "currency": "USD",
    "accelerators": [{"name": "A100", "cards": 1, "cost_per_hour": 0.4, "memory_gb": 80.0}],
    "capacity": {"A100": 64},
    "profiles": [
        {
            "model": "granite_13b",
            "accelerator": "A100",
            "max_batch": 64,
            "at_tokens": 512,
            "parameters": {
                "kind": "token-work",
                "alpha_ms": 20.58,
                "beta_ms": 0.041,
                "gamma_ms": 0.00128125,
            },
        }
    ],
    "service_classes": [
        {
            "name": "Premium",
            "priority": 1,
            "targets": [{"model": "granite_13b", "ttft_ms": 500.0, "itl_ms": 40.0}],
        }
    ],
    "servers": [
        {
            "name": "Premium-granite_13b",
            "service_class": "Premium",
            "model": "granite_13b",
            "load": {"arrival_rate_rps": 4.0, "input_tokens": 128.0, "output_tokens": 512.0},
        }
    ],
}

OPTIONS: dict[str, object] = {"solver": "greedy", "saturation_policy": "RoundRobin"}

BROKEN_FLEET: dict[str, object] = {**FLEET, "currency": "dollars", "capacity": {"A100": -1}}

CASE: dict[str, object] = {
    "RPS": 2.0,
    "maxBatchSize": 64,
    "avgInputTokens": 128,
    "avgOutputTokens": 512,
    "alpha": 20.58,
    "beta": 0.041,
    "gamma": 0.00128125,
    "maxQueueSize": 128,
    "targetTTFT": 500.0,
    "targetITL": 40.0,
}

CASES: dict[str, object] = {"cases": [CASE, {**CASE, "RPS": 3.0}]}
