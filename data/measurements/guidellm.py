"""GuideLLM benchmark reports as JSON.

Read as written by GuideLLM 0.2 and 0.3 (strategy under ``benchmarks[].args``, model under
``benchmarks[].worker.backend_model``), by its builds between them and 0.4 (``scheduler`` and
``benchmarker``), and by 0.4 to 0.8 (both under ``benchmarks[].config``), from the schemas in
github.com/vllm-project/guidellm, formerly neuralmagic/guidellm. All of them give latencies in
milliseconds, except ``request_latency``, which is in seconds.

A report holds no word on the accelerator, its number, the precision or the engine's limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from data.measurements.draft import Draft
from data.measurements.numbers import finite
from stoker.domain.errors import Problem

Found = tuple[object, str]
"""A value, and where it stands."""

Figures = Callable[[str, str], Found]
"""A statistic (mean, median, std_dev, p90, p99) of a metric over the successful requests."""

STRATEGIES = ("synchronous", "concurrent", "throughput", "constant", "poisson")

_METRICS = (
    ("time_to_first_token_ms", "ttft_ms", 1.0),
    ("inter_token_latency_ms", "itl_ms", 1.0),
    ("request_latency", "e2e_ms", 1000.0),
)
_STATISTICS = (("mean", "mean"), ("median", "p50"), ("p90", "p90"), ("p99", "p99"))
_SINGLES = (
    ("prompt_token_count", "mean", "in_tokens"),
    ("prompt_token_count", "std_dev", "in_tokens_std"),
    ("output_token_count", "mean", "out_tokens"),
    ("output_token_count", "std_dev", "out_tokens_std"),
    ("requests_per_second", "mean", "throughput_rps"),
    ("request_concurrency", "mean", "concurrency_mean"),
    ("output_tokens_per_second", "mean", "output_tps"),
)


def is_report(document: object) -> bool:
    """Return whether a decoded document is a GuideLLM report."""
    return isinstance(document, Mapping) and isinstance(document.get("benchmarks"), list)


def report_drafts(document: Mapping[str, object]) -> Iterator[Draft]:
    """Yield a draft for each benchmark of a report."""
    benchmarks = document["benchmarks"]
    assert isinstance(benchmarks, list)
    if not benchmarks:
        yield Draft.unreadable("benchmarks", "is empty", "one benchmark or more")
    for index, benchmark in enumerate(benchmarks):
        where = f"benchmarks[{index}]"
        if not isinstance(benchmark, Mapping) or not isinstance(benchmark.get("metrics"), Mapping):
            yield Draft.unreadable(f"{where}: metrics", "is missing", "metrics of a benchmark")
            continue
        yield benchmark_draft(
            where,
            _strategy(benchmark),
            _figures(benchmark["metrics"]),
            {
                "model": _model(document, benchmark),
                "n_requests": _positive(at(benchmark, "metrics.request_totals.successful")),
                "duration_s": _duration(benchmark),
                "id": at(benchmark, "config.id_") or benchmark.get("id_"),
                "source": "GuideLLM report",
            },
        )


def benchmark_draft(
    where: str, strategy: Found, figures: Figures, values: Mapping[str, object]
) -> Draft:
    """Return the draft of one benchmark.

    Args:
        where: Where it stands in the file.
        strategy: Its strategy as a mapping of `type_` and its parameters, and where it stands.
        figures: Its statistics.
        values: What else is known of it, by field of a row.
    """
    load = _load(strategy, figures)
    if isinstance(load, Draft):
        return Draft(where, {}, {}, _prefixed(where, load))
    row = dict(values) | load
    places = dict.fromkeys(load, strategy[1])
    for metric, name, scale in _METRICS:
        for statistic, suffix in _STATISTICS:
            value, place = figures(metric, statistic)
            row[f"{name}_{suffix}"] = _scaled(value, scale)
            places[f"{name}_{suffix}"] = place
    for metric, statistic, name in _SINGLES:
        value, place = figures(metric, statistic)
        row[name] = value if name.endswith("_std") else _positive(value)
        places[name] = place
    return Draft(where, row, places)


def _prefixed(where: str, draft: Draft) -> tuple[Problem, ...]:
    return tuple(
        Problem(f"{where}: {item.path}", item.message, item.allowed) for item in draft.problems
    )


def _load(strategy: Found, figures: Figures) -> dict[str, object] | Draft:
    """Return the fields of the load; a draft with the reason where there is none."""
    value, place = strategy
    kind = value.get("type_") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or kind not in STRATEGIES:
        shown_kind = f'is "{kind}"' if kind else "is missing"
        return Draft.unreadable(place, shown_kind, ", ".join(STRATEGIES))
    if kind in ("constant", "poisson"):
        return {"load_kind": "rate", "load": value.get("rate"), "arrival": kind}
    if kind == "synchronous":
        return {"load_kind": "concurrency", "load": 1.0, "arrival": "closed"}
    if kind == "concurrent":
        return {"load_kind": "concurrency", "load": value.get("streams"), "arrival": "closed"}
    # Everything is sent at once: as many clients as were allowed, or as were seen.
    clients = value.get("max_concurrency") or figures("request_concurrency", "mean")[0]
    return {
        "load_kind": "concurrency",
        "load": clients,
        "arrival": "closed",
        "quality": "saturated-burst",
    }


def _strategy(benchmark: Mapping[str, object]) -> Found:
    places = ("config.strategy", "scheduler.strategy", "args.strategy")
    for place in places:
        value = at(benchmark, place)
        if value is not None:
            return value, place
    return None, places[0]


def _model(document: Mapping[str, object], benchmark: Mapping[str, object]) -> object:
    for place in (
        "config.backend.model",
        "config.backend.backend_model",
        "benchmarker.backend.model",
        "worker.backend_model",
    ):
        if value := at(benchmark, place):
            return value
    return (
        at(document, "args.model")
        or at(document, "args.backend.model")
        or at(document, "config.spec.backend.model")
    )


def _duration(benchmark: Mapping[str, object]) -> object:
    own = benchmark.get("duration")
    if own is not None:
        return _positive(own)
    start = finite(at(benchmark, "run_stats.start_time"))
    end = finite(at(benchmark, "run_stats.end_time"))
    return None if start is None or end is None else _positive(end - start)


def _figures(metrics: object) -> Figures:
    def figures(metric: str, statistic: str) -> Found:
        middle = "percentiles." if statistic.startswith("p") else ""
        place = f"{metric}.successful.{middle}{statistic}"
        return at(metrics, place), f"metrics.{place}"

    return figures


def at(value: object, path: str) -> object:
    """Return what stands under a path of keys with dots between; None where nothing does."""
    for key in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _positive(value: object) -> object:
    """Return a value; None for a zero, which GuideLLM writes for what it did not see."""
    return None if value == 0 and not isinstance(value, bool) else value


def _scaled(value: object, scale: float) -> object:
    number = finite(value)
    return value if number is None else _positive(number * scale)
