"""The metrics of replicas and of the gateway before them, as Prometheus text.

Every time this is asked, the families are made anew from what the replica counted; nothing is
registered, so that replicas come and go without traces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from emulator.dialect import Dialect
from emulator.engine import IterationLoop
from emulator.histogram import Histogram
from emulator.meter import Meter

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The classic text format."""


class _Families:
    """Makes families that share their labels."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._names = list(labels)
        self._values = list(labels.values())

    def gauge(self, name: str, text: str, value: float) -> Metric:
        family = GaugeMetricFamily(name, text, labels=self._names)
        family.add_metric(self._values, value)
        return family

    def counter(self, name: str, text: str, value: float) -> Metric:
        family = CounterMetricFamily(name, text, labels=self._names)
        family.add_metric(self._values, value)
        return family

    def histogram(self, name: str, text: str, values: Histogram) -> Metric:
        family = HistogramMetricFamily(name, text, labels=self._names)
        family.add_metric(self._values, values.cumulative(), values.sum)
        return family


class _Collected:
    """What the library writes as text."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def exposition(families: Iterable[Metric]) -> bytes:
    """Return families in the classic text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(list(families)))
    return generate_latest(registry)


def replica_metrics(
    dialect: Dialect, model: str, loop: IterationLoop, meter: Meter, *, older_names: bool = False
) -> Iterator[Metric]:
    """Yield the families of one replica.

    Args:
        dialect: Whose names to use.
        model: Value of the label `model_name`.
        loop: The replica's engine.
        meter: What it counted.
        older_names: Names that the engine had before or has given up, beside those of today.
    """
    if dialect is Dialect.VLLM:
        yield from _vllm(model, loop, meter, older_names=older_names)
    else:
        yield from _sglang(model, loop, meter)


def _vllm(model: str, loop: IterationLoop, meter: Meter, *, older_names: bool) -> Iterator[Metric]:
    labels = {"engine": "0", "model_name": model}
    of = _Families(labels)
    yield of.gauge("vllm:num_requests_running", "Requests in execution batches.", loop.running)
    yield of.gauge("vllm:num_requests_waiting", "Requests waiting to be processed.", loop.waiting)
    use = loop.memory.use
    yield of.gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent.", use)
    for prefix in ("vllm:", "vllm:gpu_") if older_names else ("vllm:",):
        name = f"{prefix}prefix_cache"
        yield of.counter(f"{name}_queries", "Prefix cache queries, in tokens.", meter.prefilled)
        yield of.counter(f"{name}_hits", "Prefix cache hits, in tokens.", meter.cached)
    yield of.counter("vllm:num_preemptions", "Preemptions of the engine.", meter.preemptions)
    yield of.counter("vllm:prompt_tokens", "Prefill tokens processed.", meter.prefilled)
    yield of.counter("vllm:generation_tokens", "Generation tokens processed.", meter.generated)
    success = CounterMetricFamily(
        "vllm:request_success",
        "Requests processed, by how they ended.",
        labels=[*labels, "finished_reason"],
    )
    for reason, count in meter.finished_by.items():
        success.add_metric([*labels.values(), reason], count)
    yield success
    # What the web framework of the engine counts names no model either.
    over_http = CounterMetricFamily(
        "http_requests",
        "Requests over HTTP, by class of the status.",
        labels=["handler", "method", "status"],
    )
    for status, count in meter.answered.items():
        over_http.add_metric(["/v1/completions", "POST", status], count)
    yield over_http
    for name, text, values in (
        ("request_prompt_tokens", "Prefill tokens of a request.", meter.input_tokens),
        ("request_generation_tokens", "Generation tokens of a request.", meter.output_tokens),
        ("request_params_max_tokens", "The parameter max_tokens.", meter.output_tokens),
        ("iteration_tokens_total", "Tokens of an engine step.", meter.iteration_tokens),
        ("time_to_first_token_seconds", "Time to first token in seconds.", meter.ttft_s),
        ("inter_token_latency_seconds", "Time between tokens in seconds.", meter.itl_s),
        (
            "request_time_per_output_token_seconds",
            "Mean time per output token of a request in seconds.",
            meter.tpot_s,
        ),
        ("e2e_request_latency_seconds", "Latency of a request in seconds.", meter.e2e_s),
        ("request_queue_time_seconds", "Time in phase WAITING in seconds.", meter.queue_s),
        ("request_inference_time_seconds", "Time in phase RUNNING.", meter.inference_s),
        ("request_prefill_time_seconds", "Time in phase PREFILL.", meter.prefill_s),
        ("request_decode_time_seconds", "Time in phase DECODE.", meter.decode_s),
    ):
        yield of.histogram(f"vllm:{name}", text, values)
    if older_names:
        yield of.gauge("vllm:gpu_cache_usage_perc", "KV-cache usage (older name).", use)
        name, text = "vllm:time_per_output_token_seconds", "Time between tokens (older name)."
        yield of.histogram(name, text, meter.itl_s)
    # As there, the configuration of the cache names no model.
    memory = loop.memory
    yield _Families(
        {
            "block_size": str(memory.block_tokens),
            "cache_dtype": "auto",
            "enable_prefix_caching": "True",
            "engine": "0",
            "num_gpu_blocks": str(memory.blocks) if memory.limited else "None",
        }
    ).gauge("vllm:cache_config_info", "Information of the cache configuration.", 1)


def _sglang(model: str, loop: IterationLoop, meter: Meter) -> Iterator[Metric]:
    of = _Families({"engine_type": "unified", "model_name": model, "pp_rank": "0", "tp_rank": "0"})
    yield of.gauge("sglang:num_running_reqs", "Running requests.", loop.running)
    yield of.gauge("sglang:num_queue_reqs", "Requests in the waiting queue.", loop.waiting)
    yield of.gauge("sglang:token_usage", "Share of the KV tokens in use.", loop.memory.use)
    used = loop.memory.used * loop.memory.block_tokens
    yield of.gauge("sglang:num_used_tokens", "KV tokens in use.", used)
    hit_rate = meter.cached / meter.prefilled if meter.prefilled else 0.0
    yield of.gauge("sglang:cache_hit_rate", "Prefix cache hit rate.", hit_rate)
    if loop.memory.limited:
        total = loop.memory.blocks * loop.memory.block_tokens
        yield of.gauge("sglang:max_total_num_tokens", "KV tokens in all.", total)
    for name, text, count in (
        ("prompt_tokens", "Prefill tokens processed.", meter.prefilled),
        ("generation_tokens", "Generation tokens processed.", meter.generated),
        ("cached_tokens", "Cached prompt tokens.", meter.cached),
        # Who gives up while it is served is counted as done, too; in the queue, as aborted alone.
        ("num_requests", "Requests processed.", meter.finished_by["length"] + meter.cut_short),
        (
            "num_aborted_requests",
            "Requests that were broken off or failed.",
            meter.finished_by["abort"] + meter.answered["5xx"],
        ),
        ("num_retracted_requests", "Requests that lost their KV.", meter.preemptions),
    ):
        yield of.counter(f"sglang:{name}", text, count)
    for name, text, values in (
        ("prompt_tokens_histogram", "Prompt tokens of a request.", meter.input_tokens),
        ("generation_tokens_histogram", "Output tokens of a request.", meter.output_tokens),
        ("time_to_first_token_seconds", "Time to first token in seconds.", meter.ttft_s),
        ("inter_token_latency_seconds", "Time between tokens in seconds.", meter.itl_s),
        ("e2e_request_latency_seconds", "Latency of a request in seconds.", meter.e2e_s),
    ):
        yield of.histogram(f"sglang:{name}", text, values)


def gateway_metrics(
    model: str, attempts: Mapping[str, int], held: int, *, older_names: bool = False
) -> Iterator[Metric]:
    """Yield the families of the gateway that routes requests to the replicas of a model.

    Args:
        model: Value of the label `target_model_name`.
        attempts: Requests that came, by status: success (sent to a replica, or held until there
            is one) or failure.
        held: Requests held because no replica is ready.
        older_names: The counter under its older name, too.
    """
    names = ["llm_d_epp_scheduler_attempts"]
    if older_names:
        names.append("inference_extension_scheduler_attempts")
    for name in names:
        family = CounterMetricFamily(
            name, "Requests scheduled, by status.", labels=["status", "target_model_name"]
        )
        for status, count in attempts.items():
            family.add_metric([status, model], count)
        yield family
    of = _Families({"target_model_name": model})
    yield of.gauge("inference_extension_flow_control_queue_size", "Requests held.", held)
