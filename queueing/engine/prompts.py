"""The prompts' share of the iterations: what a prompt waits for, and what its own iteration takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from queueing.arrays import FloatArray
from queueing.engine.arrivals import count_after, count_variance
from queueing.engine.cases import EngineCases
from queueing.engine.iterations import MOST_PREFILL, Iterations
from queueing.engine.requests import Requests


@dataclass(frozen=True, slots=True, eq=False)
class Station:
    """Prompts at some number in service; arrays (states, cases)."""

    share: FloatArray
    mean_ms: FloatArray
    seen_ms: FloatArray
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
    largest_ms: FloatArray
    behind: FloatArray
    behind_spread: FloatArray


def station(
    cases: EngineCases, requests: Requests, at: Iterations, rate: FloatArray, idle: FloatArray,
    slots: FloatArray,
    busy: FloatArray,
) -> Station:
    b, w = at.base_ms, at.prompt_ms
    r = np.minimum(rate * w, MOST_PREFILL)
    t = b / (1 - r)
    if np.any(at.offset_ms != 0):
        for _ in range(3):
            t = (b - at.offset_ms * np.expm1(-rate * t)) / (1 - r)
    spread = at.prompt_spread
    t = np.maximum(t, 1e-9)
    vw = w**2 * spread
    sq = 1 + spread
    m = np.maximum(rate * t, 1e-12)
    cv = cases.arrival_cv
    poisson = bool(np.all(cv == 1.0))
    # Poisson arrivals first: variance and third moment of an iteration that prompts lengthen.
    vt = (w**2 * sq * m) / (1.0 - r * r)
    skew = m * w**3 * (1.0 + 3.0 * spread + 3.0 * spread**2 + spread**3)
    skew = (skew + 3.0 * r * rate * w**2 * sq * vt) / (1.0 - r**3)
    tp = t + vt / t
    va = m + rate**2 * vt
    scale = 1.0 / np.maximum(1.0 - idle, 0.05)
    vtp = np.maximum(vt + skew / t - (vt / t) ** 2, 0.1 * vt)
    extra = (vtp + (tp - b) ** 2) * scale
    tp = b + (tp - b) * scale
    others = rate * tp
    swing = 1.0
    follow = 1.0
    if not poisson:
        # Others are more or less likely to be near than anywhere.
        near = count_after(others, cv) / np.maximum(others, 1e-12)
        tp = b + (tp - b) * near
        extra = extra * near
        follow = near
        others = count_after(rate * tp, cv)
        swing = count_variance(rate * tp, cv) / np.maximum(rate * tp, 1e-12)
        va = m * (count_variance(m, cv) / m) + rate**2 * vt * near
    vtp = np.maximum(extra - (tp - b) ** 2, 0.05 * extra)
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
    swing_all = np.maximum(va / m, 1.0001)
    none = np.exp(-m * np.log(swing_all) / (swing_all - 1.0))
    filled = (1.0 - theta) * (1.0 - none * b / t) + theta * reff
    quiet = np.maximum(1.0 - filled * scale, 0.0)
    short = np.maximum(rate * b, 1e-12)
    vb = count_variance(short, cv)
    few = count_after(short, cv)
    quiet_mean = 0.5 * b + w * few
    quiet_variance = b * b / 12 + (w * w * np.maximum(vb / short, 0.05) + vw) * few + vw
    # what a request meets on average over all arrivals, whether they meet an idle replica or not
    met = busy
    joined = w * others * met
    joined = joined / np.sqrt(1 + (joined / cw) ** 2)
    first = at.chunks * b + at.offset_ms + w + joined
    span = met * ahead + first
    # who finds no slot free adds no prompt before another leaves
    free = np.maximum(slots - 1.0 - at.in_service, 0.0)
    stay = requests.steps + at.chunks
    free = free + at.in_service * np.minimum((at.chunks + theta * ahead / (b + w)) / stay, 1.0)
    behind = count_after(rate * first, cv)
    behind = limited(behind, free)
    late = np.maximum(count_after(rate * span, cv) - met * fill / np.maximum(w, 1e-12), 0.0)
    late = limited(late, free)
    left_fcfs = w * late
    left = (1 - theta) * w * behind + theta * left_fcfs
    noise = (1.0 - theta) * w**2 * vj + theta * var
    first_spread = (vw + met * noise) / np.maximum(met * theta * ahead + first, 1e-12) ** 2
    some = requests.answering
    steps = np.maximum(requests.steps / np.maximum(some, 1e-9), 1.0)
    # over its decodes it meets the prompts of those that follow, near arrivals apart
    span = np.maximum(rate * (steps * t + left / (1 - r)), 1e-12)
    before = rate * first
    follow = (count_after(before + span, cv) - count_after(before, cv)) / span
    follow = np.clip(follow, 0.0, 0.97 / np.maximum(r, 1e-9))
    most_seen = free + at.in_service * np.minimum(steps / stay, 1.0)
    follow = limited(span * follow, most_seen) / span
    tf = np.where(follow < 1.0, b / (1.0 - r * np.minimum(follow, 1.0)), b + (t - b) * follow)
    if np.any(at.offset_ms != 0.0):
        tf = np.where(at.offset_ms != 0.0, b + (t - b) * follow, tf)
    # each of them holds a slot that the next one needs
    rf = r * follow
    again = np.maximum(free - 1.0, 0.0)
    rf = rf * again / (again + rf + 1e-9)
    echo = (left - rf * tf) * (1 - rf**steps) / (1 - rf)
    most = steps * np.maximum(b + cw - tf, 1e-9)
    share_some = -np.expm1(-np.maximum(left / np.maximum(w, 1e-12), 1e-9))
    inner = echo / np.maximum(share_some, 1e-9)
    echo = np.where(echo > 0, echo / np.sqrt(1 + (inner / most) ** 2), 0)
    service = first + requests.steps * tf + some * echo
    tf = tf - b + at.seen_ms
    return Station(
        rf,
        t,
        tf,
        va,
        first,
        wait,
        ahead,
        fill,
        var,
        vw,
        quiet,
        quiet_mean,
        quiet_variance,
        echo,
        service,
        cw,
        left / np.maximum(w, 1e-12),
        first_spread,
    )


def limited(value: FloatArray, most: FloatArray) -> FloatArray:
    """Return about the mean of the smaller of a random number and a limit: smooth, below both."""
    ratio = value / np.maximum(most, 1e-9)
    result: FloatArray = value / np.sqrt(1.0 + ratio * ratio)
    return result
