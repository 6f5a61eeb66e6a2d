"""Measurements of an engine whose parameters are known: what a fit must find again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from profiler.fit import predict
from stoker.domain.measurement import Arrival, LatencyFigures, LoadKind, Measurement
from tests.support.benchmark_files import Json, metrics

TOKEN_WORK = {"alpha_ms": 6.0, "beta_ms": 0.03, "gamma_ms": 5e-5}

WAVE_SHARE = 0.1
"""Closed loops send ten requests a client, all clients at once at first: usual for a benchmark."""

PROFILE = """\
profiles:
- {model: llama-8b, accelerator: H100, max_batch: 256, at_tokens: 256,
   parameters: {kind: token-work, alpha_ms: 6, beta_ms: 0.03, gamma_ms: 0.00005},
   provenance: {kind: fitted, source: made up}}
"""

SHAPES = ((128, 128), (128, 1024), (2048, 128), (1024, 512))
LOADS = (
    (LoadKind.RATE, 0.5),
    (LoadKind.RATE, 2.0),
    (LoadKind.CONCURRENCY, 1.0),
    (LoadKind.CONCURRENCY, 16.0),
)


def measured_rows(
    gpu: str = "H100", parameters: dict[str, float] | None = None
) -> list[Measurement]:
    """Return rows as an engine of these `token-work` parameters would show them, without noise."""
    points = [
        Measurement(
            model="llama-8b",
            gpu=gpu,
            n_gpus=1,
            load_kind=kind,
            load=load,
            in_tokens=float(tokens_in),
            out_tokens=float(tokens_out),
            engine="vllm 0.9",
            precision="bf16",
            arrival=Arrival.POISSON if kind is LoadKind.RATE else Arrival.CLOSED,
            max_batch=256,
            quality="ok",
        )
        for tokens_in, tokens_out in SHAPES
        for kind, load in LOADS
    ]
    runs = {"wave_share": WAVE_SHARE}
    forecast = predict("token-work", (parameters or TOKEN_WORK) | runs, points)
    return [
        replace(
            point,
            ttft=LatencyFigures(mean_ms=float(forecast.ttft_ms[index])),
            itl=LatencyFigures(mean_ms=float(forecast.itl_ms[index])),
        )
        for index, point in enumerate(points)
    ]


def row_of(row: Measurement, **changes: object) -> Json:
    """Return a measurement as a row of a file."""
    return {
        "model": row.model,
        "gpu": row.gpu,
        "n_gpus": row.n_gpus,
        "engine": row.engine,
        "precision": row.precision,
        "load_kind": row.load_kind.value,
        "load": row.load,
        "arrival": row.arrival.value,
        "in_tokens": row.in_tokens,
        "out_tokens": row.out_tokens,
        "max_batch": row.max_batch,
        "ttft_ms_mean": row.ttft.mean_ms,
        "itl_ms_mean": row.itl.mean_ms,
        "quality": row.quality,
    } | changes


def write_rows(path: Path, *rows: Json) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def guidellm_report(rows: list[Measurement]) -> Json:
    """Return rows as benchmarks of a GuideLLM report."""
    benchmarks = []
    for row in rows:
        figures = metrics()
        for name, value in (
            ("prompt_token_count", row.in_tokens),
            ("output_token_count", row.out_tokens),
            ("time_to_first_token_ms", row.ttft.mean_ms),
            ("inter_token_latency_ms", row.itl.mean_ms),
        ):
            figures[name] = {"successful": {"mean": value, "median": value}}
        for name in ("request_latency", "request_concurrency", "requests_per_second"):
            del figures[name]
        strategy: Json = (
            {"type_": "poisson", "rate": row.load}
            if row.load_kind is LoadKind.RATE
            else {"type_": "concurrent", "streams": int(row.load)}
        )
        config = {"strategy": strategy, "backend": {"model": row.model}}
        benchmarks.append({"config": config, "metrics": figures})
    return {"benchmarks": benchmarks}
