"""Requests that KV memory can hold, and the moments of what they hold.

A request that could never fit (prompt and answer above the capacity) is refused on arrival, so
that those served are shorter than those offered. Lengths are lognormal and independent; the
moments of the pairs that fit are integrals over the prompt of partial moments of the answer
(E[Xʲ; X ≤ c] = mʲ Φ((ln c - μ)/σ - jσ), mʲ the full moment).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.special import ndtr

from queueing.arrays import BoolArray, FloatArray, IntArray
from queueing.engine.cases import EngineCases
from queueing.engine.requests import Requests

BLOCK_TOKENS = 16.0
"""Tokens of a KV block, the default of vLLM."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_FAR = 5.5
"""Standard deviations beyond which a tail is left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Requests that fit into memory; arrays (cases,), tokens counted in whole blocks.

    Attributes:
        requests: moments of the requests that fit.
        too_large: share of the offered requests that never could.
        capacity: KV tokens in whole blocks; infinity for no limit.
        mean: KV tokens that a request in service holds, on average over its iterations.
        variance: variance of that, over requests and iterations (longer answers count more).
        prompt: KV tokens that a request takes to be admitted.
        prompt_square: mean of their square.
        size_variance: variance of prompt and answer together.
    """

    requests: Requests
    too_large: FloatArray
    capacity: FloatArray
    mean: FloatArray
    variance: FloatArray
    prompt: FloatArray
    prompt_square: FloatArray
    size_variance: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Moments:
    """Mixed moments of input L and output K."""

    fits: FloatArray
    L: FloatArray
    L2: FloatArray
    K: FloatArray
    K2: FloatArray
    K3: FloatArray
    LK: FloatArray
    L2K: FloatArray
    LK2: FloatArray


def held(cases: EngineCases) -> Held:
    """Return what the requests of the cases hold in KV memory."""
    offered = Requests.of(cases)
    capacity = BLOCK_TOKENS * np.floor(cases.kv_tokens / BLOCK_TOKENS)
    m = _independent(cases, offered, capacity)
    near = np.flatnonzero(_reaches(cases, capacity))
    requests = offered
    if len(near):
        m = _replaced(m, near, _truncated(cases.take(near), capacity[near]))
        requests = _shorter(cases, offered, m)
    # Iteration i of a request, 0 ≤ i < K, holds L + i tokens, rounded up to blocks.
    at_first, rounding, scatter = _padding(cases, m.L, m.K)
    age = (m.LK + 0.5 * (m.K2 - m.K)) / m.K
    square = (m.L2K + m.LK2 - m.LK + (2.0 * m.K3 - 3.0 * m.K2 + m.K) / 6.0) / m.K
    return Held(
        requests=requests,
        too_large=1.0 - m.fits,
        capacity=capacity,
        mean=age + rounding,
        variance=np.maximum(square - age**2, 0.0) + scatter,
        prompt=m.L + at_first,
        prompt_square=m.L2 + 2.0 * at_first * m.L + at_first**2 + scatter,
        size_variance=np.maximum(m.L2 + 2.0 * m.LK + m.K2 - (m.L + m.K) ** 2, 0.0),
    )


def _independent(cases: EngineCases, offered: Requests, capacity: FloatArray) -> _Moments:
    """Return the moments of all requests; those of fixed lengths fit or do not."""
    L, L2, K, K2 = offered.held, offered.held_square, offered.output, offered.output_square
    cube = np.maximum(K2 * K2 / K, K**3 * (1.0 + cases.output_cv**2) ** 3)
    fits = np.where(capacity >= L + K - 1.0, 1.0, 0.0)
    fits = np.where((cases.input_cv > 0.0) | (cases.output_cv > 0.0), 1.0, fits)
    return _Moments(
        fits=fits, L=L.copy(), L2=L2.copy(), K=K.copy(), K2=K2.copy(), K3=cube,
        LK=L * K, L2K=L2 * K, LK2=L * K2,
    )  # fmt: skip


def _padding(
    cases: EngineCases, inputs: FloatArray, outputs: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return what blocks add: to a prompt, on average over the iterations, and its variance.

    Prompts of random length end anywhere in a block. Behind a prompt of a fixed one the empty
    places fall one by one from (-L mod 16) on, to begin again with 15.
    """
    most = BLOCK_TOKENS - 1.0
    somewhere = np.full(len(cases), 0.5 * most)
    scatter = (BLOCK_TOKENS**2 - 1.0) / 12.0
    whole = (cases.input_cv == 0.0) & (np.floor(inputs) == inputs)
    first = np.mod(-inputs, BLOCK_TOKENS)
    rest = np.mod(outputs, BLOCK_TOKENS)
    falling = np.minimum(rest, first + 1.0)
    again = rest - falling
    total = (outputs - rest) * 0.5 * most
    total = total + falling * first - 0.5 * falling * (falling - 1.0)
    total = total + again * most - 0.5 * again * (again - 1.0)
    return (
        np.where(whole, first, somewhere),
        np.where(whole, total / outputs, somewhere),
        np.where(whole, 0.0, scatter),
    )


def _replaced(every: _Moments, rows: IntArray, some: _Moments) -> _Moments:
    """Return the moments with those of some rows replaced; where nothing fits, only the share."""
    good = some.fits > 1e-12
    arrays = {}
    for field in fields(every):
        array = getattr(every, field.name).copy()
        array[rows[good]] = getattr(some, field.name)[good]
        arrays[field.name] = array
    arrays["fits"][rows[~good]] = 0.0
    return _Moments(**arrays)


def _shorter(cases: EngineCases, offered: Requests, m: _Moments) -> Requests:
    """Return the moments of the requests that fit in the words of those offered."""
    steps = m.K - 1.0
    some = np.maximum(steps, 1e-12)
    decoding = steps > 1e-9
    read = m.LK - m.L + 0.5 * (m.K2 - m.K)
    cut = (m.fits < 1.0) & (m.fits > 0.0)
    changed = {
        "held": m.L,
        "held_square": m.L2,
        "computed": m.L * (1.0 - cases.prefix_hit_rate),
        "output": m.K,
        "output_square": m.K2,
        "steps": steps,
        "context": np.where(decoding, read / some, m.L),
        "input_spread": np.maximum(m.L2 / m.L**2 - 1.0, 0.0),
        "steps_spread": np.where(decoding, np.maximum(m.K2 - m.K**2, 0.0) / some**2, 0.0),
    }
    return replace(
        offered,
        **{name: np.where(cut, value, getattr(offered, name)) for name, value in changed.items()},
    )


def _reaches(cases: EngineCases, capacity: FloatArray) -> BoolArray:
    """Tell where long requests of random lengths come near the capacity."""
    longest = np.zeros(len(cases))
    for mean, cv in (
        (cases.input_tokens, cases.input_cv),
        (cases.output_tokens, cases.output_cv),
    ):
        spread = np.log1p(cv**2)
        longest = longest + np.maximum(mean, 1.0) * np.exp(_FAR * np.sqrt(spread) - 0.5 * spread)
    random = (cases.input_cv > 0.0) | (cases.output_cv > 0.0)
    near: BoolArray = random & (longest > capacity)
    return near


def _truncated(cases: EngineCases, capacity: FloatArray) -> _Moments:
    """Return the moments of the requests that fit, by quadrature over the prompt."""
    spread_l, spread_k = np.log1p(cases.input_cv**2), np.log1p(cases.output_cv**2)
    sigma_l, sigma_k = np.sqrt(spread_l), np.sqrt(spread_k)
    place_l = np.log(np.maximum(cases.input_tokens, 1e-9)) - 0.5 * spread_l
    place_k = np.log(cases.output_tokens) - 0.5 * spread_k
    random_k = sigma_k > 0.0
    safe_k = np.where(random_k, sigma_k, 1.0)
    top_z = 3.0 * sigma_l + _FAR
    with np.errstate(divide="ignore"):
        edge = (np.log(np.maximum(capacity, 1e-9)) - place_l) / np.where(
            sigma_l > 0.0, sigma_l, np.inf
        )
    last = np.where(sigma_l > 0.0, np.clip(edge, -_FAR, top_z), _FAR)
    half = 0.5 * (last + _FAR)
    z = half * _NODES[:, None] + 0.5 * (last - _FAR)
    weight = half * _WEIGHTS[:, None] * np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    prompt = np.maximum(np.exp(place_l + sigma_l * z), 1.0)
    room = capacity + 1.0 - prompt
    fits_one = room >= 1.0
    below = np.where(random_k, ndtr(-place_k / safe_k), 0.0)
    bound = (np.log(np.maximum(room, 1.0)) - place_k) / safe_k
    first = -place_k / safe_k

    def answer(power: int) -> FloatArray:
        """Return E[Kʲ; K fits], with what is below one token counted as one."""
        full = np.exp(power * place_k + 0.5 * power**2 * spread_k)
        part = ndtr(bound - power * sigma_k) - ndtr(first - power * sigma_k)
        random = below * fits_one + full * np.maximum(part, 0.0)
        fixed = np.maximum(cases.output_tokens, 1.0)
        value: FloatArray = weight * np.where(random_k, random, fixed**power * (room >= fixed))
        return value

    none, one, two, three = (answer(power) for power in range(4))
    total = weight.sum(axis=0) + ndtr(-_FAR)
    # All weight that lies within the range when no prompt is cut off.
    whole = ndtr(top_z) - ndtr(-_FAR)
    fits = np.minimum(none.sum(axis=0) / np.where(sigma_l > 0.0, whole, total), 1.0)
    mass = np.maximum(none.sum(axis=0), 1e-300)
    return _Moments(
        fits=fits,
        L=(prompt * none).sum(axis=0) / mass,
        L2=(prompt**2 * none).sum(axis=0) / mass,
        K=np.maximum(one.sum(axis=0) / mass, 1.0),
        K2=two.sum(axis=0) / mass,
        K3=three.sum(axis=0) / mass,
        LK=(prompt * one).sum(axis=0) / mass,
        L2K=(prompt**2 * one).sum(axis=0) / mass,
        LK2=(prompt * two).sum(axis=0) / mass,
    )
