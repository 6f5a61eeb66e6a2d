"""A small fleet that shows most of Stoker's format; its JSON Schema carries it."""

from __future__ import annotations

from pydantic.config import JsonDict

EXAMPLE: JsonDict = {
    "version": 1,
    "name": "chat",
    "currency": "USD",
    "accelerators": [
        {"name": "H100", "cost_per_hour": 2.5, "memory_gb": 80},
        {"name": "4xH100", "card_type": "H100", "cards": 4, "cost_per_hour": 10},
    ],
    "capacity": {"H100": 64},
    "profiles": [
        {
            "model": "llama-3.1-8b",
            "accelerator": "H100",
            "max_batch": 128,
            "at_tokens": 512,
            "parameters": {
                "kind": "token-work",
                "alpha_ms": 6.5,
                "beta_ms": 0.02,
                "gamma_ms": 0.00005,
            },
            "provenance": {"kind": "estimated", "source": "for illustration"},
        }
    ],
    "service_classes": [
        {
            "name": "interactive",
            "priority": 1,
            "targets": [{"model": "llama-3.1-8b", "ttft_ms": 500, "itl_ms": 25}],
        }
    ],
    "servers": [
        {
            "name": "chat",
            "service_class": "interactive",
            "model": "llama-3.1-8b",
            "load": {"arrival_rate_rps": 20, "input_tokens": 400, "output_tokens": 250},
            "min_replicas": 1,
        }
    ],
}
