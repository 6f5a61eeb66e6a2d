"""A fleet of any number of servers for the control loop, with what its pods would report.

Every server has a model of its own, as much load as one, two or three replicas carry, and a pod for
each replica that reports what vLLM reports, bucket by bucket. Every fifth server has a second
workload on another accelerator, so that plans have something to choose.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from data.fleets import parse_fleet
from demos.cluster.nodes import GPU_RESOURCE, PRODUCT_LABEL, GpuNode
from optimizer.planner import plan_fleet

Document = dict[str, Any]
"""A document as JSON has it."""

PRODUCTS = {"A100": "NVIDIA-A100-SXM4-80GB", "L40S": "NVIDIA-L40S"}
CHOICE_EVERY = 5
REPLICAS = (1, 2, 3)
_CARDS_PER_NODE = 8
_SPARE = 1.5
_INPUT, _OUTPUT = 400.0, 150.0
_LOADED = 0.55
"""Replicas' worth of load below what a server's replicas carry, so that no noise asks for more."""

_TTFT_LE = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5)
_ITL_LE = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0)
_TOKENS_LE = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)


@dataclass(frozen=True, slots=True)
class ScaledServer:
    """One server, and what it does.

    Attributes:
        name: Name in the fleet, and of its Deployment.
        model: Name of its model.
        accelerator: What it runs on.
        other: Accelerator of its second workload; empty for none.
        replicas: Replicas that its load takes.
        rate_rps: Its load.
        ttft_ms: Mean time to the first token that its pods report.
        itl_ms: Mean time between tokens that they report.
    """

    name: str
    model: str
    accelerator: str
    other: str
    replicas: int
    rate_rps: float
    ttft_ms: float
    itl_ms: float


def fleet_document(servers: int) -> Document:
    """Return a fleet whose loads are unknown."""
    models = [_model(index) for index in range(servers)]
    accelerators = list(PRODUCTS)
    return {
        "version": 1,
        "currency": "USD",
        "accelerators": [
            {"name": "A100", "cost_per_hour": 2.0, "memory_gb": 80},
            {"name": "L40S", "cost_per_hour": 1.0, "memory_gb": 48},
        ],
        "capacity": {name: _cards(servers) for name in PRODUCTS},
        "profiles": [
            {
                "model": model,
                "accelerator": name,
                "max_batch": 64,
                "at_tokens": 512,
                "parameters": {
                    "kind": "token-work",
                    "alpha_ms": 8.0 + index % 7 + 6.0 * (name == "L40S"),
                    "beta_ms": 0.05,
                    "gamma_ms": 0.0002,
                },
            }
            for index, model in enumerate(models)
            for name in _accelerators(index, accelerators)
            if name
        ],
        "service_classes": [
            {
                "name": name,
                "priority": priority,
                "targets": [
                    {"model": model, "ttft_ms": 1500, "itl_ms": itl_ms} for model in models
                ],
            }
            for name, priority, itl_ms in (("interactive", 1, 60), ("bulk", 5, 120))
        ],
        "servers": [
            {
                "name": _name(index),
                "service_class": "bulk" if index % 3 == 2 else "interactive",
                "model": model,
                "load": "unknown",
                "min_replicas": 1,
            }
            for index, model in enumerate(models)
        ],
    }


def scaled_servers(servers: int) -> tuple[ScaledServer, ...]:
    """Return the servers, loaded as the analysis of the fleet says their replicas carry.

    They report the latencies that the same analysis predicts: their profiles are right.
    """
    document = fleet_document(servers)
    replicas = {_name(index): REPLICAS[index % len(REPLICAS)] for index in range(servers)}
    one = _planned(document, dict.fromkeys(replicas, 0.1))
    rates = {name: (count - _LOADED) * one[name].max_rate_rps for name, count in replicas.items()}
    full = _planned(document, rates)
    found = []
    for index, (name, rate) in enumerate(rates.items()):
        own, other = _accelerators(index, list(PRODUCTS))
        placed = full[name]
        found.append(
            ScaledServer(
                name,
                _model(index),
                own,
                other,
                placed.replicas,
                rate,
                placed.ttft_ms or 0.0,
                placed.itl_ms or 0.0,
            )
        )
    return tuple(found)


def _planned(document: Document, rates: dict[str, float]) -> dict[str, Any]:
    """Return the allocations of the fleet at some rates, each server on its first accelerator."""
    first = {_model(index): _accelerators(index, list(PRODUCTS))[0] for index in range(len(rates))}
    loaded = {
        **document,
        "profiles": [
            each for each in document["profiles"] if first[each["model"]] == each["accelerator"]
        ],
        "servers": [
            {
                **server,
                "load": {
                    "arrival_rate_rps": rates[server["name"]],
                    "input_tokens": _INPUT,
                    "output_tokens": _OUTPUT,
                    "input_tokens_cv": 0.3,
                    "output_tokens_cv": 0.3,
                },
            }
            for server in document["servers"]
        ],
    }
    plan = plan_fleet(parse_fleet(loaded))
    return {each.server: each for each in plan.allocations}


def nodes(servers: int) -> tuple[GpuNode, ...]:
    """Return nodes with half as many cards again as the fleet takes."""
    count = math.ceil(_cards(servers) / _CARDS_PER_NODE)
    return tuple(
        GpuNode(f"{name.lower()}-{index}", product, _CARDS_PER_NODE)
        for name, product in PRODUCTS.items()
        for index in range(count)
    )


def deployments(found: Sequence[ScaledServer]) -> tuple[Document, ...]:
    """Return the workloads: one replica each, none of second ones."""
    first = [_deployment(each, each.accelerator, 1) for each in found]
    second = [_deployment(each, each.other, 0) for each in found if each.other]
    return (*first, *second)


def metrics_page(found: Sequence[ScaledServer]) -> Callable[[float], str]:
    """Return what all pods report, by seconds since they began.

    Samples tell their time: a page that is served late tells of no more requests than there were.
    """
    steady: list[str] = []
    growing: list[tuple[str, float]] = []
    for server in found:
        for replica in range(server.replicas):
            labels = f'model_name="{server.model}",pod="{server.name}-{replica}",engine="0"'
            _pod(labels, server.rate_rps / server.replicas, server, steady, growing)

    def page(seconds: float) -> str:
        at = f" {round(time.time() * 1000)}\n"
        return "".join(
            [
                *(f"{line}{at}" for line in steady),
                *(f"{name} {rate * seconds:.9g}{at}" for name, rate in growing),
            ]
        )

    return page


def _pod(
    labels: str,
    rate: float,
    server: ScaledServer,
    steady: list[str],
    growing: list[tuple[str, float]],
) -> None:
    stay_s = (server.ttft_ms + (_OUTPUT - 1) * server.itl_ms) / 1000.0
    steady.append(f"vllm:num_requests_running{{{labels}}} {rate * stay_s:.6g}")
    steady.append(f"vllm:num_requests_waiting{{{labels}}} 0")
    steady.append(f"vllm:kv_cache_usage_perc{{{labels}}} 0.3")
    growing.append((f'vllm:request_success_total{{{labels},finished_reason="stop"}}', rate))
    growing.append((f"vllm:prefix_cache_hits_total{{{labels}}}", 0.0))
    growing.append((f"vllm:prefix_cache_queries_total{{{labels}}}", rate * _INPUT))
    itl_s, ttft_s = server.itl_ms / 1000.0, server.ttft_ms / 1000.0
    tokens = rate * (_OUTPUT - 1)
    _histogram("vllm:time_to_first_token_seconds", labels, rate, ttft_s, _TTFT_LE, growing)
    _histogram("vllm:inter_token_latency_seconds", labels, tokens, itl_s, _ITL_LE, growing)
    _histogram("vllm:request_prompt_tokens", labels, rate, _INPUT, _TOKENS_LE, growing)
    _histogram("vllm:request_generation_tokens", labels, rate, _OUTPUT, _TOKENS_LE, growing)


def _histogram(
    name: str,
    labels: str,
    rate: float,
    mean: float,
    bounds: Sequence[float],
    growing: list[tuple[str, float]],
) -> None:
    """Add a histogram of figures that are even from half to one and a half of their mean."""
    for bound in bounds:
        share = min(1.0, max(0.0, bound / mean - 0.5))
        growing.append((f'{name}_bucket{{{labels},le="{bound:g}"}}', rate * share))
    growing.append((f'{name}_bucket{{{labels},le="+Inf"}}', rate))
    growing.append((f"{name}_sum{{{labels}}}", rate * mean))
    growing.append((f"{name}_count{{{labels}}}", rate))


def _deployment(server: ScaledServer, accelerator: str, replicas: int) -> Document:
    name = server.name if accelerator == server.accelerator else f"{server.name}-other"
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "labels": {
                "stoker.dev/managed": "true",
                "stoker.dev/server": server.name,
                "stoker.dev/accelerator": accelerator,
            },
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "nodeSelector": {PRODUCT_LABEL: PRODUCTS[accelerator]},
                    "terminationGracePeriodSeconds": 1,
                    "containers": [
                        {
                            "name": "server",
                            "image": "example.com/server:1",
                            "resources": {"limits": {GPU_RESOURCE: "1"}},
                        }
                    ],
                },
            },
        },
    }


def _accelerators(index: int, names: Sequence[str]) -> tuple[str, str]:
    """Return the accelerator that a server runs on, and that of its second workload or none."""
    return names[1], names[0] if index % CHOICE_EVERY == 0 else ""


def _cards(servers: int) -> int:
    mean = sum(REPLICAS) / len(REPLICAS)
    return math.ceil(servers * mean * _SPARE / _CARDS_PER_NODE) * _CARDS_PER_NODE


def _name(index: int) -> str:
    return f"server-{index:03d}"


def _model(index: int) -> str:
    return f"org/model-{index:03d}"
