"""Result files of vLLM's serving benchmark.

Read as written by ``benchmarks/benchmark_serving.py`` of vLLM 0.6 to 0.9 and by ``vllm bench
serve`` of 0.9 to 0.15 (github.com/vllm-project/vllm), one result a file, or one a line where
results were appended.

The ITL of a row is the file's TPOT: the mean over requests of (latency - TTFT) / (output tokens -
1). What the file calls ITL is the gap between chunks of the stream, which may hold several tokens;
it is used only where there is no TPOT.

A result names the accelerator and the engine's limits only where ``--metadata KEY=VALUE`` did:
see `_METADATA`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping

from data.measurements.draft import Draft
from data.measurements.numbers import finite

_MARKS = ("request_throughput", "total_input_tokens", "completed")

_METADATA = {
    "gpu": ("gpu", "gpu_type", "accelerator"),
    "n_gpus": ("n_gpus", "tensor_parallel_size", "tp"),
    "precision": ("precision", "dtype", "quantization"),
    "engine": ("engine",),
    "max_batch": ("max_batch", "max_num_seqs"),
    "max_num_batched_tokens": ("max_num_batched_tokens",),
}
"""Keys that `--metadata` may give, by field of a row, the most particular first."""

_COUNTS = ("n_gpus", "max_batch", "max_num_batched_tokens")

_CAPPED = 0.9
"""Share of the asked rate below which a limit on concurrency, not the rate, set the load."""


def is_result(document: object) -> bool:
    """Return whether a decoded document is a result of vLLM's serving benchmark."""
    return isinstance(document, Mapping) and all(mark in document for mark in _MARKS)


def result_drafts(results: Iterable[tuple[str, Mapping[str, object]]]) -> Iterator[Draft]:
    """Yield a draft for each result.

    Args:
        results: Where each result stands, and the result.
    """
    for where, result in results:
        yield serving_draft(where, result, _served_by(result))


def serving_draft(
    where: str,
    result: Mapping[str, object],
    served_by: Mapping[str, object],
    response: str = "e2el",
    source: str = "vLLM serving benchmark",
) -> Draft:
    """Return the draft of a result in the names that vLLM and SGLang share.

    Args:
        where: Where it stands.
        result: The result.
        served_by: What is known of the server, by field of a row.
        response: What it calls the time from arrival to last token.
        source: What wrote it.
    """
    if result.get("ramp_up_strategy"):
        message = f'is "{result["ramp_up_strategy"]}": the load changes during the run'
        return Draft.unreadable(f"{where}: ramp_up_strategy", message, "runs at one load")
    completed = finite(result.get("completed"))
    if not completed:
        return Draft.unreadable(f"{where}: completed", "no request was completed", "1 or more")
    row: dict[str, object] = {
        "model": result.get("model_id"),
        "n_requests": result.get("completed"),
        "duration_s": result.get("duration"),
        "throughput_rps": result.get("request_throughput"),
        "output_tps": result.get("output_throughput"),
        "in_tokens": _per_request(result.get("total_input_tokens"), completed),
        "out_tokens": _per_request(result.get("total_output_tokens"), completed),
        "in_tokens_std": _deviation(result.get("input_lens")),
        "out_tokens_std": _deviation(result.get("output_lens")),
        "source": source,
        "id": result.get("label"),
    }
    places = {
        "model": "model_id",
        "n_requests": "completed",
        "duration_s": "duration",
        "throughput_rps": "request_throughput",
        "output_tps": "output_throughput",
        "in_tokens": "total_input_tokens",
        "out_tokens": "total_output_tokens",
    }
    gap = "tpot" if result.get("mean_tpot_ms") else "itl"
    for name, own in (("ttft", "ttft"), ("itl", gap), ("e2e", response)):
        for suffix, statistic in (
            ("mean", "mean"),
            ("p50", "median"),
            ("p90", "p90"),
            ("p99", "p99"),
        ):
            key = f"{statistic}_{own}_ms"
            # A server that does not stream gets zeros here: nothing was seen.
            row[f"{name}_ms_{suffix}"] = result.get(key) or None
            places[f"{name}_ms_{suffix}"] = key
    response_ms, rate = (
        finite(result.get(f"mean_{response}_ms")),
        finite(result.get("request_throughput")),
    )
    if response_ms and rate:
        # The sum of all response times over the duration: an identity, not an estimate.
        row["concurrency_mean"] = rate * response_ms / 1000
    row |= {key: value for key, value in served_by.items() if value is not None}
    row |= _load(result)
    places |= dict.fromkeys(("load_kind", "load"), "request_rate")
    return Draft(where, row, places)


def _load(result: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of the load, from the rate asked for and the limit on concurrency."""
    rate, clients = result.get("request_rate"), result.get("max_concurrency")
    if rate in ("inf", math.inf) or (rate is None and clients is not None):
        if clients is not None:
            return {"load_kind": "concurrency", "load": clients, "arrival": "closed"}
        # All at once and nothing after: as many clients as prompts, each with one request.
        return {
            "load_kind": "concurrency",
            "load": result.get("num_prompts") or result.get("completed"),
            "arrival": "closed",
            "quality": "saturated-burst",
        }
    load: dict[str, object] = {"load_kind": "rate", "load": rate}
    if result.get("burstiness") == math.inf:
        load |= {"arrival": "constant", "arrival_cv": 0.0}
    shape = finite(result.get("burstiness", 1.0))
    if shape is not None and shape > 0:
        # Gamma intervals of this shape.
        load |= {"arrival": "poisson" if shape == 1 else "gamma", "arrival_cv": shape**-0.5}
    asked, done = finite(rate), finite(result.get("request_throughput"))
    if clients is not None and asked and done and done < _CAPPED * asked:
        load["quality"] = "saturated-client-cap"
    return load


def _served_by(result: Mapping[str, object]) -> dict[str, object]:
    """Return what the metadata say of the server; their values are text."""
    found: dict[str, object] = {}
    for name, keys in _METADATA.items():
        given = next((result[key] for key in keys if result.get(key) is not None), None)
        if name in _COUNTS and isinstance(given, str) and given.strip().isdecimal():
            given = int(given)
        found[name] = given
    if found["engine"] is None and result.get("backend") == "vllm":
        found["engine"] = f"vllm {result.get('version') or ''}".strip()
    return found


def _per_request(total: object, completed: float) -> object:
    amount = finite(total)
    return total if amount is None else amount / completed


def _deviation(lengths: object) -> float | None:
    """Return the standard deviation of the lengths of completed requests; None where not kept."""
    if not isinstance(lengths, list):
        return None
    known = [number for length in lengths if (number := finite(length))]
    return statistics.pstdev(known) if len(known) > 1 else None
