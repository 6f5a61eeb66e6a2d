"""Pods in all conditions, as pages of metrics, and what servers they belong to."""

from __future__ import annotations

import time
from collections.abc import Mapping

from collector.prometheus.matching import ServerSeries
from emulator.dialect import Dialect
from tests.support.emulated_pods import emulated
from tests.support.metrics_pages import Page, histogram, line

ENDED_S = 4.0
"""Seconds after which the pod `frozen` says nothing new."""
ENDED_AFTER = 6
"""Scrapes that the pod `ended` answers before it is gone."""


def vllm(
    model: str,
    rate: float,
    *,
    waiting_growth: float = 0.0,
    input_tokens: float = 100.0,
    output_tokens: float = 50.0,
    reset_every_s: float = 1e9,
    ttft_s: float = 0.15,
    failing: float | None = None,
) -> Page:
    """A vLLM pod whose counters follow the time; TTFT 150 ms and ITL 20 ms on average.

    Where it is told how many requests fail a second, it counts requests over HTTP, too.
    """

    def page(seconds: float) -> str:
        done = rate * (seconds % reset_every_s)
        named = {"model_name": model, "engine": "0"}
        text = line("vllm:request_success_total", done, **named, finished_reason="length")
        text += line("vllm:num_requests_running", 3.0, **named)
        text += line("vllm:num_requests_waiting", waiting_growth * seconds, **named)
        text += line("vllm:kv_cache_usage_perc", 0.25, **named)
        text += line("vllm:prefix_cache_hits_total", 30.0 * done, **named)
        text += line("vllm:prefix_cache_queries_total", 120.0 * done, **named)
        text += line(
            "vllm:cache_config_info", 1.0, block_size="16", num_gpu_blocks="1000", engine="0"
        )
        # Half of the prompts in (50, 100], half in (100, 150]; all outputs in (0, 100].
        text += histogram(
            "vllm:request_prompt_tokens",
            {"50": 0.0, "100": done / 2, "150": done, "+Inf": done},
            input_tokens * done,
            **named,
        )
        text += histogram(
            "vllm:request_generation_tokens",
            {"100": done, "+Inf": done},
            output_tokens * done,
            **named,
        )
        text += histogram(
            "vllm:time_to_first_token_seconds",
            {"0.1": 0.5 * done, "0.2": 0.9 * done, "0.4": done, "+Inf": done},
            ttft_s * done,
            **named,
        )
        for status, count in () if failing is None else (("2xx", rate), ("5xx", failing)):
            if count:  # a counter that never counted has no series
                told = {"handler": "/v1/chat/completions", "method": "POST", "status": status}
                text += line("http_requests_total", count * seconds, **told)
        if failing is not None:
            beside = {"handler": "/health", "method": "GET", "status": "5xx"}
            text += line("http_requests_total", 100.0 * seconds, **beside)
        return text + histogram(
            "vllm:inter_token_latency_seconds",
            {"0.02": 25 * done, "0.04": 49 * done, "+Inf": 49 * done},
            0.02 * 49 * done,
            **named,
        )

    return page


def old_vllm(seconds: float) -> str:
    """A vLLM pod of an older version, with the names of then."""
    done = 2.0 * seconds
    named = {"model_name": "old"}
    text = line("vllm:request_success_total", done, **named)
    text += line("vllm:num_requests_running", 1.0, **named)
    text += line("vllm:num_requests_waiting", 0.0, **named)
    text += line("vllm:gpu_cache_usage_perc", 0.5, **named)
    return text + histogram(
        "vllm:time_per_output_token_seconds",
        {"0.05": 10 * done, "+Inf": 10 * done},
        0.3 * done,
        **named,
    )


def sglang(
    model: str,
    rate: float,
    *,
    waiting_growth: float = 0.0,
    given_up: float = 0.0,
    histograms: bool = True,
) -> Page:
    """An SGLang pod: so many requests finish a second, and of these one in ten was broken off.

    Requests that gather and that are given up wait in its queue beside two that always do. A pod
    that never finished a request has no series of its counters, as prometheus_client has it. The
    histograms of tokens have to be asked for.
    """

    def page(seconds: float) -> str:
        count, named = rate * seconds, {"model_name": model}
        aborted = 0.1 * count + given_up * seconds
        waiting = (2.0 if rate else 0.0) + waiting_growth * seconds
        text = line("sglang:num_running_reqs", 4.0 if rate else 0.0, **named)
        text += line("sglang:num_queue_reqs", waiting, **named)
        text += line("sglang:token_usage", 0.75, **named)
        text += line("sglang:max_total_num_tokens", 50_000.0, **named)
        if not rate:
            return text
        text += line("sglang:num_requests_total", count, **named)
        text += line("sglang:num_aborted_requests_total", aborted, **named)
        text += line("sglang:cached_tokens_total", 10.0 * count, **named)
        text += line("sglang:prompt_tokens_total", 200.0 * count, **named)
        text += line("sglang:generation_tokens_total", 80.0 * count, **named)
        means = {"time_to_first_token_seconds": 0.3, "inter_token_latency_seconds": 0.03}
        if histograms:
            means |= {"prompt_tokens_histogram": 200.0, "generation_tokens_histogram": 80.0}
        for name, mean in means.items():
            bounds = {"300": count, "+Inf": count}
            text += histogram(f"sglang:{name}", bounds, mean * count, **named)
        return text

    return page


def gateway(seconds: float) -> str:
    """A gateway that offers more than its model's pods complete."""
    named = {"target_model_name": "behind-gateway"}
    text = line(
        "inference_extension_scheduler_attempts_total", 7.0 * seconds, status="success", **named
    )
    text += line("inference_objective_request_total", 8.0 * seconds, **named)
    text += line("inference_objective_request_error_total", 1.0 * seconds, **named)
    return text + line(
        "inference_extension_scheduler_attempts_total", 9.0 * seconds, status="failure", **named
    )


def ended() -> Page:
    """A pod that is gone after some scrapes."""
    left = iter(range(ENDED_AFTER))
    return lambda seconds: "" if next(left, None) is None else vllm("ended", 3.0)(seconds)


def frozen(seconds: float) -> str:
    """A pod whose figures come with times of their own, and stop coming."""
    moment = min(seconds, ENDED_S)
    at_ms = round((time.time() - (seconds - moment)) * 1000)
    lines = vllm("frozen", 3.0)(moment).splitlines()
    return "".join(f"{each} {at_ms}\n" for each in lines)


PAGES: Mapping[str, Page] = {
    "/plain": vllm("plain", 4.0),
    "/pair-0": vllm("pair", 2.0),
    "/pair-1": vllm("pair", 3.0),
    "/saturated": vllm("saturated", 2.0, waiting_growth=3.0),
    "/restarting": vllm("restarting", 4.0, reset_every_s=5.0),
    "/idle": vllm("idle", 0.0),
    "/old": old_vllm,
    "/sg": sglang("sg", 5.0),
    "/sg-saturated": sglang("sg-saturated", 2.0, waiting_growth=3.0, given_up=1.0),
    "/sg-bare": sglang("sg-bare", 3.0, histograms=False),
    "/sg-idle": sglang("sg-idle", 0.0),
    "/sg-emulated": emulated(Dialect.SGLANG, "sg-emulated"),
    "/sg-failing": emulated(Dialect.SGLANG, "sg-failing", error_rate=0.5),
    "/vllm-emulated": emulated(Dialect.VLLM, "vllm-emulated"),
    "/gateway": gateway,
    "/behind": vllm("behind-gateway", 3.0),
    "/thanos": vllm("thanos", 4.0),
    "/scraped": vllm("scraped", 4.0),
    "/ray-0": vllm("ray", 2.0),
    "/ray-1": vllm("ray", 4.0),
    "/ended": ended(),
    "/frozen": frozen,
    "/east": vllm("shared", 2.0),
    "/west": vllm("shared", 6.0),
    "/mover-old-1": vllm("mover", 8.0, failing=0.0),
    "/mover-old-2": vllm("mover", 8.0, failing=0.0),
    "/mover-new-1": vllm("mover", 4.0, ttft_s=0.6, failing=1.0),
}


def targets() -> tuple[tuple[str, Mapping[str, str]], ...]:
    """Every page with the labels of its pod, as a cluster's discovery would give them."""

    def labels(path: str, **further: str) -> tuple[str, dict[str, str]]:
        return path, {"instance": path, "pod": path[1:], "job": "pods", **further}

    apart = ("/thanos", "/scraped", "/ray-0", "/ray-1")
    found = [labels(path) for path in PAGES if path not in apart]
    # The plain pod is scraped by a second job too.
    found.append(labels("/plain", job="services"))
    # By a pair of Prometheus servers, as Thanos shows it that was told no label of replicas.
    found += [labels("/thanos", replica=each) for each in ("a", "b")]
    found += [labels("/scraped", scraped_by=each) for each in ("a", "b")]
    # Two servers in one pod, told apart by their replica alone.
    found += [
        labels(f"/ray-{each}", instance="ray", pod="ray", replica=each) for each in ("0", "1")
    ]
    return tuple(
        (path, {**each, "namespace": "east" if path == "/east" else "west"}) for path, each in found
    )


SERIES = (
    *(
        ServerSeries(name, name)
        for name in (
            "plain",
            "pair",
            "saturated",
            "restarting",
            "idle",
            "old",
            "sg",
            "thanos",
            "sg-saturated",
            "sg-bare",
            "sg-idle",
            "sg-emulated",
            "sg-failing",
            "vllm-emulated",
            "behind-gateway",
            "ended",
            "frozen",
            "absent",
            "mover",
        )
    ),
    ServerSeries("in-east", "shared", {"namespace": "east"}),
    ServerSeries("in-west", "shared", {"namespace": "west"}),
    ServerSeries("anywhere", "shared"),
    ServerSeries(
        "own",
        "own",
        queries={
            "arrival_rate_rps": 'sum(rate(vllm:request_success_total{model_name="plain"}[8s]))',
            "input_tokens": "sum(nothing_of_that_name)",
            "output_tokens": "vllm:num_requests_running",
            "running": "sum(",
            "waiting": "vector(3)",
            "kv_use": "vector(0.5)",
            "ttft_mean_ms": "vector(80)",
            "itl_mean_ms": "vector(20)",
            "error_rate": 'max(vllm:kv_cache_usage_perc{model_name="frozen"})',
            "kv_tokens": 'max_over_time(vllm:num_requests_running{model_name="ended"}[1h])',
        },
        ages={
            "kv_use": 'time() - max(timestamp(vllm:num_requests_running{model_name="plain"}))',
            "ttft_mean_ms": "vector(3600)",
            "itl_mean_ms": "sum(",
        },
    ),
)
