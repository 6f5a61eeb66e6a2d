"""Phases of load as a user types them, such as ``ramp:2..10@5m`` or ``constant:5~0.3@60s``."""

from __future__ import annotations

import math
import re

from emulator.load_phases import Constant, Noise, Phase, Ramp, Sinus, Steps
from stoker.domain.errors import InvalidInputError, Problem

FORMS = (
    "constant:RATE@TIME, ramp:FROM..TO@TIME, steps:FROM..TO/COUNT@TIME or "
    "sinus:MEAN+-AMPLITUDE/PERIOD@TIME, each with ~NOISE (a coefficient of variation) or "
    "~NOISE/INTERVAL before the @"
)
"""What may be typed."""

_NOISE_INTERVAL_S = 10.0
_MOST_RPS = 1e5
_LONGEST_S = 31 * 86_400.0

_NUMBER = r"\d+(?:\.\d+)?|\.\d+"
_TIME = rf"(?:{_NUMBER})(?:ms|s|m|h)?"
_SHAPES = {
    "constant": rf"(?P<a>{_NUMBER})",
    "ramp": rf"(?P<a>{_NUMBER})\.\.(?P<b>{_NUMBER})",
    "steps": rf"(?P<a>{_NUMBER})\.\.(?P<b>{_NUMBER})/(?P<count>\d+)",
    "sinus": rf"(?P<a>{_NUMBER})\+-(?P<b>{_NUMBER})/(?P<period>{_TIME})",
}
_TAIL = rf"(?:~(?P<noise>{_NUMBER})(?:/(?P<interval>{_TIME}))?)?@(?P<time>{_TIME})"
_UNITS_S = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


def read_phase(text: str, seed: int = 0, path: str = "--phase") -> Phase:
    """Return the phase that a text describes; times in s where they have no unit.

    Args:
        text: Such as ``steps:2..10/4@8m``.
        seed: Of its noise.
        path: What names the text in errors.

    Raises:
        InvalidInputError: It is in no such form, or a figure is out of range.
    """
    kind, _, rest = text.strip().partition(":")
    shape = _SHAPES.get(kind)
    found = None if shape is None else re.fullmatch(shape + _TAIL, rest)
    if found is None:
        raise InvalidInputError([Problem(path, f"is {text!r}", FORMS)])
    parts = found.groupdict()
    duration_s = read_time_s(parts["time"])
    low = float(parts["a"])
    high = float(parts.get("b") or 0.0)
    problems = []
    if max(low, high) > _MOST_RPS:
        problems.append(Problem(path, f"{text}: more than {_MOST_RPS:,.0f} requests/s", "fewer"))
    if not 0 < duration_s <= _LONGEST_S:
        problems.append(Problem(path, f"{text}: lasts {duration_s:g} s", "above 0, up to 31 days"))
    phase: Phase
    if kind == "constant":
        phase = Constant(low, duration_s)
    elif kind == "ramp":
        phase = Ramp(low, high, duration_s)
    elif kind == "steps":
        count = int(parts["count"])
        if not 2 <= count <= 10_000:
            problems.append(Problem(path, f"{text}: {count} steps", "2 to 10,000"))
        phase = Steps(low, high, max(count, 2), duration_s)
    else:
        period_s = read_time_s(parts["period"])
        if period_s <= 0:
            problems.append(Problem(path, f"{text}: a period of 0", "above 0"))
        phase = Sinus(low, high, max(period_s, 1e-9), duration_s)
    if parts["noise"] is not None and not problems:
        interval_s = read_time_s(parts["interval"]) if parts["interval"] else _NOISE_INTERVAL_S
        if not interval_s > 0 or duration_s / interval_s > 1e6:
            problems.append(Problem(path, f"{text}: a noise interval too short", "longer"))
        else:
            phase = Noise(phase, float(parts["noise"]), interval_s, seed)
    if problems:
        raise InvalidInputError(problems)
    return phase


def read_time_s(text: str) -> float:
    """Return a time such as ``90``, ``90s``, ``1.5m``, ``250ms`` or ``2h``, in seconds.

    Raises:
        ValueError: It is no time.
    """
    found = re.fullmatch(rf"({_NUMBER})(ms|s|m|h)?", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no time (allowed: a number with ms, s, m or h)")
    seconds = float(found[1]) * _UNITS_S[found[2] or ""]
    if not math.isfinite(seconds):
        raise ValueError(f"{text!r} is too long")
    return seconds
