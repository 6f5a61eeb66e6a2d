"""What is predicted of replicas, whichever analysis predicts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from optimizer.table import BoolArray, FloatArray, IntArray
from stoker.domain.latency import Latency, Statistic

NO_STATISTIC = -1
"""Index of the statistic where none is meant."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """One replica each of a number of rows; arrays of shape (rows,).

    Attributes:
        server: Server whose requests it gets.
        profile: Profile of the model on the accelerator; every row has one.
        max_batch: Batch limit.
        max_queue: Queue limit.
        count: How many of them share the load of their server behind its router.
    """

    server: IntArray
    profile: IntArray
    max_batch: IntArray
    max_queue: IntArray
    count: FloatArray

    def take(self, rows: IntArray | BoolArray) -> Replicas:
        """Return the selected rows, in that order."""
        return Replicas(**{item.name: getattr(self, item.name)[rows] for item in fields(self)})


@dataclass(frozen=True, slots=True)
class ReplicaFigures:
    """Figures of replicas at an arrival rate; arrays of shape (rows,), NaN where unknown.

    Attributes:
        ttft_ms: Mean TTFT.
        itl_ms: Mean ITL.
        utilization: Mean requests in service over the batch limit.
        blocking: Fraction of requests turned away.
        target_use: How much of the tightest target is used: above 1 it is missed, 0 without any.
            Of a mean the ratio to its target, of a percentile the ratio of the share of requests
            beyond it to the share that may be.
        tightest: Index of the statistic of that target, or `NO_STATISTIC`.
    """

    ttft_ms: FloatArray
    itl_ms: FloatArray
    utilization: FloatArray
    blocking: FloatArray
    target_use: FloatArray
    tightest: IntArray

    @classmethod
    def unknown(cls, count: int) -> ReplicaFigures:
        """Return figures of which nothing is known, to be filled in."""
        return cls(
            ttft_ms=np.full(count, np.nan),
            itl_ms=np.full(count, np.nan),
            utilization=np.full(count, np.nan),
            blocking=np.full(count, np.nan),
            target_use=np.full(count, np.nan),
            tightest=np.full(count, NO_STATISTIC, dtype=np.int64),
        )

    def take(self, rows: IntArray | BoolArray) -> ReplicaFigures:
        """Return the selected rows, in that order."""
        return ReplicaFigures(
            **{item.name: getattr(self, item.name)[rows] for item in fields(self)}
        )

    def put(self, rows: IntArray | BoolArray, figures: ReplicaFigures) -> None:
        """Write figures at these rows."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(figures, field.name)


@dataclass(frozen=True, slots=True)
class ReplicaSizes:
    """The most that replicas carry within their targets; arrays of shape (rows,) or as told.

    Attributes:
        valid: Whether the case makes sense to the analysis.
        max_rate_rps: Largest throughput of one replica; NaN where the targets are out of reach.
        unreachable: Whether no rate keeps the target of each statistic, (statistics, rows).
        blocking_unreachable: No rate keeps the bound on blocking.
        best_ms: Lowest value of each statistic that any rate reaches, where the targets are out
            of reach, (statistics, rows).
    """

    valid: BoolArray
    max_rate_rps: FloatArray
    unreachable: BoolArray
    blocking_unreachable: BoolArray
    best_ms: FloatArray

    @classmethod
    def unknown(cls, statistics: int, count: int) -> ReplicaSizes:
        """Return sizes of which nothing is known, to be filled in."""
        return cls(
            valid=np.zeros(count, dtype=np.bool_),
            max_rate_rps=np.full(count, np.nan),
            unreachable=np.zeros((statistics, count), dtype=np.bool_),
            blocking_unreachable=np.zeros(count, dtype=np.bool_),
            best_ms=np.full((statistics, count), np.nan),
        )


@dataclass(frozen=True, slots=True)
class ReplicaDetails:
    """What is reported of replicas at an arrival rate; arrays (rows,), NaN where unknown.

    Attributes:
        percentiles: Percentiles of the latencies.
        mean_ms: Mean of each latency.
        at_ms: Percentiles of each latency, (percentiles, rows).
        kv_use: Mean share of the KV capacity in use.
        preemptions: Preemptions per completed request.
        binding: What keeps a replica from carrying more: index of a statistic, or one more than
            the last for the bound on blocking, or two for the throughput of a full batch;
            `NO_STATISTIC` where unknown.
    """

    percentiles: tuple[float, ...]
    mean_ms: Mapping[Latency, FloatArray]
    at_ms: Mapping[Latency, FloatArray]
    kv_use: FloatArray
    preemptions: FloatArray
    binding: IntArray

    @classmethod
    def unknown(cls, count: int, percentiles: tuple[float, ...] = ()) -> ReplicaDetails:
        """Return details of which nothing is known, to be filled in."""
        return cls(
            percentiles=percentiles,
            mean_ms={latency: np.full(count, np.nan) for latency in Latency},
            at_ms={latency: np.full((len(percentiles), count), np.nan) for latency in Latency},
            kv_use=np.full(count, np.nan),
            preemptions=np.full(count, np.nan),
            binding=np.full(count, NO_STATISTIC, dtype=np.int64),
        )

    def take(self, rows: IntArray) -> ReplicaDetails:
        """Return the selected rows, in that order."""
        return ReplicaDetails(
            percentiles=self.percentiles,
            mean_ms={latency: values[rows] for latency, values in self.mean_ms.items()},
            at_ms={latency: values[:, rows] for latency, values in self.at_ms.items()},
            kv_use=self.kv_use[rows],
            preemptions=self.preemptions[rows],
            binding=self.binding[rows],
        )

    def put(self, rows: IntArray, details: ReplicaDetails) -> None:
        """Write details at these rows."""
        for latency in Latency:
            self.mean_ms[latency][rows] = details.mean_ms[latency]
            self.at_ms[latency][:, rows] = details.at_ms[latency]
        self.kv_use[rows] = details.kv_use
        self.preemptions[rows] = details.preemptions
        self.binding[rows] = details.binding


class Predictor(Protocol):
    """An analysis of the replicas of one fleet."""

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """Statistics of latencies that have targets: mean TTFT and mean ITL first, then others."""
        ...

    def size(self, replicas: Replicas) -> ReplicaSizes:
        """Return the largest throughput of each replica within its server's targets."""
        ...

    def pooled(self, server: IntArray) -> BoolArray:
        """Tell of which servers a replica carries more or less with the number of them."""
        ...

    def fewest(
        self, replicas: Replicas, total_rate_rps: FloatArray, least: IntArray, most: IntArray
    ) -> FloatArray:
        """Return the smallest numbers of pooled replicas that keep the targets at a rate to all.

        NaN where no number from `least` to `most` does; their `count` is not looked at.
        """
        ...

    def figures(self, replicas: Replicas, arrival_rate_rps: FloatArray) -> ReplicaFigures:
        """Return the figures of each replica at its arrival rate; NaN where they cannot be had."""
        ...

    def details(self, replicas: Replicas, arrival_rate_rps: FloatArray) -> ReplicaDetails:
        """Return all that is known of each replica at its arrival rate."""
        ...

    def idle(self, replicas: Replicas) -> tuple[ReplicaFigures, FloatArray]:
        """Return the figures of replicas that get no requests, and the rate they could carry.

        A lone request then meets an empty replica. With n the batch limit, the rate is n over the
        time of a first and a last token: a formal figure, since no length of a request is known.
        """
        ...


def binding_names(statistics: tuple[Statistic, ...]) -> tuple[str, ...]:
    """Return the name of each code of `ReplicaDetails.binding`."""
    return (*(statistic.path for statistic in statistics), "blocking", "throughput")


def of_latency(statistics: tuple[Statistic, ...], latency: Latency) -> BoolArray:
    """Tell which statistics are of that latency."""
    return np.array([statistic.latency is latency for statistic in statistics], dtype=np.bool_)


def target_use(values_ms: FloatArray, limits_ms: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the largest ratio of a value to its limit, and the index of the statistic.

    Args:
        values_ms: Values, (statistics, rows).
        limits_ms: Their limits, infinite where there is none, (statistics, rows).

    Returns:
        The ratio, 0 without any limit and NaN where a value with a limit is unknown, and the
        index, `NO_STATISTIC` without any limit; both (rows,).
    """
    limited = np.isfinite(limits_ms)
    with np.errstate(all="ignore"):
        ratios = np.where(limited, values_ms / limits_ms, 0.0)
    unknown = np.isnan(ratios).any(axis=0)
    ratios = np.where(np.isnan(ratios), np.inf, ratios)
    tightest = np.where(limited.any(axis=0), np.argmax(ratios, axis=0), NO_STATISTIC)
    return np.where(unknown, np.nan, ratios.max(axis=0)), tightest.astype(np.int64)


def idle_figures(
    ttft_ms: FloatArray, itl_ms: FloatArray, batch_ms: FloatArray, request_ms: FloatArray
) -> tuple[ReplicaFigures, FloatArray]:
    """Return figures of replicas without requests, and ``batch_ms / request_ms`` as their rate.

    Latencies of no request miss no target.
    """
    count = len(ttft_ms)
    with np.errstate(all="ignore"):
        rate = batch_ms / request_ms
    figures = ReplicaFigures(
        ttft_ms=ttft_ms,
        itl_ms=itl_ms,
        utilization=np.zeros(count),
        blocking=np.zeros(count),
        target_use=np.zeros(count),
        tightest=np.full(count, NO_STATISTIC, dtype=np.int64),
    )
    return figures, rate
