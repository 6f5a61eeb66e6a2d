"""Models of a few numbers: least squares of relative errors, none of the numbers negative."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares, nnls

from profiler.iterations.states import States
from queueing.arrays import BoolArray, FloatArray
from queueing.engine.overlap import attention_pairs, smooth_maximum

_NORMAL_95 = 1.959964
_NOTHING = 1e-7
"""Singular value, relatively, from which parameters cannot be told apart."""

_NO_WEIGHTS = 1e-3
"""What weights add to any iteration, relatively, below which they hide behind its tokens."""

_SHARES = (0.1, 0.5, 0.9)
"""Shares of the time of a small iteration that a search begins with as reading of weights."""


class NotToldError(ValueError):
    """The iterations do not tell some parameters.

    Attributes:
        names: These.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        """Name them."""
        self.names = names
        super().__init__(f"the iterations do not tell {', '.join(names)}")


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Parameters with their confidence.

    Attributes:
        values: The parameters, (parameters,).
        low: Lower ends of their 95% intervals.
        high: Upper ends.
        condition_number: Of the Jacobian, columns scaled to length 1.
    """

    values: FloatArray
    low: FloatArray
    high: FloatArray
    condition_number: float


Terms = Callable[[States], FloatArray]
"""What an iteration is made of, (iterations, parameters)."""


def token_work_terms(states: States) -> FloatArray:
    """Return the terms of `token-work`: an iteration, tokens computed, KV tokens read."""
    computed = states.decoding + states.prompt_tokens
    read = states.decoding * states.context + states.prompt_reads
    return np.column_stack([np.ones(len(states)), computed, read])


def linear_terms(states: States) -> FloatArray:
    """Return the terms of `linear`: decoding at all, sequences, prompts, tokens by requests."""
    present = states.decoding + np.maximum(states.prompts, 1.0)
    return np.column_stack(
        [
            np.minimum(states.decoding, 1.0),
            states.decoding,
            states.prompts,
            states.prompt_tokens * present,
        ]
    )


def solve_affine(states: States, terms: Terms, names: tuple[str, ...]) -> Solution:
    """Return the parameters of a model that is a sum of terms.

    Raises:
        NotToldError: The iterations do not tell some of them.
    """
    jacobian = terms(states) / states.time_ms[:, None]
    _check_told(jacobian, names)
    values = nnls(jacobian, np.ones(len(states)))[0]
    return _with_confidence(values, jacobian, jacobian @ values - 1.0)


OVERLAP_NAMES = (
    "base_ms",
    "weights_ms",
    "token_ms",
    "sequence_ms",
    "kv_token_ms",
    "attention_ms",
    "prompts_ms",
)


def overlap_ms(values: FloatArray, states: States) -> FloatArray:
    """Return the times of iterations by the model `overlap` (see `OverlapParameters`)."""
    base, weights, token, sequence, kv_token, attention, prompts = values
    computing = token * (states.decoding + states.prompt_tokens)
    pairs = attention_pairs(states.prompts, states.prompt_tokens, states.prompt_reads)
    time: FloatArray = (
        base
        + smooth_maximum(np.full(len(states), weights), computing)
        + states.decoding * (sequence + kv_token * states.context)
        + attention * pairs
        + prompts * np.minimum(states.prompts, 1.0)
    )
    return time


def solve_overlap(states: States, near: FloatArray | None = None) -> Solution:
    """Return the parameters of `overlap`, the best that several searches find.

    Args:
        states: The iterations.
        near: Parameters to search from alone; several places unless given.

    Raises:
        NotToldError: The iterations do not tell some of them.
    """
    scale = _scales(states)

    def residuals(scaled: FloatArray) -> FloatArray:
        result: FloatArray = overlap_ms(scaled * scale, states) / states.time_ms - 1.0
        return result

    best = None
    for start in _starts(states) if near is None else [near]:
        answer = least_squares(
            residuals,
            np.maximum(start / scale, 1e-6),
            bounds=(0.0, np.inf),
            x_scale=1.0,
            max_nfev=400,
        )
        if best is None or answer.cost < best.cost:
            best = answer
    assert best is not None
    told = np.ones(len(scale), dtype=np.bool_)
    # Where nothing hides behind the reading of weights there is none to tell: all of it is base.
    told[1] = bool(np.any(np.abs(best.jac[:, 1]) * best.x[1] > _NO_WEIGHTS))
    names = tuple(name for name, is_ in zip(OVERLAP_NAMES, told, strict=True) if is_)
    _check_told(best.jac[:, told], names)
    solution = _with_confidence(best.x[told], best.jac[:, told], best.fun)
    return Solution(
        _filled(solution.values, told) * scale,
        _filled(solution.low, told) * scale,
        _filled(solution.high, told) * scale,
        solution.condition_number,
    )


def _filled(values: FloatArray, told: BoolArray) -> FloatArray:
    """Return values with zeros for those that are not there."""
    filled = np.zeros(len(told))
    filled[told] = values
    return filled


def _scales(states: States) -> FloatArray:
    """Return sizes at which each parameter alone would make up a typical iteration."""
    pairs = attention_pairs(states.prompts, states.prompt_tokens, states.prompt_reads)
    computed = states.decoding + states.prompt_tokens
    read = states.decoding * states.context
    one = np.ones(len(states))
    terms = (one, one, computed, states.decoding, read, pairs, states.prompts)
    typical = []
    for term in terms:
        some = term > 0
        share = np.median(states.time_ms[some] / term[some]) if np.any(some) else 1.0
        typical.append(float(share))
    return np.array(typical)


def _starts(states: States) -> list[FloatArray]:
    """Return where to begin: the sum of terms nearest to the times, split in several ways."""
    pairs = attention_pairs(states.prompts, states.prompt_tokens, states.prompt_reads)
    terms = np.column_stack(
        [
            np.ones(len(states)),
            states.prompt_tokens,
            states.decoding,
            states.decoding * states.context,
            pairs,
            np.minimum(states.prompts, 1.0),
        ]
    )
    floor, token, sequence, kv_token, attention, prompts = nnls(
        terms / states.time_ms[:, None], np.ones(len(states))
    )[0]
    starts = []
    for share in _SHARES:
        for of_sequences in (1.0, 0.3):
            rest = sequence * of_sequences
            start = (floor * (1 - share), floor * share, token, rest, kv_token, attention, prompts)
            starts.append(np.array(start))
    return starts


def _with_confidence(values: FloatArray, jacobian: FloatArray, residuals: FloatArray) -> Solution:
    """Return parameters with the intervals of the sandwich estimate (Huber, 1967).

    They take the size of errors from the residuals; they do not know the error of the model itself.
    """
    lengths = np.linalg.norm(jacobian, axis=0)
    lengths = np.where(lengths > 0, lengths, 1.0)
    scaled = jacobian / lengths
    bread = np.linalg.pinv(scaled.T @ scaled)
    small_sample = len(residuals) / max(len(residuals) - len(values), 1)
    pulls = scaled * residuals[:, None]
    covariance = small_sample * bread @ (pulls.T @ pulls) @ bread
    reach = _NORMAL_95 * np.sqrt(np.maximum(np.diag(covariance), 0.0)) / lengths
    return Solution(
        values, np.maximum(values - reach, 0.0), values + reach, float(np.linalg.cond(scaled))
    )


def _check_told(jacobian: FloatArray, names: tuple[str, ...]) -> None:
    """Refuse iterations that leave parameters without effect, or never apart from others."""
    lengths = np.linalg.norm(jacobian, axis=0)
    none = lengths <= _NOTHING * np.max(lengths, initial=1.0)
    if len(jacobian) <= len(names) or np.any(none):
        lost = [name for name, gone in zip(names, none, strict=True) if gone] or list(names)
        raise NotToldError(tuple(lost))
    _, sizes, directions = np.linalg.svd(jacobian / lengths, full_matrices=False)
    free = directions[sizes < _NOTHING * sizes[0]]
    mixed_up = np.any(np.abs(free) > 0.1, axis=0)
    if np.any(mixed_up):
        raise NotToldError(tuple(name for name, is_ in zip(names, mixed_up, strict=True) if is_))
