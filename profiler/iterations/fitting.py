"""Every service-time model fitted to the same iterations, and how far off each is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from profiler.iterations.parametric import (
    OVERLAP_NAMES,
    NotToldError,
    Solution,
    linear_terms,
    solve_affine,
    solve_overlap,
    token_work_terms,
)
from profiler.iterations.planes import Planes
from profiler.iterations.result import IterationFit, TableIntervals
from profiler.iterations.states import States
from profiler.iterations.table import tabulate_states
from queueing.arrays import FloatArray
from queueing.engine.curve import CurveTimes
from queueing.engine.overlap import OverlapTimes
from queueing.engine.times import IterationTimes, LinearTimes, TokenWorkTimes
from stoker.domain.curve import IterationTable
from stoker.domain.profile import (
    LinearParameters,
    OverlapParameters,
    ServiceParameters,
    TokenWorkParameters,
)
from stoker.domain.timing import CaseTiming, IterationKind

MODELS = ("linear", "token-work", "overlap", "curve")
"""The service-time models, in the order in which they are told."""

_NAMES: Mapping[str, tuple[str, ...]] = {
    "linear": ("alpha_ms", "beta_ms", "gamma_ms", "delta_ms"),
    "token-work": ("alpha_ms", "beta_ms", "gamma_ms"),
    "overlap": OVERLAP_NAMES,
}
_FOLDS = 10
_FEWEST = 4

_MEASURE = (
    "decodes at two contexts and three batches, the smallest and the largest among them",
    "prefills of three lengths, and one behind a prefix",
    "an iteration that decodes and computes a prompt",
)


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    parameters: ServiceParameters
    solution: Solution | None = None
    intervals: TableIntervals | None = None
    planes: Planes | None = None


def fit_iterations(
    timings: Iterable[CaseTiming], models: Iterable[str] = MODELS
) -> tuple[IterationFit, ...]:
    """Return the fit of each model to the iterations that ended well.

    Left-out errors are those of ten fits, each without a tenth of the iterations, which it then
    predicts.

    Args:
        timings: Timed cases; those that failed take no part.
        models: Names of models.
    """
    states = States.of(timings)
    return tuple(_fit(model, states) for model in models)


def best_fit(fits: Iterable[IterationFit]) -> IterationFit | None:
    """Return the fit with the least error on iterations that it did not see; None without any."""
    told = [fit for fit in fits if fit.parameters is not None]
    judged = [fit for fit in told if fit.left_out_error is not None]
    return min(judged or told, key=lambda fit: fit.left_out_error or fit.error or 0.0, default=None)


def _fit(model: str, states: States) -> IterationFit:
    try:
        fitted = _solve(model, states)
    except NotToldError as error:
        return _refused(model, states, str(error), error.names)
    except ValueError as error:
        return _refused(model, states, str(error), ())
    errors = _by_kind(states, _relative_errors(fitted.parameters, states))
    fit = IterationFit(
        model,
        fitted.parameters,
        len(states),
        errors=errors,
        left_out_errors=_left_out(model, states, fitted),
    )
    if isinstance(fitted.parameters, IterationTable):
        values = {"shared_ms": fitted.parameters.shared_ms}
        return replace(fit, values=values, intervals=fitted.intervals)
    solution = fitted.solution
    assert solution is not None
    names = _NAMES[model]
    ends = zip(solution.low.tolist(), solution.high.tolist(), strict=True)
    return replace(
        fit,
        values=dict(zip(names, solution.values.tolist(), strict=True)),
        confidence=dict(zip(names, ends, strict=True)),
        condition_number=solution.condition_number,
    )


def _refused(model: str, states: States, why: str, names: tuple[str, ...]) -> IterationFit:
    return IterationFit(model, None, len(states), refusal=why, untold=names, measure=_MEASURE)


def _solve(model: str, states: States, near: _Fitted | None = None) -> _Fitted:
    """Return the parameters of a model.

    Args:
        model: Its name.
        states: The iterations.
        near: A fit to most of the same iterations, to search near it alone.

    Raises:
        ValueError: The iterations are too few, or do not tell them.
    """
    if len(states) < _FEWEST:
        raise ValueError(f"{len(states)} iterations were timed; a fit takes {_FEWEST} at least")
    if model == "curve":
        planes = Planes.through(states, None if near is None else near.planes)
        table, intervals = tabulate_states(states, planes)
        return _Fitted(table, intervals=intervals, planes=planes)
    if model == "overlap":
        begin = None if near is None or near.solution is None else near.solution.values
        solution = solve_overlap(states, begin)
        return _Fitted(OverlapParameters(*solution.values.tolist()), solution)
    terms = {"token-work": token_work_terms, "linear": linear_terms}[model]
    solution = solve_affine(states, terms, _NAMES[model])
    values = solution.values.tolist()
    if model == "linear":
        return _Fitted(LinearParameters(*values), solution)
    return _Fitted(TokenWorkParameters(*values), solution)


def _relative_errors(parameters: ServiceParameters, states: States) -> FloatArray:
    times = times_of(parameters, len(states)).iteration_ms(*states.places)
    result: FloatArray = np.abs(times / states.time_ms - 1.0)
    return result


def times_of(parameters: ServiceParameters, count: int) -> IterationTimes:
    """Return the times of that many states by one set of parameters."""
    match parameters:
        case LinearParameters(alpha, beta, gamma, delta):
            columns = [np.full(count, value) for value in (alpha, beta, gamma, delta)]
            return LinearTimes.of(*columns)
        case TokenWorkParameters(alpha, beta, gamma):
            return TokenWorkTimes.of(*[np.full(count, value) for value in (alpha, beta, gamma)])
        case OverlapParameters():
            return OverlapTimes.of([parameters] * count)
        case IterationTable():
            return CurveTimes.of([parameters] * count)


def _by_kind(states: States, errors: FloatArray) -> dict[str, float]:
    means = {}
    for kind in IterationKind:
        some = states.of_kind(kind) & np.isfinite(errors)
        if np.any(some):
            means[kind.value] = float(np.mean(errors[some]))
    return means


def _left_out(model: str, states: States, near: _Fitted) -> dict[str, float]:
    """Return errors on iterations left out of the fits, by kind; empty where any fit fails."""
    errors = np.full(len(states), np.nan)
    order = np.random.default_rng(0).permutation(len(states))
    for fold in range(min(_FOLDS, len(states))):
        out = np.zeros(len(states), dtype=np.bool_)
        out[order[fold::_FOLDS]] = True
        try:
            fitted = _solve(model, states.take(~out), near)
        except ValueError:
            continue
        errors[out] = _relative_errors(fitted.parameters, states.take(out))
    return _by_kind(states, errors)
