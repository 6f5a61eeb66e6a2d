"""What a row cannot say without contradicting itself: mostly seconds taken for milliseconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from stoker.domain.measurement import LatencyFigures, LoadKind, Measurement

SHORTEST_ITL_MS = 0.05
"""A mean ITL below this is no accelerator's: reading any weights at all takes longer."""

SHORTEST_TTFT_MS = 0.5
"""A TTFT below this is no server's: a request's way through it takes longer."""

_FAR = 100.0
"""Ratio from which two figures that should agree are in different units, not merely inexact."""

_EQUAL = 0.999
"""Percentiles read from histograms may cross by their rounding."""

_MILLISECONDS = "milliseconds"


@dataclass(frozen=True, slots=True)
class Implausible:
    """A field that contradicts physics or the other fields of its row."""

    field: str
    message: str
    allowed: str


def implausible(row: Measurement) -> Iterator[Implausible]:
    """Yield what contradicts itself in a row; nothing for a row that is merely inexact."""
    yield from _too_short(row)
    yield from _end_to_end(row)
    yield from _littles_law(row)
    for name, figures in (("ttft", row.ttft), ("itl", row.itl), ("e2e", row.e2e)):
        yield from _disordered(name, figures)


def _too_short(row: Measurement) -> Iterator[Implausible]:
    for name, value_ms, least in (
        ("itl_ms_mean", row.itl.mean_ms, SHORTEST_ITL_MS),
        ("ttft_ms_mean", row.ttft.mean_ms, SHORTEST_TTFT_MS),
        ("ttft_ms_p50", row.ttft.p50_ms, SHORTEST_TTFT_MS),
    ):
        if value_ms is not None and value_ms < least:
            message = f"{value_ms:g} ms is too short to be true: is it in seconds?"
            yield Implausible(name, message, f"{_MILLISECONDS}, {least:g} or more")


def _served_ms(row: Measurement) -> float | None:
    """Return the response time that TTFT and ITL make together."""
    ttft_ms = row.ttft.typical_ms if row.ttft.mean_ms is None else row.ttft.mean_ms
    if ttft_ms is None or row.itl.mean_ms is None:
        return None
    return ttft_ms + row.itl.mean_ms * max(0.0, row.out_tokens - 1)


def _end_to_end(row: Measurement) -> Iterator[Implausible]:
    made_ms = _served_ms(row)
    for name, value_ms in (("e2e_ms_mean", row.e2e.mean_ms), ("e2e_ms_p50", row.e2e.p50_ms)):
        if made_ms is None or value_ms is None:
            continue
        if not 1 / _FAR < value_ms / made_ms < _FAR:
            message = (
                f"{value_ms:g} ms, but TTFT and ITL make {made_ms:.4g} ms together: "
                "they are in different units"
            )
            yield Implausible(name, message, f"all latencies in {_MILLISECONDS}")


def _littles_law(row: Measurement) -> Iterator[Implausible]:
    """Compare the requests in the system with throughput times response time.

    Only clients of a closed loop and a measured mean say how many requests are in the system.
    """
    held = row.load if row.load_kind is LoadKind.CONCURRENCY else row.concurrency_mean
    response_ms = row.e2e.mean_ms or _served_ms(row)
    if held is None or response_ms is None or row.throughput_rps is None:
        return
    # A run shorter than its requests leaves clients idle: only far too many say anything.
    made = row.throughput_rps * response_ms / 1000
    if made > _FAR * held or made < held / _FAR / 10:
        message = (
            f"{row.throughput_rps:g} requests/s of {response_ms:.4g} ms each make {made:.3g} "
            f"requests at once, but {held:g} were there: the units do not fit together"
        )
        allowed = f"requests per second, and latencies in {_MILLISECONDS}"
        yield Implausible("throughput_rps", message, allowed)


def _disordered(name: str, figures: LatencyFigures) -> Iterator[Implausible]:
    known = [
        (percent, value)
        for percent, value in ((50, figures.p50_ms), (90, figures.p90_ms), (99, figures.p99_ms))
        if value is not None
    ]
    for (lower, low), (upper, high) in pairwise(known):
        if high < low * _EQUAL:
            message = f"{high:g} ms is below the p{lower} of {low:g} ms"
            yield Implausible(f"{name}_ms_p{upper}", message, "percentiles in ascending order")
