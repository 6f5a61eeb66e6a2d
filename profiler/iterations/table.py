"""Measured times as a table: surfaces through them, read off at knots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from profiler.iterations.planes import (
    Planes,
    decode_places,
    decode_terms,
    prefill_places,
    prefill_terms,
)
from profiler.iterations.result import Grid, TableIntervals
from profiler.iterations.states import LEAST_NOISE, States
from profiler.iterations.surface import Surface
from queueing.arrays import FloatArray
from stoker.domain.curve import IterationTable
from stoker.domain.timing import IterationCase, IterationKind

MOST_KNOTS = 16
"""Most knots of an axis."""

_NORMAL_95 = 1.959964
_DIGITS = 6


def tabulate_states(states: States, planes: Planes) -> tuple[IterationTable, TableIntervals]:
    """Return a table of measured times, with the 95% intervals of its cells.

    Knots stand where iterations were measured. Cells that memory cannot hold, or that nobody
    measured, are what the surface says there, with the interval that it has there. Times never
    fall along an axis.

    Raises:
        ValueError: There are too few decodes or prefills.
    """
    if planes.decode is None or planes.prefill is None:
        raise ValueError("a table takes two decodes and two prefills at least")
    decodes = states.take(states.of_kind(IterationKind.DECODE))
    prefills = states.take(states.of_kind(IterationKind.PREFILL))
    batches, contexts = _knots(decodes.decoding), _knots(decodes.context)
    decode = _decode_grid(planes.decode, batches, contexts)
    tokens, reads = _knots(prefills.prompt_tokens), _read_knots(prefills)
    prefill = _prefill_grid(planes.prefill, tokens, reads)
    table = IterationTable(
        batches,
        contexts,
        _grid(decode[0]),
        tokens,
        reads,
        _grid(prefill[0]),
        shared_ms=_shared(states, planes, float(np.min(prefill[0])), float(decode[0][0, 0])),
    )
    return table, TableIntervals(_ends(*decode), _ends(*prefill))


def _knots(values: FloatArray) -> tuple[float, ...]:
    """Return the places on an axis where times were measured, thinned evenly where too many."""
    places = np.unique(values)
    if len(places) > MOST_KNOTS:
        chosen = np.unique(np.round(np.linspace(0, len(places) - 1, MOST_KNOTS)).astype(int))
        places = places[chosen]
    return tuple(float(place) for place in places)


def _read_knots(prefills: States) -> tuple[float, ...]:
    """Return knots of the tokens read: those of whole prompts, and doublings up to the longest."""
    longest = float(np.max(prefills.prompt_reads))
    whole = prefills.prompt_reads[prefills.prompt_reads == prefills.prompt_tokens]
    if longest <= float(np.max(whole, initial=0.0)) and len(whole) == len(prefills):
        return _knots(whole)
    first = float(np.min(prefills.prompt_reads))
    doublings = first * 2.0 ** np.arange(0, np.floor(np.log2(longest / first)) + 1)
    return _knots(np.array([*doublings, longest]))


def _decode_grid(
    surface: Surface, batches: Sequence[float], contexts: Sequence[float]
) -> tuple[FloatArray, FloatArray]:
    """Return times and their deviations in logarithms, (batches, contexts)."""
    states = States.at(
        IterationCase(0, 0, round(batch), round(context))
        for batch in batches
        for context in contexts
    )
    times, doubt = surface.at(decode_places(states), decode_terms(states))
    shape = len(batches), len(contexts)
    return _rising(times.reshape(shape)), doubt.reshape(shape)


def _prefill_grid(
    surface: Surface, tokens: Sequence[float], reads: Sequence[float]
) -> tuple[FloatArray, FloatArray]:
    """Return times and their deviations in logarithms, (tokens, reads).

    A chunk reads at least its own tokens. Below that, which no engine does, times go on in a
    straight line, so that cells that lie on both sides have no bend in them.
    """
    states = States.at(
        IterationCase(round(count), round(max(read - count, 0.0)), 0, 0)
        for count in tokens
        for read in reads
    )
    shape = len(tokens), len(reads)
    times, doubt = (
        each.reshape(shape) for each in surface.at(prefill_places(states), prefill_terms(states))
    )
    for row, count in enumerate(tokens):
        beyond = [column for column, read in enumerate(reads) if read > count]
        if not beyond:
            continue
        below = [column for column, read in enumerate(reads) if read < count]
        alone = float(_alone(surface, count))
        slope = max(times[row, beyond[0]] - alone, 0.0) / (reads[beyond[0]] - count)
        for column in below:
            times[row, column] = max(alone - slope * (count - reads[column]), alone / 2.0)
    return _rising(times), doubt


def _alone(surface: Surface, tokens: float) -> float:
    """Return the time of a whole prompt."""
    state = States.at([IterationCase(round(tokens), 0, 0, 0)])
    return float(surface.at(prefill_places(state), prefill_terms(state))[0][0])


def _rising(times: FloatArray) -> FloatArray:
    """Return times that never fall along an axis: more work takes no less time."""
    risen: FloatArray = np.maximum.accumulate(np.maximum.accumulate(times, axis=0), axis=1)
    return np.array([[float(f"{time:.{_DIGITS}g}") for time in row] for row in risen])


def _shared(states: States, planes: Planes, most: float, least_decode: float) -> float:
    """Return what iterations of both save against both apart: what an iteration pays once.

    Least squares of relative errors; where nothing was mixed, what both have at least.
    """
    mixed = states.take(states.of_kind(IterationKind.MIXED))
    if not len(mixed):
        return min(most, least_decode)
    weights = 1.0 / mixed.time_ms**2
    saved = float(np.sum(weights * (planes.apart(mixed) - mixed.time_ms)) / np.sum(weights))
    return float(f"{min(max(saved, 0.0), most):.{_DIGITS}g}")


def _grid(times: FloatArray) -> Grid:
    return tuple(tuple(float(time) for time in row) for row in times)


def _ends(times: FloatArray, doubt: FloatArray) -> tuple[Grid, Grid]:
    reach = np.exp(_NORMAL_95 * np.hypot(doubt, LEAST_NOISE))
    return _rounded(times / reach), _rounded(times * reach)


def _rounded(times: FloatArray) -> Grid:
    return tuple(tuple(float(f"{time:.{_DIGITS}g}") for time in row) for row in times)
