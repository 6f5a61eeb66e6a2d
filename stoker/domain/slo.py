"""Service classes and the latency promises (SLO targets) they make, by model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stoker.domain.latency import Latency, Statistic

HIGHEST_PRIORITY = 1
LOWEST_PRIORITY = 100


@dataclass(frozen=True, slots=True)
class PercentileTarget:
    """A promise on a percentile of a latency.

    Attributes:
        latency: What is promised.
        percentile: Percent of the requests it holds for, above 0 and below 100.
        limit_ms: Largest latency of theirs, in ms.
    """

    latency: Latency
    percentile: float
    limit_ms: float

    @property
    def name(self) -> str:
        """What it is about: ``p95 TTFT``."""
        return str(Statistic(self.latency, self.percentile))


@dataclass(frozen=True, slots=True)
class SloTarget:
    """What a service class promises for a model; None means that nothing is promised.

    Attributes:
        model: Name of the model.
        ttft_ms: Largest mean time to first token, in ms.
        itl_ms: Largest mean inter-token latency, in ms.
        tps: Output tokens per second that the server must be able to deliver, over all replicas.
        e2e_ms: Largest mean time from arrival to last token, in ms.
        percentiles: Promises on percentiles of latencies; a percentile of ITL is one of the
            requests' own means.
    """

    model: str
    ttft_ms: float | None = None
    itl_ms: float | None = None
    tps: float | None = None
    e2e_ms: float | None = None
    percentiles: tuple[PercentileTarget, ...] = ()

    @property
    def on_means_alone(self) -> bool:
        """Whether it asks for nothing but mean TTFT, mean ITL and TPS."""
        return self.e2e_ms is None and not self.percentiles

    def limits(self) -> Iterator[tuple[Statistic, float]]:
        """Yield every latency promised with its limit in ms: the means, then the percentiles."""
        means = zip(Latency, (self.ttft_ms, self.itl_ms, self.e2e_ms), strict=True)
        for latency, limit_ms in means:
            if limit_ms is not None:
                yield Statistic(latency), limit_ms
        for promise in self.percentiles:
            yield Statistic(promise.latency, promise.percentile), promise.limit_ms


@dataclass(frozen=True, slots=True)
class ServiceClass:
    """A class of service.

    Attributes:
        name: Name of the class.
        priority: 1 is served first, 100 last.
        targets: One target a model.
    """

    name: str
    priority: int
    targets: tuple[SloTarget, ...] = ()

    def target_for(self, model: str) -> SloTarget | None:
        """Return the target of a model, or None where the class has none for it."""
        return next((target for target in self.targets if target.model == model), None)
