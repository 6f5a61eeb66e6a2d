"""Lines to draw from timed cases: those along one axis with all else the same."""

from __future__ import annotations

from collections.abc import Iterable

from data.profile_document.values import TimedCurve
from stoker.domain.timing import CaseStatus, CaseTiming, IterationKind
from stoker.domain.units import MS_PER_SECOND

_SHORTEST = 2
"""Points that make a line."""


def curves_of(timings: Iterable[CaseTiming]) -> tuple[TimedCurve, ...]:
    """Return the curves of timed cases: decodes over batch, prefills over prompt tokens.

    A curve has two points at least. Cases that failed or mix both kinds are in none.
    """
    decodes: dict[int, dict[int, CaseTiming]] = {}
    prefills: dict[int, dict[int, CaseTiming]] = {}
    for item in timings:
        case = item.case
        if item.status is not CaseStatus.OK or not item.median_ms:
            continue
        if case.kind is IterationKind.DECODE:
            decodes.setdefault(case.context_tokens, {})[case.decode_batch] = item
        elif case.kind is IterationKind.PREFILL:
            prefills.setdefault(case.prefix_tokens, {})[case.prefill_tokens] = item
    return (
        *(
            _curve(IterationKind.DECODE, "decode_batch", points, context_tokens=context)
            for context, points in sorted(decodes.items())
            if len(points) >= _SHORTEST
        ),
        *(
            _curve(IterationKind.PREFILL, "prefill_tokens", points, prefix_tokens=prefix)
            for prefix, points in sorted(prefills.items())
            if len(points) >= _SHORTEST
        ),
    )


def _curve(
    kind: IterationKind,
    over: str,
    points: dict[int, CaseTiming],
    *,
    context_tokens: int | None = None,
    prefix_tokens: int | None = None,
) -> TimedCurve:
    at = sorted(points)
    medians = tuple(points[place].median_ms or 0.0 for place in at)
    return TimedCurve(
        kind,
        over,
        tuple(at),
        medians,
        tuple(points[place].spread_ms for place in at),
        tuple(place / median * MS_PER_SECOND for place, median in zip(at, medians, strict=True)),
        context_tokens,
        prefix_tokens,
    )
