"""Which metrics answer which signal, in the order in which they are tried.

Names differ between engines and change between their versions. A candidate whose metrics do not
exist is passed over; where none is left, the signal is unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from collector.prometheus import promql
from collector.prometheus.promql import Grouping
from stoker.domain.control.choices import EngineKind
from stoker.domain.control.signals import SignalName

GATEWAY = "gateway"
"""Engine of candidates that a gateway answers, whatever serves behind it."""

_HTTP = "http_requests_total"
"""Requests over HTTP, as vLLM's web framework counts them."""

PREFIXES = (
    "vllm:",
    "sglang:",
    "llm_d_epp_",
    "inference_extension_",
    "inference_objective_request_",
    "inference_model_request_",
    _HTTP,
)
"""How the names of all candidates begin."""

_GATEWAY_MODEL = "target_model_name"
_SGLANG_DONE = "sglang:num_requests_total"
"""Requests that SGLang has finished."""
_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to read a signal.

    Attributes:
        engine: Whose metrics it needs: `vllm`, `sglang` or `gateway`.
        metric: The metric that tells its age.
        needs: All metrics without which it says nothing.
        expression: The query, for a grouping.
        scale: Factor from its unit to the signal's.
        model_label: Label that holds the model's name, where it is not the engine's own.
        least: Smallest value that makes sense; what is below counts as it.
    """

    engine: str
    metric: str
    needs: tuple[str, ...]
    expression: Callable[[Grouping], str]
    scale: float = 1.0
    model_label: str = ""
    least: float | None = 0.0


def candidates_for(signal: SignalName, engine: EngineKind) -> tuple[Candidate, ...]:
    """Return the ways to read a signal, the best first."""
    found = _TABLE.get(signal, ())
    if engine is EngineKind.AUTO:
        return found
    return tuple(each for each in found if each.engine in (engine.value, GATEWAY))


def token_histograms(engine: EngineKind) -> tuple[tuple[SignalName, str, str], ...]:
    """Return (signal of the mean, engine, name of the histogram) of tokens of requests."""
    return tuple(each for each in _TOKENS if engine is EngineKind.AUTO or each[1] == engine.value)


_VLLM, _SGLANG = EngineKind.VLLM.value, EngineKind.SGLANG.value

_TOKENS = (
    (SignalName.INPUT_TOKENS, _VLLM, "vllm:request_prompt_tokens"),
    (SignalName.OUTPUT_TOKENS, _VLLM, "vllm:request_generation_tokens"),
    (SignalName.INPUT_TOKENS, _SGLANG, "sglang:prompt_tokens_histogram"),
    (SignalName.OUTPUT_TOKENS, _SGLANG, "sglang:generation_tokens_histogram"),
)


def _rate(engine: str, metric: str, *conditions: str, model_label: str = "") -> Candidate:
    def expression(group: Grouping) -> str:
        return promql.rate(group, metric, *conditions)

    return Candidate(engine, metric, (metric,), expression, model_label=model_label)


def _mean(engine: str, metric: str, scale: float = 1.0) -> Candidate:
    parts = (f"{metric}_sum", f"{metric}_count")
    return Candidate(engine, parts[1], parts, partial(_mean_of, metric), scale)


def _mean_of(metric: str, group: Grouping) -> str:
    return promql.mean(group, metric)


def _means_of(signal: SignalName) -> tuple[Candidate, ...]:
    return tuple(_mean(engine, metric) for name, engine, metric in _TOKENS if name is signal)


def _quantile(engine: str, metric: str, share: float) -> Candidate:
    bucket = f"{metric}_bucket"

    def expression(group: Grouping) -> str:
        return promql.quantile(group, metric, share)

    return Candidate(engine, bucket, (bucket,), expression, _MS)


def _total(engine: str, metric: str, model_label: str = "") -> Candidate:
    def expression(group: Grouping) -> str:
        return promql.total(group, metric)

    return Candidate(engine, metric, (metric,), expression, model_label=model_label)


def _average(engine: str, metric: str) -> Candidate:
    def expression(group: Grouping) -> str:
        return promql.average(group, metric)

    return Candidate(engine, metric, (metric,), expression)


def _ratio(engine: str, above: str, below: str) -> Candidate:
    def expression(group: Grouping) -> str:
        return promql.ratio(group, above, below)

    return Candidate(engine, below, (above, below), expression)


def _aborted(group: Grouping) -> str:
    """The share of SGLang's requests that were aborted.

    What is rejected or given up in the queue is never counted as done, so both together are all.
    What is aborted while it is served counts in both: the share is then told a little low.
    """
    aborted = promql.rate(group, "sglang:num_aborted_requests_total")
    done = promql.rate(group, _SGLANG_DONE)
    every = f"({done} + ({aborted} or {done} * 0))"
    return f"({aborted} or {done} * 0) / {every}"


def _failed(engine: str, part: str, whole: str, model_label: str = "") -> Candidate:
    def expression(group: Grouping) -> str:
        return promql.share(group, part, whole)

    return Candidate(engine, whole, (whole,), expression, model_label=model_label)


def _failed_over_http(group: Grouping) -> str:
    return promql.failed_share(
        group, _HTTP, ('handler=~"/v1/.*"',), 'status=~"5.*"', "vllm:num_requests_running"
    )


def _completed_and_grown(group: Grouping) -> str:
    """Arrivals are completions and what gathers: completions alone under-scale a full server."""
    done = promql.rate(group, "vllm:request_success_total")
    waiting = promql.growth(group, "vllm:num_requests_waiting")
    running = promql.growth(group, "vllm:num_requests_running")
    return f"clamp_min({done} + {waiting} + {running}, 0)"


def _completed_given_up_and_grown(group: Grouping) -> str:
    """The same of SGLang, whose counter of requests counts them when they finish.

    (``TokenizerMetricsCollector.observe_one_finished_request`` of SGLang 0.5.) It differs from
    vLLM's in two ways. Requests that are given up in the queue are not counted with those that
    finished, but with the aborted ones alone; those count where requests wait, since elsewhere they
    were in service, and finished. And the counter has no series before the first request: a server
    with nothing in it for the whole window is one without load.
    """
    queue, batch = "sglang:num_queue_reqs", "sglang:num_running_reqs"
    finished = promql.rate(group, _SGLANG_DONE)
    queued = promql.highest(group, queue)
    done = f"({finished} or {queued} + {promql.highest(group, batch)} == 0)"
    aborted = promql.rate(group, "sglang:num_aborted_requests_total")
    given_up = f"({aborted} * ({queued} > bool 0) or {done} * 0)"
    waiting, running = promql.growth(group, queue), promql.growth(group, batch)
    return f"clamp_min({done} + {given_up} + {waiting} + {running}, 0)"


_TTFT = (
    (_VLLM, "vllm:time_to_first_token_seconds"),
    (_SGLANG, "sglang:time_to_first_token_seconds"),
)
_ITL = (
    (_VLLM, "vllm:inter_token_latency_seconds"),
    (_VLLM, "vllm:request_time_per_output_token_seconds"),
    (_VLLM, "vllm:time_per_output_token_seconds"),
    (_SGLANG, "sglang:inter_token_latency_seconds"),
)
_SUCCESS = 'status="success"'


def _latency(names: tuple[tuple[str, str], ...], share: float | None) -> tuple[Candidate, ...]:
    if share is None:
        return tuple(_mean(engine, metric, _MS) for engine, metric in names)
    return tuple(_quantile(engine, metric, share) for engine, metric in names)


_TABLE: dict[SignalName, tuple[Candidate, ...]] = {
    SignalName.ARRIVAL_RATE: (
        _rate(GATEWAY, "llm_d_epp_scheduler_attempts_total", _SUCCESS, model_label=_GATEWAY_MODEL),
        _rate(
            GATEWAY,
            "inference_extension_scheduler_attempts_total",
            _SUCCESS,
            model_label=_GATEWAY_MODEL,
        ),
        Candidate(
            _SGLANG,
            "sglang:num_running_reqs",
            ("sglang:num_queue_reqs", "sglang:num_running_reqs"),
            _completed_given_up_and_grown,
        ),
        Candidate(
            _VLLM,
            "vllm:request_success_total",
            (
                "vllm:request_success_total",
                "vllm:num_requests_waiting",
                "vllm:num_requests_running",
            ),
            _completed_and_grown,
        ),
    ),
    SignalName.COMPLETION_RATE: (
        _rate(_VLLM, "vllm:request_success_total"),
        _rate(_SGLANG, _SGLANG_DONE),
    ),
    SignalName.INPUT_TOKENS: (
        *_means_of(SignalName.INPUT_TOKENS),
        # SGLang's histograms have to be asked for (--collect-tokens-histogram).
        _ratio(_SGLANG, "sglang:prompt_tokens_total", _SGLANG_DONE),
    ),
    SignalName.OUTPUT_TOKENS: (
        *_means_of(SignalName.OUTPUT_TOKENS),
        _ratio(_SGLANG, "sglang:generation_tokens_total", _SGLANG_DONE),
    ),
    SignalName.TTFT_MEAN: _latency(_TTFT, None),
    SignalName.TTFT_P50: _latency(_TTFT, 0.5),
    SignalName.TTFT_P95: _latency(_TTFT, 0.95),
    SignalName.TTFT_P99: _latency(_TTFT, 0.99),
    SignalName.ITL_MEAN: _latency(_ITL, None),
    SignalName.ITL_P50: _latency(_ITL, 0.5),
    SignalName.ITL_P95: _latency(_ITL, 0.95),
    SignalName.ITL_P99: _latency(_ITL, 0.99),
    SignalName.RUNNING: (
        _total(_VLLM, "vllm:num_requests_running"),
        _total(_SGLANG, "sglang:num_running_reqs"),
    ),
    SignalName.WAITING: (
        _total(_VLLM, "vllm:num_requests_waiting"),
        _total(_SGLANG, "sglang:num_queue_reqs"),
        # Where no pod tells, since there is none: what a gateway keeps waiting for the first one.
        _total(GATEWAY, "llm_d_epp_flow_control_queue_size", _GATEWAY_MODEL),
        _total(GATEWAY, "inference_extension_flow_control_queue_size", _GATEWAY_MODEL),
    ),
    SignalName.KV_USE: (
        _average(_VLLM, "vllm:kv_cache_usage_perc"),
        _average(_VLLM, "vllm:gpu_cache_usage_perc"),
        _average(_SGLANG, "sglang:token_usage"),
    ),
    SignalName.KV_TOKENS: (_average(_SGLANG, "sglang:max_total_num_tokens"),),
    SignalName.PREFIX_HIT_RATE: (
        _ratio(_VLLM, "vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total"),
        _ratio(_SGLANG, "sglang:cached_tokens_total", "sglang:prompt_tokens_total"),
    ),
    SignalName.ERROR_RATE: (
        *(
            _failed(GATEWAY, f"{name}_error_total", f"{name}_total", model_label=_GATEWAY_MODEL)
            for name in (
                "llm_d_epp_request",
                "inference_objective_request",
                "inference_model_request",
            )
        ),
        # The age is that of a metric that carries the model.
        Candidate(
            _VLLM,
            "vllm:num_requests_running",
            (_HTTP, "vllm:num_requests_running"),
            _failed_over_http,
        ),
        Candidate(
            _SGLANG, _SGLANG_DONE, (_SGLANG_DONE, "sglang:num_aborted_requests_total"), _aborted
        ),
    ),
}
