"""Estimates as tables of iteration times: they hold what no three parameters can."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queueing.arrays import FloatArray
from queueing.roofline import constants
from queueing.roofline.deployment import Deployment
from queueing.roofline.knots import knotted
from queueing.roofline.times import decode_time, prefill_time
from stoker.domain.curve import IterationTable

CLOSE = 0.01
"""Relative deviation from the estimate at which a table has knots enough."""

MOST_KNOTS = 16
"""Most knots of an axis: tables are for people to read, too."""

_PLACES = 65
_DIGITS = 5


@dataclass(frozen=True, slots=True)
class TableFit:
    """A table, and how far it is from the estimate that it stands for.

    Attributes:
        parameters: The table.
        median_deviation: Median relative deviation over and between the knots.
        largest_deviation: Largest relative deviation.
    """

    parameters: IterationTable
    median_deviation: float
    largest_deviation: float


def tabulate_estimate(deployment: Deployment) -> TableFit:
    """Return the iteration times of a deployment over the states that an engine gets into.

    Decodes of 1 to `DEFAULT_MAX_SEQUENCES` sequences, and prefills of 1 to `DEFAULT_TOKEN_BUDGET`
    tokens, both with contexts up to the longest that the model takes. Decode and prefill share
    what a lone sequence without context takes: reading the weights, and overheads.

    Args:
        deployment: The model on its cards.
    """
    contexts = _places(deployment.model.max_context_tokens)
    decode = knotted(
        lambda batch, context: decode_time(deployment, batch, context).total_ms,
        _places(constants.DEFAULT_MAX_SEQUENCES),
        contexts,
        close=CLOSE,
        most=MOST_KNOTS,
    )
    prefill = knotted(
        lambda tokens, reads: _prefill_ms(deployment, tokens, reads),
        _places(min(constants.DEFAULT_TOKEN_BUDGET, deployment.model.max_context_tokens)),
        contexts,
        close=CLOSE,
        most=MOST_KNOTS,
        region=lambda tokens, reads: reads >= tokens,
    )
    prefill_ms = tuple(_plain(row) for row in prefill.values)
    decode_ms = tuple(_plain(row) for row in decode.values)
    table = IterationTable(
        batches=tuple(decode.rows.tolist()),
        contexts=tuple(decode.columns.tolist()),
        decode_ms=decode_ms,
        prefill_tokens=tuple(prefill.rows.tolist()),
        prefill_contexts=tuple(prefill.columns.tolist()),
        prefill_ms=prefill_ms,
        shared_ms=min(decode_ms[0][0], *(min(row) for row in prefill_ms)),
    )
    deviations = np.concatenate([decode.deviations, prefill.deviations])
    return TableFit(table, float(np.median(deviations)), float(np.max(deviations)))


def _prefill_ms(deployment: Deployment, tokens: FloatArray, reads: FloatArray) -> FloatArray:
    """Return the time of a prefill whose chunk ends at a context of so many tokens.

    A chunk reads at least its own tokens. Below that, which no engine does, the time goes on in a
    straight line, so that cells of a grid which lie on both sides have no bend in them.
    """
    beyond = np.maximum(reads - tokens, 0.0)
    time = prefill_time(deployment, tokens, beyond).total_ms
    token = (
        prefill_time(deployment, tokens, 1.0).total_ms - prefill_time(deployment, tokens).total_ms
    )
    least = prefill_time(deployment, 1.0).total_ms
    result: FloatArray = np.maximum(time - token * np.maximum(tokens - reads, 0.0), least)
    return result


def _places(most: float) -> FloatArray:
    """Return whole numbers from 1 to the largest, spaced geometrically."""
    return np.unique(np.round(np.geomspace(1.0, most, _PLACES)))


def _plain(values: FloatArray) -> tuple[float, ...]:
    """Return values as a person would write them, with the digits that an estimate can have."""
    return tuple(float(f"{value:.{_DIGITS}g}") for value in values)
