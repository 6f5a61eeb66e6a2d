"""Where a fit begins: rough parameters read off the rows, and others far from them."""

from __future__ import annotations

import numpy as np

from profiler.fit.observations import Observations
from profiler.fit.parameters import Family, Parameter
from profiler.fit.points import Points
from queueing.arrays import FloatArray

_KV_SHARE = 2e-3
"""Reading a KV token in proportion to computing one, to begin with."""


def first_start(
    family: Family, free: tuple[Parameter, ...], points: Points, observed: Observations
) -> FloatArray:
    """Return logarithms of rough parameters: the floor of the ITL, and the least TTFT a token."""
    floor = _least(observed.itl_ms, 10.0)
    token = 0.5 * _least(observed.ttft_ms / points.input_tokens, 0.05)
    overlap = {
        "base_ms": 0.3 * floor,
        "weights_ms": 0.6 * floor,
        "token_ms": token,
        "kv_token_ms": _KV_SHARE * token,
        # From below, a parameter without effect gives the search nothing to follow.
        "first_token_output_ms": 1e-3,
    }
    rough = {
        "linear": {
            "alpha_ms": 0.9 * floor,
            "beta_ms": 0.01 * floor,
            "gamma_ms": floor,
            "delta_ms": 0.1 * token,
        },
        "token-work": {"alpha_ms": 0.9 * floor, "beta_ms": token, "gamma_ms": _KV_SHARE * token},
        "overlap": overlap,
        "curve": overlap,
    }[family.name]
    values = [rough.get(parameter.name, _usual(parameter, rough)) for parameter in free]
    return np.log(values)


def other_starts(free: tuple[Parameter, ...], first: FloatArray) -> list[FloatArray]:
    """Return starts that lead to other explanations of the same rows.

    Costly memory and cheap computing or the reverse; clients that wait for a place or come in
    waves.
    """
    factors = [
        {"kv_token_ms": 10.0, "gamma_ms": 10.0, "token_ms": 0.5, "beta_ms": 0.5},
        {"kv_token_ms": 0.1, "gamma_ms": 0.1, "token_ms": 1.5, "beta_ms": 1.5},
    ]
    values = [{"wave_share": 0.7}, {"turnover_share": 0.8}]
    names = [parameter.name for parameter in free]
    starts = [_changed(names, first, multiply=change) for change in factors]
    starts += [_changed(names, first, put=change) for change in values if set(change) & set(names)]
    return starts


def _changed(
    names: list[str],
    logs: FloatArray,
    multiply: dict[str, float] | None = None,
    put: dict[str, float] | None = None,
) -> FloatArray:
    changed = logs.copy()
    for index, name in enumerate(names):
        if put and name in put:
            changed[index] = np.log(put[name])
        if multiply and name in multiply:
            changed[index] += np.log(multiply[name])
    return changed


def _usual(parameter: Parameter, rough: dict[str, float]) -> float:
    usual = parameter.usual if parameter.usual is not None else parameter.high
    return usual * rough.get(parameter.relative_to, 1.0)


def _least(values: FloatArray, otherwise: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.min(known)) if len(known) else otherwise
