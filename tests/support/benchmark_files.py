"""Small benchmark files as GuideLLM and vLLM write them, with numbers of our own.

The fields and their nesting are those of the versions named; figures not read here are left out.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

Json = dict[str, object]

RATES = (2.0, 4.0)


def row(**changes: object) -> Json:
    """Return a row in Stoker's own form."""
    return {
        "id": "one",
        "source": "our bench",
        "gpu": "H100",
        "n_gpus": 1,
        "model": "llama-8b",
        "engine": "vllm 0.9",
        "precision": "bf16",
        "load_kind": "rate",
        "load": 2.0,
        "arrival": "poisson",
        "in_tokens": 512,
        "out_tokens": 128,
        "ttft_ms_mean": 40.0,
        "ttft_ms_p50": 38.0,
        "itl_ms_mean": 8.0,
        "e2e_ms_mean": 1056.0,
        "throughput_rps": 2.0,
        "quality": "ok",
    } | changes


def lines(*rows: Json) -> str:
    return "".join(f"{json.dumps(one)}\n" for one in rows)


def _summary(mean: float) -> Json:
    """Return a distribution over successful requests, and zeros for the others."""
    percentiles = {"p90": 1.5 * mean, "p95": 1.7 * mean, "p99": 2 * mean}
    good = {"mean": mean, "median": 0.9 * mean, "std_dev": 0.2 * mean, "percentiles": percentiles}
    none = {
        "mean": 0.0,
        "median": 0.0,
        "std_dev": 0.0,
        "percentiles": dict.fromkeys(percentiles, 0.0),
    }
    return {"successful": good, "incomplete": none, "errored": none}


def metrics(ttft_ms: float = 40.0, rate: float = 2.0) -> Json:
    """Return the metrics of one benchmark: 512 tokens in, 128 out, 8 ms a token."""
    return {
        "request_totals": {"successful": 90, "incomplete": 3, "errored": 1, "total": 94},
        "requests_per_second": _summary(rate),
        "request_concurrency": _summary(rate * 1.056),
        "request_latency": _summary(1.056),
        "prompt_token_count": _summary(512.0),
        "output_token_count": _summary(128.0),
        "time_to_first_token_ms": _summary(ttft_ms),
        "inter_token_latency_ms": _summary(8.0),
        "output_tokens_per_second": _summary(rate * 128),
    }


STRATEGIES: tuple[Json, ...] = (
    {"type_": "synchronous"},
    {"type_": "throughput", "max_concurrency": 64},
    {"type_": "constant", "rate": 2.0},
    {"type_": "poisson", "rate": 4.0},
    {"type_": "concurrent", "streams": 8},
)


def guidellm_03() -> Json:
    """Return a report of GuideLLM 0.2 or 0.3."""
    return {
        "benchmarks": [
            {
                "type_": "generative_benchmark",
                "id_": f"id-{index}",
                "args": {"strategy": strategy, "strategy_index": index},
                "run_stats": {"start_time": 1000.0, "end_time": 1060.0},
                "worker": {"backend_type": "openai_http", "backend_model": "llama-8b"},
                "metrics": metrics(),
            }
            for index, strategy in enumerate(STRATEGIES)
        ]
    }


def guidellm_05() -> Json:
    """Return a report of GuideLLM 0.4 to 0.7."""
    return {
        "metadata": {"version": 1, "guidellm_version": "0.5.0"},
        "args": {"target": "http://localhost:8000", "model": None},
        "benchmarks": [
            {
                "config": {
                    "id_": f"id-{index}",
                    "strategy": strategy,
                    "backend": {"target": "http://localhost:8000", "model": "llama-8b"},
                },
                "duration": 60.0,
                "metrics": metrics(),
            }
            for index, strategy in enumerate(STRATEGIES)
        ],
    }


def _cell(summary: object, statistic: str) -> object:
    assert isinstance(summary, dict)
    good = summary["successful"]
    if statistic == "percentiles":
        tail = good["percentiles"]
        middle = [tail["p90"], tail["p95"], tail["p99"]]
        return str([1.0] * 7 + middle + [3 * good["mean"]])
    return good[statistic]


def _csv(head: Sequence[Sequence[str]], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    depth = max(len(names) for names in head)
    for level in range(depth):
        writer.writerow([names[level] if level < len(names) else "" for names in head])
    writer.writerows(rows)
    return text.getvalue()


def guidellm_csv_03() -> str:
    """Return the CSV of GuideLLM 0.2 or 0.3: one line of headings."""
    statistics = {
        "mean": "mean",
        "median": "median",
        "std_dev": "std dev",
        "percentiles": "[min, 0.1, 1, 5, 10, 25, 75, 90, 95, 99, max]",
    }
    figures = {name: value for name, value in metrics().items() if name != "request_totals"}
    head = [["Type"], ["Run Id"], ["Id"], ["Name"], ["Duration"], ["Successful Requests"]]
    head += [
        [f"Successful {name.replace('_', ' ').capitalize()} {words}"]
        for name in figures
        for words in statistics.values()
    ]
    head.append(["Backend"])
    rows = []
    for index, name in enumerate(("synchronous", "constant@2.00", "concurrent@8")):
        start: list[object] = ["generative_benchmark", "run", f"id-{index}", name, 60.0, 90]
        values = [_cell(summary, key) for summary in figures.values() for key in statistics]
        rows.append([*start, *values, json.dumps({"model": "llama-8b"})])
    return _csv(head, rows)


_GROUPS = {
    "request_latency": ("Request Latency", "Sec"),
    "time_to_first_token_ms": ("Time to First Token", "ms"),
    "inter_token_latency_ms": ("Inter Token Latency", "ms"),
    "requests_per_second": ("Server Throughput", "Requests/Sec"),
    "request_concurrency": ("Server Throughput", "Concurrency"),
    "prompt_token_count": ("Token Metrics", "Input Tokens"),
    "output_token_count": ("Token Metrics", "Output Tokens"),
    "output_tokens_per_second": ("Token Throughput", "Output Tokens/Sec"),
}


def guidellm_csv_05(profile: Json | None = None) -> str:
    """Return the CSV of GuideLLM 0.4 and later: three lines of headings."""
    statistics = {
        "Mean": "mean",
        "Median": "median",
        "Std Dev": "std_dev",
        "Percentiles": "percentiles",
    }
    strategies = STRATEGIES[2:4]
    profile = profile or {"type_": "async", "completed_strategies": list(strategies)}
    head: list[list[str]] = [
        ["Run Info", "Run Index"],
        ["Run Info", "Profile"],
        ["Run Info", "Backend"],
        ["Benchmark", "ID"],
        ["Benchmark", "Strategy"],
        ["Timings", "Duration", "Sec"],
        ["Request Counts", "Successful"],
    ]
    head += [
        [group, f"Successful {unit}", name]
        for group, unit in _GROUPS.values()
        for name in statistics
    ]
    rows = []
    for index, strategy in enumerate(strategies):
        start: list[object] = [
            index,
            json.dumps(profile),
            json.dumps({"model": "llama-8b"}),
            f"id-{index}",
            strategy["type_"],
            60.0,
            90,
        ]
        values = [_cell(metrics()[name], key) for name in _GROUPS for key in statistics.values()]
        rows.append(start + values)
    return _csv(head, rows)


def vllm_result(**changes: object) -> Json:
    """Return a result of `vllm bench serve`, 0.9 to 0.15."""
    return {
        "date": "20260102-101112",
        "backend": "vllm",
        "label": "bench",
        "model_id": "llama-8b",
        "num_prompts": 100,
        "gpu": "H100",
        "tp": "2",
        "request_rate": 2.0,
        "burstiness": 1.0,
        "max_concurrency": None,
        "duration": 50.0,
        "completed": 100,
        "total_input_tokens": 51200,
        "total_output_tokens": 12800,
        "request_throughput": 2.0,
        "output_throughput": 256.0,
        "mean_ttft_ms": 40.0,
        "median_ttft_ms": 38.0,
        "p99_ttft_ms": 80.0,
        "mean_tpot_ms": 8.0,
        "median_tpot_ms": 7.9,
        "p99_tpot_ms": 11.0,
        "mean_itl_ms": 9.0,
        "p99_itl_ms": 30.0,
    } | changes


def sglang_result(**changes: object) -> Json:
    """Return a result of SGLang's bench_serving, 0.5, with what its server told."""
    return {
        "backend": "sglang",
        "dataset_name": "random",
        "request_rate": 2.0,
        "max_concurrency": None,
        "random_input_len": 512,
        "random_output_len": 128,
        "server_info": {
            "model_path": "llama-8b",
            "tp_size": 2,
            "dtype": "auto",
            "quantization": None,
            "max_running_requests": 256,
            "chunked_prefill_size": 8192,
            "version": "0.5.3",
        },
        "duration": 50.0,
        "completed": 100,
        "total_input_tokens": 51200,
        "total_output_tokens": 12800,
        "total_output_tokens_retokenized": 12700,
        "request_throughput": 2.0,
        "input_throughput": 1024.0,
        "output_throughput": 256.0,
        "mean_e2e_latency_ms": 1056.0,
        "median_e2e_latency_ms": 1041.0,
        "mean_ttft_ms": 40.0,
        "median_ttft_ms": 38.0,
        "std_ttft_ms": 9.0,
        "p99_ttft_ms": 80.0,
        "mean_tpot_ms": 8.0,
        "median_tpot_ms": 7.9,
        "p99_tpot_ms": 11.0,
        "mean_itl_ms": 8.1,
        "p95_itl_ms": 14.0,
        "p99_itl_ms": 30.0,
        "concurrency": 2.11,
        "accept_length": None,
    } | changes
