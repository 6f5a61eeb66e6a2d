"""The gap between a plan and its bound, free of rounding noise."""

from __future__ import annotations

_LEAST_OBJECTIVE = 1e-9
"""Smallest objective that a gap is counted relative to."""
_NOISE = 1e-9
"""Relative to the amounts that were added up, differences below this are rounding."""


def bound_and_gap(
    objective: float, bound: float | None, scale: float
) -> tuple[float | None, float | None]:
    """Return a lower bound and the relative gap of an objective to it; None where there is none.

    Values are differences, so that an objective near zero may be the sum of large amounts: what
    is left of their rounding is no gap.

    Args:
        objective: Value of the plan.
        bound: Proven lower bound; None if none.
        scale: Sum of the absolute amounts that the objective was added up from.
    """
    if bound is None:
        return None, None
    if objective - bound <= _NOISE * scale:
        return objective, 0.0
    return bound, (objective - bound) / max(abs(objective), _LEAST_OBJECTIVE)
