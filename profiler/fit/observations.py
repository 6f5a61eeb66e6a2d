"""What was measured, as arrays, and which rows can say what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Self

import numpy as np

from profiler.fit.points import Points, check
from queueing.arrays import BoolArray, FloatArray, RowSelector
from stoker.domain.measurement import Arrival, LoadKind, Measurement

SATURATED_WORDS = ("saturat", "overload")
SPOILED_WORDS = ("leftover", "fail", "invalid", "error", "broken")
SETTLED_LIFETIMES = 5.0
"""A run of this many lifetimes of a request tells the throughput at saturation."""
CALM_LIFETIMES = 12.0
"""A run of this many lifetimes shows a concurrency that is that of its steady state."""


class Role(StrEnum):
    """What a row is good for."""

    LATENCY = "latency"
    CAPACITY = "capacity"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Excluded:
    """A row that takes no part in a fit, or only in a part of it, and why."""

    row: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """Measured figures; arrays (points,). NaN is unknown or of no use.

    Attributes:
        ttft_ms: median time to first token, or the mean where that is all there is.
        median: whether it is the median.
        itl_ms: mean time between tokens.
        decoding: sequences in decode on average, where a steady open-loop run recorded it.
        capacity_rps: throughput at saturation, of rows that show nothing else.
    """

    ttft_ms: FloatArray
    median: BoolArray
    itl_ms: FloatArray
    decoding: FloatArray
    capacity_rps: FloatArray

    def take(self, rows: RowSelector) -> Self:
        """Return the selected points, in that order."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def scored(self) -> BoolArray:
        """Points whose latency was measured."""
        scored: BoolArray = np.isfinite(self.ttft_ms) | np.isfinite(self.itl_ms)
        return scored


def observe(rows: Sequence[Measurement], roles: Sequence[Role]) -> Observations:
    """Take from each row what its role makes use of."""
    latency = np.array([role is Role.LATENCY for role in roles], dtype=np.bool_)
    ttft = _column([row.ttft.typical_ms for row in rows])
    itl = _column([row.itl.mean_ms for row in rows])
    throughput = _column([row.throughput_rps for row in rows])
    present = _column([row.concurrency_mean for row in rows])
    points = Points.of(rows)
    life_s = points.output_tokens * itl / 1000.0
    calm = ~points.closed & (CALM_LIFETIMES * life_s < points.duration_s)
    decoding = np.maximum(present - throughput * ttft / 1000.0, 0.05)
    return Observations(
        np.where(latency, ttft, np.nan),
        np.array([row.ttft.p50_ms is not None for row in rows], dtype=np.bool_),
        np.where(latency & (points.output_tokens > 1.0), itl, np.nan),
        np.where(latency & calm, decoding, np.nan),
        np.where([role is Role.CAPACITY for role in roles], throughput, np.nan),
    )


def role(row: Measurement) -> tuple[Role, str]:
    """Return what a row is good for, and why not for more; the reason is empty where it is."""
    try:
        check(row)
    except ValueError as problem:
        return Role.NOTHING, str(problem)
    quality = row.quality.lower()
    if any(word in quality for word in SPOILED_WORDS):
        return Role.NOTHING, f"quality is {row.quality!r}"
    if any(word in quality for word in SATURATED_WORDS):
        return _saturated_role(row)
    figures = (row.ttft.typical_ms, row.itl.mean_ms)
    if all(figure is None or not figure > 0 for figure in figures):
        return Role.NOTHING, "neither TTFT nor ITL was measured"
    if any(figure is not None and not figure > 0 for figure in figures):
        return Role.NOTHING, "a latency is not above 0"
    return Role.LATENCY, ""


def _saturated_role(row: Measurement) -> tuple[Role, str]:
    """Saturated runs tell how much an engine carries, if they lasted long enough."""
    what = f"quality is {row.quality!r}"
    if not row.throughput_rps:
        return Role.NOTHING, f"{what}, and the throughput was not measured"
    if row.load_kind is LoadKind.RATE or row.arrival is Arrival.STATIC_BATCH:
        return Role.NOTHING, f"{what}: its latency is that of a growing queue"
    life_s = row.load / row.throughput_rps
    if row.duration_s is not None and row.duration_s < SETTLED_LIFETIMES * life_s:
        return Role.NOTHING, f"{what}, and the run is too short to show a throughput"
    return Role.CAPACITY, f"{what}: only its throughput is used"


def _column(values: Sequence[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else float(value) for value in values])
