"""Measurements as rows of a file, such as `data.measurements.rows` reads."""

from __future__ import annotations

from data.stoker_writing import number
from stoker.domain.measurement import Arrival, Measurement


def row_document(row: Measurement) -> dict[str, object]:
    """Return a measurement as a row; what is unknown is left out."""
    document: dict[str, object | None] = {
        "id": row.name or None,
        "model": row.model,
        "gpu": row.gpu,
        "n_gpus": row.n_gpus,
        "engine": row.engine,
        "precision": row.precision,
        "load_kind": row.load_kind.value,
        "load": number(row.load),
        "arrival": None if row.arrival is Arrival.UNKNOWN else row.arrival.value,
        "arrival_cv": number(row.arrival_cv),
        "in_tokens": number(row.in_tokens),
        "out_tokens": number(row.out_tokens),
        "in_tokens_std": number(row.in_tokens_std),
        "out_tokens_std": number(row.out_tokens_std),
        "max_batch": row.max_batch,
        "max_num_batched_tokens": row.max_num_batched_tokens,
        "max_clients": row.max_clients,
        "prefix_cache": row.prefix_cache,
    }
    for name, figures in (("ttft", row.ttft), ("itl", row.itl), ("e2e", row.e2e)):
        document |= {
            f"{name}_ms_mean": number(figures.mean_ms),
            f"{name}_ms_p50": number(figures.p50_ms),
            f"{name}_ms_p90": number(figures.p90_ms),
            f"{name}_ms_p99": number(figures.p99_ms),
        }
    document |= {
        "throughput_rps": number(row.throughput_rps),
        "output_tps": number(row.output_tps),
        "concurrency_mean": number(row.concurrency_mean),
        "n_requests": row.n_requests,
        "duration_s": number(row.duration_s),
        "quality": row.quality or None,
        "source": row.source or None,
        "notes": row.notes or None,
    }
    return {key: value for key, value in document.items() if value is not None}
