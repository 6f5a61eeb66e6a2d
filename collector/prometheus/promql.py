"""PromQL of signals: one query for all servers, grouped by the labels that tell them apart.

The same pod may be scraped twice (by two Prometheus servers of a pair, or by two jobs): series that
differ in `DUPLICATE_LABELS` alone are one, and the larger one counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DUPLICATE_LABELS = (
    "prometheus",
    "prometheus_replica",
    "__replica__",
    "job",
    "endpoint",
    "service",
    "container",
)
"""Labels that tell scrapes of one pod apart, never pods."""

_SPECIAL = frozenset(".^$*+?()[]{}|\\")


@dataclass(frozen=True, slots=True)
class Grouping:
    """What a query is grouped by.

    Attributes:
        labels: Labels that tell servers apart, the model's first.
        window_s: Time over which rates are taken, in seconds.
        values: Names of the models asked for; empty for any.
        where: Labels that the series carry besides, with their values.
        pods: Names of the pods asked for; empty for any.
    """

    labels: tuple[str, ...]
    window_s: float
    values: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()
    pods: tuple[str, ...] = ()

    @property
    def window(self) -> str:
        """The time in PromQL's words."""
        return f"{round(self.window_s * 1000)}ms"

    @property
    def by(self) -> str:
        """The labels in PromQL's words."""
        return ", ".join(self.labels)

    def series(self, metric: str, *conditions: str) -> str:
        """Return the selector of a metric's series, of any model asked for."""
        wanted = [*conditions]
        if len(self.values) == 1:
            wanted.append(f'{self.labels[0]}="{_quoted(self.values[0])}"')
        elif self.values:
            names = "|".join(_escaped(name) for name in self.values)
            wanted.append(f'{self.labels[0]}=~"{names}"')
        wanted += [f'{label}="{_quoted(value)}"' for label, value in self.where]
        if self.pods:
            wanted.append(f'pod=~"{"|".join(_escaped(name) for name in self.pods)}"')
        return f'{{__name__="{metric}"{"".join(f", {item}" for item in wanted)}}}'


def _once(expression: str) -> str:
    return f"max without ({', '.join(DUPLICATE_LABELS)}) ({expression})"


def rate(group: Grouping, metric: str, *conditions: str) -> str:
    """Return the rate of a counter, summed over pods. Resets of counters are seen to by `rate`."""
    return (
        f"sum by ({group.by}) "
        f"({_once(f'rate({group.series(metric, *conditions)}[{group.window}])')})"
    )


def mean(group: Grouping, metric: str) -> str:
    """Return the mean of a histogram or summary: rate of its sum over rate of its count."""
    return f"{rate(group, f'{metric}_sum')} / {rate(group, f'{metric}_count')}"


def ratio(group: Grouping, above: str, below: str) -> str:
    """Return the rate of one counter over that of another, each summed first."""
    return f"{rate(group, above)} / {rate(group, below)}"


def quantile(group: Grouping, metric: str, share: float) -> str:
    """Return a quantile of a histogram, over all pods together."""
    return f"histogram_quantile({share:g}, {buckets(group, metric)})"


def buckets(group: Grouping, metric: str) -> str:
    """Return the rates of a histogram's cumulative buckets."""
    series = group.series(f"{metric}_bucket")
    return f"sum by (le, {group.by}) ({_once(f'rate({series}[{group.window}])')})"


def total(group: Grouping, metric: str) -> str:
    """Return a gauge summed over pods."""
    return f"sum by ({group.by}) ({_once(group.series(metric))})"


def average(group: Grouping, metric: str) -> str:
    """Return a gauge averaged over pods."""
    return f"avg by ({group.by}) ({_once(group.series(metric))})"


def growth(group: Grouping, metric: str) -> str:
    """Return by how much a gauge grows per second, summed over pods (least squares)."""
    return f"sum by ({group.by}) ({_once(f'deriv({group.series(metric)}[{group.window}])')})"


def age(group: Grouping, metric: str) -> str:
    """Return the age in seconds of the newest sample, by the server's own clock."""
    return f"time() - max by ({group.by}) (timestamp({group.series(metric)}))"


def reporting(group: Grouping, metric: str, stale_s: float) -> str:
    """Return how many pods sent a sample lately."""
    fresh = f"time() - timestamp({group.series(metric)}) < {stale_s:g}"
    return f"count by ({group.by}) ({_once(f'({fresh})')})"


def kv_tokens(group: Grouping, info: str, beside: str) -> str:
    """Return the constant 1 with the labels `num_gpu_blocks` and `block_size` of vLLM's pods.

    The metric `info` carries no name of a model: it is joined to `beside`, a metric of the same
    scrape that does.
    """
    models = f"max by (instance, {group.by}) ({group.series(beside)}) * 0 + 1"
    bare = f'{{__name__="{info}"}}'
    return (
        f"max by ({group.by}, num_gpu_blocks, block_size) "
        f"({bare} * 0 + on (instance) group_left ({group.by}) ({models}))"
    )


def failed_share(
    group: Grouping, metric: str, requests: Sequence[str], failed: str, beside: str
) -> str:
    """Return the share of the requests over HTTP that failed.

    The counter `metric` carries no name of a model: it is joined to `beside`, a metric of the same
    scrape that does. No series of failures is none that failed.

    Args:
        group: What it is grouped by.
        metric: Counter of requests over HTTP.
        requests: Conditions of requests for answers.
        failed: Condition of those that failed.
        beside: A metric with the model's name.
    """
    models = f"max by (instance, {group.by}) ({group.series(beside)}) * 0 + 1"

    def counted(*conditions: str) -> str:
        wanted = "".join(f", {item}" for item in conditions)
        found = _once(f'rate({{__name__="{metric}"{wanted}}}[{group.window}])')
        of_model = f"({found}) * on (instance) group_left ({group.by}) ({models})"
        return f"sum by ({group.by}) ({of_model})"

    every = counted(*requests)
    return f"({counted(*requests, failed)} or {every} * 0) / {every}"


def share(group: Grouping, part: str, whole: str) -> str:
    """Return the rate of a counter over that of another; no series of it is a rate of zero."""
    every = rate(group, whole)
    return f"({rate(group, part)} or {every} * 0) / {every}"


def names_there(prefixes: Sequence[str]) -> str:
    """Return how many series there are by name of metric, of the names that begin so."""
    pattern = "|".join(f"{_escaped(prefix)}.*" for prefix in prefixes)
    return f'count by (__name__) ({{__name__=~"{pattern}"}})'


def _escaped(text: str) -> str:
    """Return a text as a regular expression inside a PromQL string."""
    return _quoted("".join(f"\\{char}" if char in _SPECIAL else char for char in text))


def _quoted(text: str) -> str:
    """Return a text as it stands inside a PromQL string."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
