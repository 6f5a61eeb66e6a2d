"""Predicted beside measured: what a fit is judged by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from stoker.domain.measurement import LoadKind, Measurement


@dataclass(frozen=True, slots=True)
class ComparedPoint:
    """An operating point, measured and predicted. None is unknown.

    Attributes:
        row: What was measured.
        ttft_ms: Predicted TTFT: the median where the row has one, else the mean.
        itl_ms: Predicted mean ITL.
        used: Whether the model was fitted to this row.
    """

    row: Measurement
    ttft_ms: float | None
    itl_ms: float | None
    used: bool = True

    @property
    def ttft_error(self) -> float | None:
        """Relative error of the TTFT, negative where too little was predicted."""
        return relative_error(self.ttft_ms, self.row.ttft.typical_ms)

    @property
    def itl_error(self) -> float | None:
        """Relative error of the mean ITL, negative where too little was predicted."""
        return relative_error(self.itl_ms, self.row.itl.mean_ms)

    @property
    def requests_held(self) -> float | None:
        """Mean requests in the system: measured, the clients, or by Little's law."""
        row = self.row
        if row.concurrency_mean is not None:
            return row.concurrency_mean
        if row.load_kind is LoadKind.CONCURRENCY:
            return row.load
        response_ms = row.e2e.mean_ms
        if response_ms is None and row.ttft.typical_ms is not None and row.itl.mean_ms is not None:
            response_ms = row.ttft.typical_ms + row.itl.mean_ms * max(0.0, row.out_tokens - 1)
        rate_rps = row.load if row.throughput_rps is None else row.throughput_rps
        return None if response_ms is None else rate_rps * response_ms / 1000


Error = Callable[[ComparedPoint], float | None]
"""The error of one latency at a point."""


def relative_error(predicted: float | None, measured: float | None) -> float | None:
    """Return predicted / measured - 1; None where either is unknown."""
    if predicted is None or measured is None or measured <= 0:
        return None
    return predicted / measured - 1


def known_errors(points: Iterable[ComparedPoint], error: Error) -> list[float]:
    """Return the errors that are known."""
    return [value for value in map(error, points) if value is not None]


def mean_error(points: Sequence[ComparedPoint], error: Error) -> float | None:
    """Return the mean absolute relative error; None where no point tells any."""
    known = known_errors(points, error)
    return fmean(abs(value) for value in known) if known else None


def ttft_error(point: ComparedPoint) -> float | None:
    """Return the relative error of a point's TTFT."""
    return point.ttft_error


def itl_error(point: ComparedPoint) -> float | None:
    """Return the relative error of a point's mean ITL."""
    return point.itl_error
