"""The latencies that are promised and predicted, and the statistics of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MEAN = "mean"
"""Name of the mean among the statistics of a latency."""

DEFAULT_PERCENTILES = (50.0, 90.0, 95.0, 99.0)
"""Percentiles that are reported where nobody asks for others."""


class Latency(StrEnum):
    """A latency of a request, by its name in documents."""

    TTFT = "ttft_ms"
    """Arrival to first output token."""
    ITL = "itl_ms"
    """Mean time between the output tokens of a request after the first."""
    E2E = "e2e_ms"
    """Arrival to last output token."""

    @property
    def short(self) -> str:
        """The term as people write it: TTFT, ITL, E2E."""
        return self.name


def percentile_name(percentile: float) -> str:
    """Return the name of a percentile: ``p95``, ``p99.9``."""
    return f"p{percentile:.12g}"


@dataclass(frozen=True, slots=True)
class Statistic:
    """The mean or a percentile of a latency, over requests.

    Attributes:
        latency: Of what.
        percentile: Which percentile; None for the mean.
    """

    latency: Latency
    percentile: float | None = None

    @property
    def name(self) -> str:
        """``mean``, ``p95`` or ``p99.9``."""
        return MEAN if self.percentile is None else percentile_name(self.percentile)

    @property
    def path(self) -> str:
        """The place of the figure in a document: ``ttft_ms.mean``, ``e2e_ms.p95``."""
        return f"{self.latency.value}.{self.name}"

    def __str__(self) -> str:
        """``mean TTFT``, ``p95 ITL``."""
        return f"{self.name} {self.latency.short}"


MEAN_TTFT = Statistic(Latency.TTFT)
MEAN_ITL = Statistic(Latency.ITL)


@dataclass(frozen=True, slots=True)
class LatencyStatistics:
    """Mean and percentiles of a latency, over requests; None is unknown.

    Attributes:
        mean_ms: Mean.
        percentiles_ms: By percentile, ascending.
    """

    mean_ms: float | None
    percentiles_ms: Mapping[float, float | None] = field(default_factory=dict)

    def at(self, percentile: float | None) -> float | None:
        """Return a percentile, or the mean for None; None where it is unknown."""
        if percentile is None:
            return self.mean_ms
        return self.percentiles_ms.get(percentile)
