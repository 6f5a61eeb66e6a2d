"""The service-time models of the analysis of the engine, from parameters of the domain."""

from __future__ import annotations

from collections.abc import Sequence

from queueing.engine import IterationTimes, LinearTimes, TokenWorkTimes
from stoker.domain.profile import LinearParameters, ServiceParameters, TokenWorkParameters


def iteration_times(parameters: Sequence[ServiceParameters]) -> IterationTimes:
    """Return the times of iterations, one case for each of the parameters.

    Args:
        parameters: Parameters of one kind, at least one.

    Raises:
        TypeError: They are of several kinds.
    """
    linear = [item for item in parameters if isinstance(item, LinearParameters)]
    work = [item for item in parameters if isinstance(item, TokenWorkParameters)]
    if len(linear) == len(parameters):
        return LinearTimes.of(
            [item.alpha_ms for item in linear],
            [item.beta_ms for item in linear],
            [item.gamma_ms for item in linear],
            [item.delta_ms for item in linear],
        )
    if len(work) == len(parameters):
        return TokenWorkTimes.of(
            [item.alpha_ms for item in work],
            [item.beta_ms for item in work],
            [item.gamma_ms for item in work],
        )
    raise TypeError("parameters of several kinds cannot be computed together")


def kinds(parameters: Sequence[ServiceParameters]) -> list[type[ServiceParameters]]:
    """Return the kinds of parameters there are, in the order of their names."""
    return sorted({type(item) for item in parameters}, key=lambda kind: kind.__name__)
