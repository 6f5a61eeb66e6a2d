"""The prompts' share of the iterations: what a prompt waits for, and what its own iteration takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from queueing.arrays import FloatArray
from queueing.engine.arrivals import count_variance
from queueing.engine.cases import EngineCases
from queueing.engine.iterations import MOST_PREFILL, Iterations
from queueing.engine.requests import Requests


@dataclass(frozen=True, slots=True, eq=False)
class Station:
    """Prompts at some number in service; arrays (states, cases)."""

    share: FloatArray
    mean_ms: FloatArray
    count_variance: FloatArray
    first_ms: FloatArray
    wait_ms: FloatArray
    ahead_ms: FloatArray
    fill_ms: FloatArray
    ahead_variance: FloatArray
    own_variance: FloatArray
    quiet: FloatArray
    quiet_mean: FloatArray
    quiet_variance: FloatArray
    echo_ms: FloatArray
    service_ms: FloatArray


def station(
    cases: EngineCases, requests: Requests, at: Iterations, rate: FloatArray, idle: FloatArray
) -> Station:
    b, w = at.base_ms, at.prompt_ms
    r = np.minimum(rate * w, MOST_PREFILL)
    t = b / (1 - r)
    if np.any(at.offset_ms > 0):
        for _ in range(3):
            t = (b - at.offset_ms * np.expm1(-rate * t)) / (1 - r)
    spread = requests.input_spread
    t = np.maximum(t, 1e-9)
    vw = w**2 * spread
    sq = 1 + spread
    m = np.maximum(rate * t, 1e-12)
    cv = cases.arrival_cv
    if np.all(cv == 1.0):
        v1, later = m, 0.0
    else:
        v1 = count_variance(m, cv)
        v2 = count_variance(2 * m, cv)
        v3 = count_variance(3 * m, cv)
        g1 = 0.5 * (v2 - 2 * v1)
        g2 = 0.5 * (v3 - 2 * v2 + v1)
        decay = np.clip(np.where(np.abs(g1) > 1e-9, g2 / np.where(g1 == 0, 1, g1), 0), 0, 0.95)
        later = g1 / (1 - r * decay)
    va = np.maximum((v1 + 2 * r * later + rate**2 * m * vw) / (1 - r * r), 1e-12)
    vt = w**2 * va + m * vw
    tp = np.maximum(t + (rate * vt + w * later) / m, t * 0.3)
    others = np.maximum(m + va / m - 1.0, 0.0)
    scale = 1.0 / np.maximum(1.0 - idle, 0.05)
    swing = v1 / m
    skew = m * w**3 * spread**2 * (3.0 + spread) + 3.0 * v1 * w * vw
    skew = skew + v1 * np.maximum(2.0 * swing - 1.0, 0.1) * w**3
    skew = (skew + 3.0 * r * rate * w**2 * sq * vt) / (1.0 - r**3)
    vtp = np.maximum(vt + skew / t - (vt / t) ** 2, 0.1 * vt)
    extra = (vtp + np.maximum(tp - b, 0) ** 2) * scale
    tp = b + np.maximum(tp - b, 0) * scale
    vtp = np.maximum(extra - (tp - b) ** 2, 0.05 * extra)
    others = rate * b + np.maximum(others - rate * b, -rate * b) * scale
    others = np.maximum(others, 0)
    h = np.maximum(requests.computed, 1e-9)
    cw = w * at.room / h
    ey = w * (1 + others)
    vj = others * np.maximum(swing, 0.05) + rate**2 * vtp
    vy = w**2 * vj + (1 + others) * vw
    s2 = np.log1p(vy / np.maximum(ey, 1e-12) ** 2)
    theta = ndtr((np.log(ey / np.maximum(cw, 1e-300)) - 0.5 * s2) / np.sqrt(s2 + 1e-4))
    ahead = 0.5 * tp + 0.5 * w * others
    weff = w + theta * b * h / at.room
    reff = np.minimum(rate * weff, 0.97)
    pk = rate * w**2 * sq / (2 * (1 - r)) * scale
    pkeff = rate * weff**2 * sq / (2 * (1 - reff)) * scale
    setup = 0.5 * b * (1 + r) / (1 - r)
    burst = np.clip((ahead - setup) / np.maximum(pk, 1e-12), 0.05, 50)
    ahead = (1 - theta) * ahead + theta * (0.5 * b + pkeff * burst)
    wait = (1 - theta) * 0.5 * tp + theta * ahead
    half = 0.5 * w * others
    fill = half / np.sqrt(1 + (2 * half / cw) ** 2)
    var_r = (tp**2 + vtp) / 3 - 0.25 * tp**2
    cov = 0.5 * rate * vtp
    var = var_r + w**2 * vj + others * vw + 2 * w * cov
    third = rate * weff**3 * sq**3 / (3 * (1 - reff)) * scale
    var_pk = np.maximum(third + pkeff**2 * (2 / scale - 1), 0.3 * pkeff**2) * burst**2
    var_pk = var_pk + (fill**2) / 3 + b * b / 12
    var = (1 - theta) * var + theta * var_pk
    # an arrival may meet an iteration that computes no prompt
    swing = np.maximum(va / m, 1.0001)
    none = np.exp(-m * np.log(swing) / (swing - 1.0))
    quiet = np.maximum(1.0 - (1.0 - none * b / t) * scale, 0.0)
    short = np.maximum(rate * b, 1e-12)
    vb = count_variance(short, cv)
    few = np.maximum(short + vb / short - 1.0, 0.0)
    quiet_mean = 0.5 * b + w * few
    quiet_variance = b * b / 12 + (w * w * np.maximum(vb / short, 0.05) + vw) * few + vw
    # what a request meets on average over all arrivals, whether they meet an idle replica or not
    met = 1.0 / scale
    joined = w * np.maximum(m + va / m - 1.0, 0.0)
    joined = joined / np.sqrt(1 + (joined / cw) ** 2)
    first = at.chunks * b + at.offset_ms + w + joined
    left_fcfs = np.maximum(r * (met * ahead + first) - met * fill, 0)
    left = (1 - theta) * r * first + theta * left_fcfs
    some = requests.answering
    steps = np.maximum(requests.steps / np.maximum(some, 1e-9), 1.0)
    echo = (left - r * t) * (1 - r**steps) / (1 - r)
    most = steps * np.maximum(b + cw - t, 1e-9)
    echo = np.where(echo > 0, echo / np.sqrt(1 + (echo / most) ** 2), 0)
    service = first + requests.steps * t + some * echo
    return Station(r, t, va, first, wait, ahead, fill, var, vw, quiet, quiet_mean, quiet_variance, echo, service)
