"""The service-time models that can be fitted, with the bounds of their parameters."""

from __future__ import annotations

import numpy as np

from profiler.fit.corrections import BATCHES, CONTEXTS, names
from profiler.fit.parameters import Family, Parameter
from profiler.fit.table_form import TableFormTimes
from queueing.arrays import FloatArray
from queueing.engine.overlap import OverlapTimes
from queueing.engine.times import IterationTimes, LinearTimes, TokenWorkTimes

FLOOR_POINT = "a point at concurrency 1, or at a rate that leaves the engine nearly idle"
PROMPT_POINTS = "points with prompts at least four times as long, at a low rate"
CONTEXT_POINTS = "points with outputs or prompts at least four times as long, at a high concurrency"
BATCH_POINTS = "points at a concurrency of 32 or more with short prompts and outputs"


def _linear(values: dict[str, FloatArray]) -> IterationTimes:
    return LinearTimes(
        values["alpha_ms"], values["beta_ms"], values["gamma_ms"], values["delta_ms"]
    )


def _token_work(values: dict[str, FloatArray]) -> IterationTimes:
    return TokenWorkTimes(values["alpha_ms"], values["beta_ms"], values["gamma_ms"])


def _overlap(values: dict[str, FloatArray]) -> OverlapTimes:
    none = np.zeros_like(values["base_ms"])  # a candidate holds the delays itself
    return OverlapTimes(
        values["base_ms"],
        values["weights_ms"],
        values["token_ms"],
        values["sequence_ms"],
        values["kv_token_ms"],
        values["attention_ms"],
        values["prompts_ms"],
        none,
        none,
        none,
    )


def _curve(values: dict[str, FloatArray]) -> TableFormTimes:
    base = _overlap(values)
    shared = values["shared_share"] * (base.base_ms + base.weights_ms)
    if _CORRECTIONS[0] not in values:
        return TableFormTimes(base, shared)
    logs = np.log(np.stack([values[name] for name in _CORRECTIONS], axis=1))
    nodes = len(BATCHES) * len(CONTEXTS)
    decode = logs[:, :nodes].reshape(-1, len(BATCHES), len(CONTEXTS))
    return TableFormTimes(base, shared, decode, logs[:, nodes:])


_CORRECTIONS = names()

LINEAR = Family(
    "linear",
    (
        Parameter("alpha_ms", 1e-3, 1e4, remedy=FLOOR_POINT),
        Parameter("beta_ms", 1e-6, 1e3, remedy=BATCH_POINTS),
        Parameter("gamma_ms", 1e-4, 1e4, remedy=PROMPT_POINTS),
        Parameter("delta_ms", 1e-9, 1.0, remedy=PROMPT_POINTS + ", and at a high one"),
    ),
    _linear,
    delays=False,
)

TOKEN_WORK = Family(
    "token-work",
    (
        Parameter("alpha_ms", 1e-3, 1e4, remedy=FLOOR_POINT),
        Parameter("beta_ms", 1e-6, 1e2, remedy=PROMPT_POINTS),
        Parameter("gamma_ms", 1e-9, 1.0, remedy=CONTEXT_POINTS),
    ),
    _token_work,
    delays=False,
)

# Usual values, all of which give way to rows that say otherwise. An accelerator reads one byte in
# the time of 200 to 400 operations, so a token, 2 operations a weight, takes about 1/180 of
# reading the weights, and a token of KV about 1/1000 of computing one. Attention to one token
# takes some hundred-thousandths of it (4 d_model n_layers operations of 2 n_parameters, at lower
# efficiency). Engines spend 1 to 5 ms an iteration on scheduling and launches and some ten us on
# a sequence, iterations that leave the captured decode graph about 1 ms more; servers hand the
# first token on in some ms to some ten ms.
OVERLAP = Family(
    "overlap",
    (
        Parameter("base_ms", 1e-2, 1e3, 2.5, 0.5),
        Parameter("weights_ms", 1e-2, 1e4, remedy=FLOOR_POINT),
        Parameter("token_ms", 1e-6, 1e2, 5.5e-3, 0.35, "weights_ms", PROMPT_POINTS),
        Parameter("sequence_ms", 1e-5, 1e2, 0.03, 1.0),
        Parameter("kv_token_ms", 1e-9, 1.0, 1e-3, 1.0, "token_ms", CONTEXT_POINTS),
        Parameter("attention_ms", 1e-12, 1e-2, 2.5e-5, 0.6, "token_ms"),
        Parameter("prompts_ms", 1e-3, 1e3, 1.0, 0.7),
        Parameter("first_token_ms", 1e-2, 1e4, 12.0, 1.0),
        Parameter("first_token_sequence_ms", 1e-5, 1e2, 0.05, 1.0),
        Parameter("first_token_output_ms", 1e-8, 1.0, 5e-4, 1.5),
    ),
    _overlap,
    delays=True,
)

# Most of what an iteration takes whatever it does is paid once by one that decodes and prefills.
CURVE = Family(
    "curve",
    (*OVERLAP.parameters, Parameter("shared_share", 1e-2, 1.0, 0.9, 0.3)),
    _curve,
    delays=True,
    corrections=tuple(Parameter(name, 0.2, 5.0) for name in _CORRECTIONS),
)

FAMILIES = {family.name: family for family in (LINEAR, TOKEN_WORK, OVERLAP, CURVE)}


def family_named(name: str) -> Family:
    """Return the family of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in FAMILIES:
        raise ValueError(f"model is {name!r} (allowed: {', '.join(FAMILIES)})")
    return FAMILIES[name]
