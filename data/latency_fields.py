"""Fields of documents that speak of latencies: targets by statistic, and variability."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Discriminator, Field, Tag

from data.fields import PositiveAmount
from data.model_fields import Allowed
from stoker.domain.latency import MEAN, Latency, percentile_name
from stoker.domain.slo import PercentileTarget

_PERCENTILE = r"^p(?!0$)(0|[1-9][0-9]?)(\.[0-9]{0,9}[1-9])?$"
_NAMES = "mean, or a percentile above 0 and below 100 such as p50, p95 or p99.9"

LARGEST_CV = 10.0
"""Largest coefficient of variation that the analysis of the engine takes."""

CoefficientOfVariation = Annotated[float, Field(ge=0, le=LARGEST_CV)]
"""Standard deviation over mean."""

Statistics = Mapping[str, float]
"""Limits by the name of a statistic: ``mean``, ``p95``."""


def _statistic(name: str) -> str:
    if name != MEAN and not re.match(_PERCENTILE, name):
        raise ValueError(f'"{name}" is no statistic of a latency (allowed: {_NAMES})')
    return name


def _target_tag(value: object) -> str:
    return "by-statistic" if isinstance(value, dict) else "mean"


_StatisticName = Annotated[
    str,
    AfterValidator(_statistic),
    Field(json_schema_extra={"pattern": f"^mean$|{_PERCENTILE}"}),
]

LatencyTarget = Annotated[
    Annotated[PositiveAmount | None, Tag("mean")]
    | Annotated[
        dict[_StatisticName, PositiveAmount],
        Field(min_length=1, json_schema_extra={"additionalProperties": False}),
        Tag("by-statistic"),
    ],
    Discriminator(_target_tag),
    Allowed("a number, above 0, or such numbers by statistic: mean, p95, p99.9 and the like"),
]
"""A limit of the mean, or limits by statistic, or none."""


def mean_limit(target: float | Statistics | None) -> float | None:
    """Return the limit of the mean; None where there is none."""
    return target.get(MEAN) if isinstance(target, Mapping) else target


def percentile_limits(
    latency: Latency, target: float | Statistics | None
) -> tuple[PercentileTarget, ...]:
    """Return the limits of percentiles, ascending."""
    if not isinstance(target, Mapping):
        return ()
    found = [(float(name[1:]), limit) for name, limit in target.items() if name != MEAN]
    return tuple(PercentileTarget(latency, percent, limit) for percent, limit in sorted(found))


def target_value(
    latency: Latency, mean_ms: float | None, percentiles: tuple[PercentileTarget, ...]
) -> float | dict[str, float] | None:
    """Return the targets of a latency as a document has them; None where there are none.

    Args:
        latency: Of which.
        mean_ms: Limit of its mean.
        percentiles: Limits of percentiles, of this latency and others.
    """
    own = {percentile_name(p.percentile): p.limit_ms for p in percentiles if p.latency is latency}
    if not own:
        return mean_ms
    return own if mean_ms is None else {MEAN: mean_ms} | own
