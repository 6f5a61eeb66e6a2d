"""Answers to the requests of `api.examples`, as Stoker gives them; a test compares them."""

from __future__ import annotations

from stoker.domain.replica import ReplicaQuestion

PLAN: dict[str, object] = {
    "status": "optimal",
    "objective": 1.32,
    "bound": 1.32,
    "gap": 0.0,
    "cost_per_hour": 1.2,
    "currency": "USD",
    "analysis": "reference",
    "method": "milp-exact",
    "backend": "HiGHS",
    "allocations": {
        "Premium-granite_13b": {
            "accelerator": "A100",
            "configuration": None,
            "parallel": None,
            "serving": "aggregated",
            "sliced": False,
            "replicas": 3,
            "router": "random",
            "max_batch": 64,
            "batch_choice": None,
            "max_queue": 640,
            "cost_per_hour": 1.2,
            "value": 1.32,
            "ttft_ms": 71.5366,
            "itl_ms": 33.6012,
            "utilization": 0.359203,
            "blocking": 6.0561e-154,
            "max_rate_rps": 1.69414,
            "arrival_rate_rps": 4.0,
            "service_class": "Premium",
            "model": "granite_13b",
            "cards": 3,
            "card_type": "A100",
            "fully_served": True,
            "estimate": "declared",
            "targets": {"ttft_ms": 500.0, "itl_ms": 40.0, "e2e_ms": None, "tps": None},
            "binding": "itl_ms.mean",
            "kv_use": None,
            "preemptions_per_request": None,
            "latencies": None,
        }
    },
    "unplaced": {},
    "usage": {"A100": {"used": 3, "available": 64, "cost_per_hour": 1.2}},
    "services": [{"priority": 1, "servers": 1, "served": 1, "bound": 1}],
    "notes": [],
    "timings_ms": {"candidates": 3.1, "place": 9.4, "total": 12.8},
}

INFERNO_PLAN: dict[str, object] = {
    "allocations": {
        "Premium-granite_13b": {
            "accelerator": "A100",
            "numReplicas": 3,
            "maxBatch": 64,
            "cost": 120.0,
            "itlAverage": 33.6012,
            "ttftAverage": 71.5365,
            "load": {"arrivalRate": 240, "throughput": 0, "avgInTokens": 128, "avgOutTokens": 512},
        }
    }
}

_MIXED_LOAD = {"throughput": 0, "avgInTokens": 128, "avgOutTokens": 512}

INFERNO_MIX: dict[str, object] = {
    "allocations": {
        "Premium-granite_13b": {
            "accelerator": "A100",
            "numReplicas": 3,
            "maxBatch": 64,
            "cost": 105.0,
            "itlAverage": 34.1,
            "ttftAverage": 74.2,
            "load": {"arrivalRate": 240, **_MIXED_LOAD},
            "mix": [
                {
                    "accelerator": "A100",
                    "numReplicas": 2,
                    "maxBatch": 64,
                    "cost": 80.0,
                    "itlAverage": 34.1,
                    "ttftAverage": 74.2,
                    "load": {"arrivalRate": 186, **_MIXED_LOAD},
                },
                {
                    "accelerator": "L40S",
                    "numReplicas": 1,
                    "maxBatch": 32,
                    "cost": 25.0,
                    "itlAverage": 33.9,
                    "ttftAverage": 73.5,
                    "load": {"arrivalRate": 54, **_MIXED_LOAD},
                },
            ],
        }
    }
}

VALIDITY: dict[str, object] = {"valid": True, "problems": [], "notes": []}

PROBLEMS: dict[str, object] = {
    "valid": False,
    "problems": [
        {
            "path": "currency",
            "message": '"dollars" has another form',
            "allowed": "three capital letters",
        },
        {
            "path": "capacity.A100",
            "message": "-1 is out of bounds",
            "allowed": "a whole number, at least 0 and at most 1000000000",
        },
    ],
    "notes": [],
}

REPLICA_ANSWERS: dict[ReplicaQuestion, dict[str, object]] = {
    ReplicaQuestion.SOLVE: {
        "offeredRPS": 2.0,
        "throughput": 2.0,
        "avgRespTime": 24837.1,
        "avgWaitTime": 430.007,
        "avgNumInServ": 48.8142,
        "avgTTFT": 529.538,
        "avgITL": 47.5686,
        "maxRPS": 2.25204,
        "RPSTargetTTFT": 0.0,
        "RPSTargetITL": 0.0,
        "utilization": 0.762722,
        "blocking": 2.73901e-09,
        "status": "ok",
        "message": "",
    },
    ReplicaQuestion.TARGET: {
        "offeredRPS": 1.69414,
        "throughput": 1.69414,
        "avgRespTime": 20526.4,
        "avgWaitTime": 2.0767,
        "avgNumInServ": 34.7711,
        "avgTTFT": 86.4115,
        "avgITL": 40.0,
        "maxRPS": 2.25204,
        "RPSTargetTTFT": 1.99531,
        "RPSTargetITL": 1.69414,
        "utilization": 0.543299,
        "blocking": 3.81172e-20,
        "status": "ok",
        "message": "",
    },
    ReplicaQuestion.CONCURRENCY: {
        "concurrency": 45,
        "offeredRPS": 1.66882,
        "throughput": 1.66882,
        "avgRespTime": 20610.5,
        "avgWaitTime": 416.892,
        "avgNumInServ": 33.6996,
        "avgTTFT": 500.0,
        "avgITL": 39.3552,
        "maxRPS": 1.94643,
        "RPSTargetTTFT": 1.66882,
        "RPSTargetITL": 1.7019,
        "M_ITL": 35,
        "M_TPF": 64,
        "feasible": True,
        "utilization": 0.74888,
        "blocking": 4.1087e-11,
        "status": "ok",
        "message": "",
    },
}

CARD: dict[str, object] = {
    "name": "A100-SXM-80GB",
    "aliases": ["A100", "A100-80GB", "A100-SXM4-80GB", "NVIDIA-A100-SXM4-80GB"],
    "vendor": "NVIDIA",
    "architecture": "Ampere",
    "memory_gb": 80.0,
    "memory_kind": "HBM2e",
    "memory_bandwidth_gb_per_s": 2039.0,
    "dense_tflops": {"fp32": 19.5, "tf32": 156.0, "bf16": 312.0, "fp16": 312.0, "int8": 624.0},
    "interconnect": "NVLink 3",
    "interconnect_gb_per_s": 600.0,
    "pcie_generation": 4,
    "idle_power_w": 55.0,
    "idle_power_kind": "estimated",
    "full_power_w": 400.0,
    "full_power_kind": "published",
    "source": "NVIDIA A100 data sheet, 2021",
    "price": {
        "instance": "p4de.24xlarge",
        "cards": 8,
        "instance_price_per_hour": 27.44705,
        "currency": "USD",
        "provider": "Amazon Web Services",
        "kind": "list",
        "as_of": "2026-08",
        "source": "EC2 on-demand price list, Linux, us-east-1",
    },
    "note": "",
    "price_per_hour": 3.43088125,
}

ARCHITECTURE: dict[str, object] = {
    "name": "Llama-2-7B",
    "aliases": ["meta-llama/Llama-2-7b-hf", "meta-llama/Llama-2-7b-chat-hf", "llama-2-7b"],
    "publisher": "Meta",
    "total_parameters": 6738000000,
    "active_parameters": 6738000000,
    "layers": 32,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "gated_mlp": True,
    "vocabulary_size": 32000,
    "tied_embeddings": False,
    "max_context_tokens": 4096,
    "attention": {
        "kind": "mha",
        "query_heads": 32,
        "kv_heads": 32,
        "head_size": 128,
        "latent": None,
        "window_tokens": None,
        "window_layers": 0,
    },
    "experts": None,
    "weight_precision": "fp16",
    "expert_weight_precision": "fp16",
    "source": "Touvron et al., Llama 2, 2023; checkpoint configuration",
    "note": "",
}
