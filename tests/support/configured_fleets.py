"""Small fleets whose models have several configurations, batch limits or ways of serving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data.stoker_format import document_to_fleet
from stoker.domain.fleet import Fleet

Document = dict[str, Any]

TP1: Document = {
    "configuration": "tp1",
    "max_batch": 64,
    "kv_tokens": 300_000,
    "parameters": {"kind": "token-work", "alpha_ms": 8, "beta_ms": 0.04, "gamma_ms": 5e-5},
}
TP2: Document = {
    "configuration": "tp2",
    "parallel": {"tensor": 2},
    "max_batch": 128,
    "kv_tokens": 800_000,
    "parameters": {"kind": "token-work", "alpha_ms": 5, "beta_ms": 0.024, "gamma_ms": 3e-5},
}
DP2: Document = {**TP1, "configuration": "dp2", "parallel": {"data": 2}}
FP8: Document = {
    "configuration": "fp8",
    "max_batch": 96,
    "kv_tokens": 500_000,
    "parameters": {"kind": "token-work", "alpha_ms": 5.5, "beta_ms": 0.03, "gamma_ms": 4e-5},
}
LOAD: Document = {
    "arrival_rate_rps": 20,
    "input_tokens": 1000,
    "output_tokens": 200,
    "input_tokens_cv": 0.5,
    "output_tokens_cv": 0.5,
}
TARGETS: Document = {"ttft_ms": {"p95": 400}, "itl_ms": {"p95": 25}}


def profile(configuration: Mapping[str, object], accelerator: str = "H100") -> Document:
    """Return a profile of the model m."""
    return {"model": "m", "accelerator": accelerator, "at_tokens": 256} | dict(configuration)


def server(name: str = "s", **changes: object) -> Document:
    """Return a server of the model m."""
    return {"name": name, "service_class": "c", "model": "m", "load": LOAD} | changes


def configured_document(
    profiles: Sequence[Document],
    *servers: Document,
    targets: Mapping[str, object] = TARGETS,
    capacity: Mapping[str, int] | None = None,
) -> Document:
    """Return the document of a fleet of H100 and A100 cards."""
    return {
        "version": 1,
        "currency": "USD",
        "accelerators": [
            {"name": "H100", "cost_per_hour": 2.5, "memory_gb": 80},
            {"name": "A100", "cost_per_hour": 1.6, "memory_gb": 80},
        ],
        "capacity": dict(capacity or {"H100": 1000, "A100": 1000}),
        "profiles": list(profiles),
        "service_classes": [
            {"name": "c", "priority": 1, "targets": [{"model": "m", **targets}]},
            {"name": "d", "priority": 2, "targets": [{"model": "m", **targets}]},
        ],
        "servers": list(servers) or [server()],
    }


def configured_fleet(
    profiles: Sequence[Document],
    *servers: Document,
    targets: Mapping[str, object] = TARGETS,
    capacity: Mapping[str, int] | None = None,
) -> Fleet:
    """Return such a fleet."""
    return document_to_fleet(
        configured_document(profiles, *servers, targets=targets, capacity=capacity)
    )
