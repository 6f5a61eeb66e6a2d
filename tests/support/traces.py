"""Traces and replicas for tests: generated, and the shared ones where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data.simulation_lines import parse_trace
from stoker.domain.accelerator import Accelerator
from stoker.domain.profile import ModelProfile, ServiceParameters, TokenWorkParameters
from studies.traces.replica import ReplicaOption
from studies.traces.requests import RequestTrace

SHARED = Path(__file__).resolve().parents[3] / "shared" / "truth" / "traces"

QUICK = TokenWorkParameters(7.0, 0.02, 5e-5)
SLOW = TokenWorkParameters(10.0, 0.06, 6e-5)
SLOWEST = TokenWorkParameters(20.0, 0.05, 1.6e-4)


def generated(
    seed: int = 0, requests: int = 600, rate_rps: float = 20.0, *, swing: float = 0.5
) -> RequestTrace:
    """Return requests of lognormal lengths whose rate swings around its mean."""
    random = np.random.default_rng(seed)
    gaps = random.exponential(1000 / rate_rps, requests)
    phase = np.sin(np.linspace(0, 4 * np.pi, requests))
    return RequestTrace.of(
        np.cumsum(gaps / (1 + swing * phase)),
        np.clip(random.lognormal(6.2, 0.9, requests), 1, 12_000).astype(np.int64),
        np.clip(random.lognormal(4.6, 0.7, requests), 1, 1500).astype(np.int64),
    )


def option(
    parameters: ServiceParameters = SLOW,
    *,
    name: str = "A",
    model: str = "m",
    max_batch: int = 48,
    kv_tokens: int | None = 120_000,
    cost: float = 2.0,
) -> ReplicaOption:
    """Return a replica."""
    profile = ModelProfile(model, name, 1, max_batch, 128, parameters, kv_tokens=kv_tokens)
    return ReplicaOption(profile, Accelerator(name, name, 1, cost), max_batch)


def shared_trace(name: str) -> RequestTrace:
    """Return one of the shared traces."""
    with (SHARED / f"{name}.csv").open(encoding="utf-8") as lines:
        rows = parse_trace(lines)
    return RequestTrace.of(rows.arrival_ms, rows.input_tokens, rows.output_tokens)
