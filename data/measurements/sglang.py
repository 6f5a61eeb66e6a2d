"""Results of SGLang's serving benchmark, one JSON object a line.

Read as written by ``python -m sglang.bench_serving --output-file`` of SGLang 0.4 and 0.5
(github.com/sgl-project/sglang). Most names are those of vLLM's benchmark; the time to the last
token is ``e2e_latency`` instead of ``e2el``, and finite rates are Poisson arrivals. Newer versions
put the arguments of the server under ``server_info``, which tell model, tensor parallelism and
limits; older ones name no model.

As for vLLM the ITL of a row is the file's TPOT.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from data.measurements.draft import Draft
from data.measurements.vllm import is_result, serving_draft

_OWN_MARKS = ("mean_e2e_latency_ms", "total_output_tokens_retokenized")

_ARGUMENTS = {
    "model": ("served_model_name", "model_path"),
    "n_gpus": ("tp_size",),
    "precision": ("quantization", "dtype"),
    "max_batch": ("max_running_requests",),
    "max_num_batched_tokens": ("chunked_prefill_size",),
}
"""Arguments of the server by field of a row, the most particular first."""

_COUNTS = ("n_gpus", "max_batch", "max_num_batched_tokens")


def is_sglang_result(document: object) -> bool:
    """Return whether a decoded document is a result of SGLang's serving benchmark."""
    if not isinstance(document, Mapping) or not is_result(document):
        return False
    return any(mark in document for mark in _OWN_MARKS)


def sglang_drafts(results: Iterable[tuple[str, Mapping[str, object]]]) -> Iterator[Draft]:
    """Yield a draft for each result.

    Args:
        results: Where each result stands, and the result.
    """
    for where, result in results:
        yield serving_draft(
            where, result, _served_by(result), "e2e_latency", "SGLang serving benchmark"
        )


def _served_by(result: Mapping[str, object]) -> dict[str, object]:
    """Return what is told of the server; the benchmark's `backend` is the protocol it spoke."""
    info = result.get("server_info")
    arguments = info if isinstance(info, Mapping) else {}
    found: dict[str, object] = {}
    for name, keys in _ARGUMENTS.items():
        given = next((arguments[key] for key in keys if arguments.get(key) is not None), None)
        if name in _COUNTS and not (isinstance(given, int) and given > 0):
            given = None  # -1 stands for no limit
        found[name] = given
    if found["precision"] == "auto":
        found["precision"] = None
    found["model"] = found["model"] or result.get("model_id") or result.get("model")
    backend = result.get("backend")
    version = arguments.get("version")
    if isinstance(backend, str) and backend.startswith("sglang"):
        found["engine"] = f"sglang {version or ''}".strip()
    return found
