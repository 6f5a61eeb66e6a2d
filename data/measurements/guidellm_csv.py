"""GuideLLM benchmark reports as CSV.

Two forms, from github.com/vllm-project/guidellm: 0.4 and later write three rows of headings
(group, metric with its status, statistic), 0.2 and 0.3 one (``Successful Time to first token ms
mean``). Percentiles share a cell: minimum, 0.1, 1, 5, 10, 25, 75, 90, 95, 99, maximum.

The newer form names the strategy without its rate, or from 0.8 on with one of two decimals
(``poisson@8.00``); the full one stands in the JSON of the profile, where the version writes it
there. Headings are those of the first benchmark: where another one has more
or fewer columns (it alone had failed requests, say), its values stand under wrong headings, so that
such a row is refused.
"""

from __future__ import annotations

import ast
import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence

from data.measurements.draft import Draft
from data.measurements.guidellm import Found, at, benchmark_draft
from data.measurements.numbers import finite

_NEW_METRICS = {
    "time_to_first_token_ms": ("Time to First Token", "Successful ms"),
    "inter_token_latency_ms": ("Inter Token Latency", "Successful ms"),
    "request_latency": ("Request Latency", "Successful Sec"),
    "prompt_token_count": ("Token Metrics", "Successful Input Tokens"),
    "output_token_count": ("Token Metrics", "Successful Output Tokens"),
    "requests_per_second": ("Server Throughput", "Successful Requests/Sec"),
    "request_concurrency": ("Server Throughput", "Successful Concurrency"),
    "output_tokens_per_second": ("Token Throughput", "Successful Output Tokens/Sec"),
}
_NEW_STATISTICS = {"mean": "Mean", "median": "Median", "std_dev": "Std Dev"}
_OLD_PERCENTILES = "[min, 0.1, 1, 5, 10, 25, 75, 90, 95, 99, max]"
_CELL = {"p90": 7, "p99": 9}
"""Position of a percentile in its cell."""

_CELL_LENGTH = 11

_ROUNDING = 0.005
"""Most that a rate in the name of a strategy is off by."""


def is_csv_report(header: Sequence[str]) -> bool:
    """Return whether a CSV with this first line is a GuideLLM report."""
    return "Run Info" in header or "Successful Requests" in header


def csv_drafts(lines: Sequence[str]) -> Iterator[Draft]:
    """Yield a draft for each benchmark of a report, from its lines."""
    reader = csv.reader(lines)
    head = next(reader)
    if "Run Info" in head:
        depth = 3
        headings = [
            tuple(column) for column in zip(head, next(reader, []), next(reader, []), strict=False)
        ]
    else:
        depth = 1
        headings = [(name,) for name in head]
    for index, cells in enumerate(row for row in reader if row):
        where = f"benchmark {index + 1} (line {reader.line_num})"
        if len(cells) != len(headings):
            message = f"has {len(cells)} values under {len(headings)} headings"
            allowed = "one value a heading; the JSON report of the same run has no such fault"
            yield Draft.unreadable(where, message, allowed)
            continue
        row = dict(zip(headings, cells, strict=True))
        yield _new(where, index, row) if depth == 3 else _old(where, row)


def _new(where: str, index: int, row: Mapping[tuple[str, ...], str]) -> Draft:
    def figures(metric: str, statistic: str) -> Found:
        group, name = _NEW_METRICS[metric]
        last = _NEW_STATISTICS.get(statistic, "Percentiles")
        return _statistic(row.get((group, name, last)), statistic), f"{group}, {name}, {last}"

    backend = _decoded(row.get(("Run Info", "Backend", "")))
    arguments = _decoded(row.get(("Runtime Info", "Arguments", "")))
    return benchmark_draft(
        where,
        (_strategy(row, index), "Benchmark, Strategy"),
        figures,
        {
            "model": at(backend, "model") or at(arguments, "model"),
            "n_requests": _number(row.get(("Request Counts", "Successful", ""))) or None,
            "duration_s": _number(row.get(("Timings", "Duration", "Sec"))) or None,
            "id": row.get(("Benchmark", "ID", "")) or None,
            "source": "GuideLLM report",
        },
    )


def _strategy(row: Mapping[tuple[str, ...], str], index: int) -> dict[str, object]:
    """Return the strategy with its rate or streams, from the profile that lists them."""
    kind, _, told = row.get(("Benchmark", "Strategy", ""), "").partition("@")
    amount = _number(told)
    profile = _decoded(row.get(("Run Info", "Profile", "")))
    run = _number(row.get(("Run Info", "Run Index", "")))
    position = int(run) if isinstance(run, float) else index
    done = at(profile, "completed_strategies")
    if isinstance(done, list) and position < len(done) and at(done[position], "type_") == kind:
        return dict(done[position])
    strategy: dict[str, object] = {"type_": kind}
    for name in ("rate", "streams", "max_concurrency"):
        given = at(profile, name)
        if isinstance(given, list):
            given = given[position] if position < len(given) else None
        strategy[name] = given if _agrees(given, amount) else amount
    return strategy


def _agrees(given: object, told: object) -> bool:
    """Return whether the profile's amount is the one behind the strategy, which is rounded."""
    if not isinstance(told, float):
        return True
    known = finite(given)
    return known is not None and abs(known - told) <= _ROUNDING


def _old(where: str, row: Mapping[tuple[str, ...], str]) -> Draft:
    def figures(metric: str, statistic: str) -> Found:
        words = metric.replace("_", " ").capitalize()
        last = {"std_dev": "std dev"}.get(statistic, statistic)
        last = _OLD_PERCENTILES if statistic in _CELL else last
        heading = f"Successful {words} {last}"
        return _statistic(row.get((heading,)), statistic), heading

    kind, _, amount = row.get(("Name",), "").partition("@")
    strategy = {"type_": kind, "rate": _number(amount), "streams": _number(amount)}
    return benchmark_draft(
        where,
        (strategy, "Name"),
        figures,
        {
            "model": at(_decoded(row.get(("Backend",))), "model"),
            "n_requests": _number(row.get(("Successful Requests",))) or None,
            "duration_s": _number(row.get(("Duration",))) or None,
            "id": row.get(("Id",)) or None,
            "source": "GuideLLM report",
        },
    )


def _statistic(cell: str | None, statistic: str) -> object:
    """Return the statistic of a cell: the number in it, or the percentile of those in it."""
    if statistic not in _CELL or not cell:
        return _number(cell)
    try:
        numbers = ast.literal_eval(cell)
    except (ValueError, SyntaxError):
        return cell
    if not isinstance(numbers, list) or len(numbers) != _CELL_LENGTH:
        return cell
    found: object = numbers[_CELL[statistic]]
    return found


def _number(text: str | None) -> object:
    """Return the number of a cell; the text itself where it is none, to be refused with it."""
    if text is None or not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) else text


def _decoded(text: str | None) -> object:
    try:
        document: object = json.loads(text or "null")
    except ValueError:
        return None
    return document
