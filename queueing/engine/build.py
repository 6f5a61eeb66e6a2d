"""From parameters of the domain to the iteration times of the analysis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from queueing.arrays import IntArray
from queueing.engine.curve import CurveTimes
from queueing.engine.mixed import MixedTimes
from queueing.engine.overlap import OverlapTimes
from queueing.engine.times import IterationTimes, LinearTimes, TokenWorkTimes
from stoker.domain.curve import IterationTable
from stoker.domain.profile import (
    LinearParameters,
    OverlapParameters,
    ServiceParameters,
    TokenWorkParameters,
)


def iteration_times(parameters: Sequence[ServiceParameters]) -> IterationTimes:
    """Return the times of iterations, one case for each of the parameters.

    Args:
        parameters: parameters of any kinds; cases of one kind are computed together.
    """
    parts: list[IterationTimes] = []
    rows: list[IntArray] = []
    for kind in (TokenWorkParameters, LinearParameters, IterationTable, OverlapParameters):
        own = [row for row, item in enumerate(parameters) if isinstance(item, kind)]
        if own:
            parts.append(_of_one_kind([parameters[row] for row in own]))
            rows.append(np.array(own, dtype=np.int64))
    if not parts:
        return TokenWorkTimes.of([], [], [])
    return parts[0] if len(parts) == 1 else MixedTimes.of(parts, rows)


def _of_one_kind(parameters: Sequence[ServiceParameters]) -> IterationTimes:
    """Return the times of parameters that are all of the kind of the first one."""
    work = [item for item in parameters if isinstance(item, TokenWorkParameters)]
    if work:
        return TokenWorkTimes.of(
            [item.alpha_ms for item in work],
            [item.beta_ms for item in work],
            [item.gamma_ms for item in work],
        )
    linear = [item for item in parameters if isinstance(item, LinearParameters)]
    if linear:
        return LinearTimes.of(
            [item.alpha_ms for item in linear],
            [item.beta_ms for item in linear],
            [item.gamma_ms for item in linear],
            [item.delta_ms for item in linear],
        )
    overlap = [item for item in parameters if isinstance(item, OverlapParameters)]
    if overlap:
        return OverlapTimes.of(overlap)
    return CurveTimes.of([item for item in parameters if isinstance(item, IterationTable)])
