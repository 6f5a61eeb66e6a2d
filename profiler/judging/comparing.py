"""Two profiles beside each other: parameters, and what both predict at common points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data.measurements.profiles import FittedProfile
from data.profile_document.values import ProfileFit
from profiler.fit import predict
from stoker.domain.measurement import Arrival, LoadKind, Measurement
from stoker.domain.profile import ModelProfile

FIGURES = ("ttft_ms", "itl_ms", "throughput_rps")

_SHAPES = ((512, 128), (2048, 256), (256, 1024))
_CLIENTS = (1, 8, 32, 128)
_DRAWS = 32
_NORMAL_95 = 1.96
_MEAN_ABSOLUTE = math.sqrt(2.0 / math.pi)
"""Mean of the absolute value of a standard normal variable."""


@dataclass(frozen=True, slots=True)
class Point:
    """An operating point: a closed loop of clients that send requests of one shape."""

    in_tokens: int
    out_tokens: int
    clients: int


@dataclass(frozen=True, slots=True)
class Figure:
    """A predicted figure of two profiles.

    Attributes:
        name: `ttft_ms`, `itl_ms` or `throughput_rps`, or the name of a parameter.
        one: Of the first profile; None where it has none.
        other: Of the second one.
        ratio: The second over the first; None where one of them is unknown or 0.
        beyond: Whether they differ by more than their confidence explains; None where the
            confidence of one of them is unknown.
    """

    name: str
    one: float | None
    other: float | None
    ratio: float | None
    beyond: bool | None


@dataclass(frozen=True, slots=True)
class Compared:
    """Two profiles compared.

    Attributes:
        parameters: By name, where both are of the same service-time model; else empty.
        points: What both predict, point by point.
    """

    parameters: tuple[Figure, ...]
    points: tuple[tuple[Point, tuple[Figure, ...]], ...]

    @property
    def differs(self) -> bool | None:
        """Whether any prediction differs beyond confidence; None where that is nowhere known."""
        known = [figure.beyond for _, figures in self.points for figure in figures]
        told = [verdict for verdict in known if verdict is not None]
        return any(told) if told else None


def usual_points(one: ModelProfile, other: ModelProfile) -> tuple[Point, ...]:
    """Return points that both profiles reach: within their batch limits and KV memory."""
    limit = min(one.max_batch, other.max_batch)
    room = min(item.kv_tokens or math.inf for item in (one, other))
    found = [
        Point(tokens_in, tokens_out, clients)
        for tokens_in, tokens_out in _SHAPES
        for clients in _CLIENTS
        if clients <= limit and clients * (tokens_in + tokens_out) <= room
    ]
    return tuple(found) or (Point(*_SHAPES[0], 1),)


def compare(
    one: ModelProfile,
    other: ModelProfile,
    fits: tuple[ProfileFit | None, ProfileFit | None] = (None, None),
    points: Sequence[Point] | None = None,
) -> Compared:
    """Return two profiles compared.

    What a prediction may be off by, at 95%: parameters drawn from their intervals, each by itself
    (what they have in common is not told, so that this is rather too wide), and the mean error on
    measurements that the fit did not see. Two figures differ beyond confidence where their ratio
    is further from 1 than both together explain.

    Args:
        one: A profile.
        other: Another one.
        fits: The fits behind them; None where there is none.
        points: Where to compare; None for `usual_points`.
    """
    places = tuple(usual_points(one, other) if points is None else points)
    sides = [
        _Side.of(profile, fit, places) for profile, fit in zip((one, other), fits, strict=True)
    ]
    found = []
    for index, point in enumerate(places):
        figures = tuple(
            _figure(
                name,
                sides[0].value(name, index),
                sides[1].value(name, index),
                sides[0].width(name, index),
                sides[1].width(name, index),
            )
            for name in FIGURES
        )
        found.append((point, figures))
    return Compared(_parameters(one, other, fits), tuple(found))


@dataclass(frozen=True, slots=True)
class _Side:
    """What one profile predicts, and by how much it may be off, as half-widths of logarithms."""

    values: Mapping[str, Sequence[float]]
    widths: Mapping[str, Sequence[float] | None]

    @classmethod
    def of(cls, profile: ModelProfile, fit: ProfileFit | None, points: Sequence[Point]) -> _Side:
        named = FittedProfile.of(profile)
        values = _predicted(named, named.parameters, points)
        if fit is None:
            return cls(values, dict.fromkeys(FIGURES))
        drawn = _drawn_widths(named, fit, points)
        widths: dict[str, Sequence[float] | None] = {}
        for name in FIGURES:
            error = _error_width(fit, name)
            widths[name] = (
                None if error is None else [math.hypot(width, error) for width in drawn[name]]
            )
        return cls(values, widths)

    def value(self, name: str, index: int) -> float | None:
        value = float(self.values[name][index])
        return value if math.isfinite(value) else None

    def width(self, name: str, index: int) -> float | None:
        widths = self.widths[name]
        return None if widths is None else widths[index]


def _predicted(
    profile: FittedProfile, parameters: Mapping[str, float], points: Sequence[Point]
) -> dict[str, Sequence[float]]:
    room = math.inf if profile.kv_tokens is None else float(profile.kv_tokens)
    rows = [
        Measurement(
            model=profile.model,
            gpu=profile.accelerator,
            n_gpus=profile.accelerators_per_replica,
            load_kind=LoadKind.CONCURRENCY,
            load=float(point.clients),
            in_tokens=float(point.in_tokens),
            out_tokens=float(point.out_tokens),
            arrival=Arrival.CLOSED,
            max_batch=profile.max_batch,
            max_num_batched_tokens=profile.token_budget,
        )
        for point in points
    ]
    told = predict(profile.kind, {**parameters, "kv_tokens": room}, rows, profile.curve)
    return {
        "ttft_ms": told.typical_ttft_ms(rows).tolist(),
        "itl_ms": told.itl_ms.tolist(),
        "throughput_rps": told.throughput_rps.tolist(),
    }


def _drawn_widths(
    profile: FittedProfile, fit: ProfileFit, points: Sequence[Point]
) -> dict[str, list[float]]:
    """Return half-widths of the logarithms of predictions, parameters drawn from intervals."""
    random = np.random.default_rng(0)
    names = [name for name in profile.parameters if _spans(fit, name)]
    if not names:
        return {name: [0.0] * len(points) for name in FIGURES}
    draws: dict[str, list[list[float]]] = {name: [] for name in FIGURES}
    for _ in range(_DRAWS):
        parameters = dict(profile.parameters)
        for name in names:
            low, high = fit.confidence[name]
            sigma = math.log(high / low) / (2 * _NORMAL_95)
            parameters[name] *= math.exp(sigma * random.standard_normal())
        told = _predicted(profile, parameters, points)
        for name in FIGURES:
            draws[name].append(list(told[name]))
    return {
        name: (_NORMAL_95 * np.std(np.log(np.array(values)), axis=0)).tolist()
        for name, values in draws.items()
    }


def _spans(fit: ProfileFit, name: str) -> bool:
    low, high = fit.confidence.get(name, (0.0, 0.0))
    return 0.0 < low < high


_TOLD_BY = {
    "ttft_ms": ("ttft", "prefill"),
    "itl_ms": ("itl", "decode"),
    "throughput_rps": ("throughput", "itl", "decode"),
}
"""Errors of a fit that tell how far off a figure is, the nearest first."""


def _error_width(fit: ProfileFit, figure: str) -> float | None:
    """Return what errors of the model itself leave open; None where the fit does not tell it."""
    errors = {**fit.errors, **fit.left_out_errors}
    error = next((errors[name] for name in _TOLD_BY[figure] if name in errors), None)
    return None if error is None else _NORMAL_95 * error / _MEAN_ABSOLUTE


def _parameters(
    one: ModelProfile,
    other: ModelProfile,
    fits: tuple[ProfileFit | None, ProfileFit | None],
) -> tuple[Figure, ...]:
    first, second = FittedProfile.of(one), FittedProfile.of(other)
    if first.kind != second.kind:
        return ()
    return tuple(
        _figure(
            name,
            value,
            second.parameters[name],
            _interval_width(fits[0], name),
            _interval_width(fits[1], name),
        )
        for name, value in first.parameters.items()
    )


def _interval_width(fit: ProfileFit | None, name: str) -> float | None:
    if fit is None or not _spans(fit, name):
        return None
    low, high = fit.confidence[name]
    return math.log(high / low) / 2.0


def _figure(
    name: str,
    one: float | None,
    other: float | None,
    width: float | None,
    other_width: float | None,
) -> Figure:
    if not one or not other:
        same = one == other and one is not None
        return Figure(name, one, other, None, False if same else None)
    ratio = other / one
    beyond = None
    if width is not None and other_width is not None:
        beyond = abs(math.log(ratio)) > math.hypot(width, other_width)
    return Figure(name, one, other, ratio, beyond)
