"""PromQL of signals: one query for all servers, grouped by the labels that tell them apart.

The same pod may be scraped twice (by two Prometheus servers of a pair, or by two jobs): series that
differ in `DUPLICATE_LABELS` alone, or in labels named beside them, are one, and the larger one
counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DUPLICATE_LABELS = (
    "prometheus",
    "prometheus_replica",
    "replica",
    "__replica__",
    "rule_replica",
    "thanos_ruler_replica",
    "receive_replica",
    "job",
    "endpoint",
    "service",
    "container",
)
"""Labels that tell scrapes of one pod apart, never pods: what a scrape is called, and who made it,
in the names of Prometheus's operator, Thanos and Mimir. A label `replica` may tell pods apart, but
hardly alone: their `instance` differs, too.
"""

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
        duplicates: Labels that tell scrapes of one pod apart, as far as servers are not told apart
            by them.
    """

    labels: tuple[str, ...]
    window_s: float
    values: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()
    pods: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = DUPLICATE_LABELS

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

    def once(self, expression: str) -> str:
        """Return an expression in which scrapes of the same pod are one."""
        dropped = (label for label in self.duplicates if label not in self.labels)
        return f"max without ({', '.join(dropped)}) ({expression})"


def duplicate_labels(further: Sequence[str], distinct: Sequence[str]) -> tuple[str, ...]:
    """Return the labels that tell scrapes of one pod apart.

    Args:
        further: Those beside the usual ones.
        distinct: Those that do not, whatever they are usually for.
    """
    every = dict.fromkeys((*DUPLICATE_LABELS, *further))
    return tuple(label for label in every if label not in distinct)


def rate(group: Grouping, metric: str, *conditions: str) -> str:
    """Return the rate of a counter, summed over pods. Resets of counters are seen to by `rate`."""
    return (
        f"sum by ({group.by}) "
        f"({group.once(f'rate({group.series(metric, *conditions)}[{group.window}])')})"
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
    return f"sum by (le, {group.by}) ({group.once(f'rate({series}[{group.window}])')})"


def total(group: Grouping, metric: str) -> str:
    """Return a gauge summed over pods."""
    return f"sum by ({group.by}) ({group.once(group.series(metric))})"


def average(group: Grouping, metric: str) -> str:
    """Return a gauge averaged over pods."""
    return f"avg by ({group.by}) ({group.once(group.series(metric))})"


def growth(group: Grouping, metric: str) -> str:
    """Return by how much a gauge grows per second, summed over pods (least squares)."""
    return f"sum by ({group.by}) ({group.once(f'deriv({group.series(metric)}[{group.window}])')})"


def highest(group: Grouping, metric: str) -> str:
    """Return the largest value of a gauge over the window, summed over pods."""
    highest_of_each = f"max_over_time({group.series(metric)}[{group.window}])"
    return f"sum by ({group.by}) ({group.once(highest_of_each)})"


def age(group: Grouping, metric: str) -> str:
    """Return the age in seconds of the newest sample, by the server's own clock."""
    return f"time() - max by ({group.by}) (timestamp({group.series(metric)}))"


def reporting(group: Grouping, metric: str, stale_s: float) -> str:
    """Return, by pod, what sent samples lately, as many and as new as a rate needs.

    A rate takes two samples within the window, and loses what a pod did in holes at its ends. A pod
    that was scraped but once, that had twice as many samples in some window before as in this one
    (each is compared with itself: pods may be scraped at intervals of their own), or that is half a
    window behind the others, is not counted: its part of the load would look lost. A pod counts
    once, however many engines of its own it tells of (data parallelism).
    """
    series = group.series(metric)
    samples = f"count_over_time({series}[{group.window}])"
    newest = f"max by ({group.by}) (timestamp({series}))"
    before = f"count_over_time({series}[{group.window}] offset {group.window})"
    conditions = (
        f"(time() - timestamp({series}) < {stale_s:g})",
        f"({samples} >= 2)",
        f"(timestamp({series}) >= on ({group.by}) group_left () "
        f"({newest} - {group.window_s / 2:g}))",
        f"(({samples} >= {before} / 2) or ({samples} unless {before}))",
    )
    lately = group.once(" and ".join(conditions))
    pods = ", ".join(dict.fromkeys((*group.labels, "pod", "instance")))
    return f"count by ({pods}) ({lately})"


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
        found = group.once(f'rate({{__name__="{metric}"{wanted}}}[{group.window}])')
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
