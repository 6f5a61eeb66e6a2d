"""One step of the filter for every profile that something was observed of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from controller.correction.evidence import Evidence
from controller.correction.gaussian import Gaussian, Pair
from controller.correction.prediction import Latencies, Predict, RunningReplicas
from controller.correction.scaling import scaled_profile
from controller.correction.state import UNTRUSTED_SD, Corrections, FactorState, ProfileKey
from stoker.domain.profile import ModelProfile

_STEP = 0.02
"""Step of the finite differences, in the log of a factor or of the rate."""

_MODEL_SD = 0.05
"""Error of the analysis itself, which no factor of a profile explains."""

_ITL_CV, _TTFT_CV = 0.3, 1.0
"""Spread of latencies between requests, over their mean; the mean of many is as much surer."""

_WALK_SD_PER_HOUR = 0.02
_HOUR = 3600.0

_LARGEST_INNOVATION = 9.0
"""Square of an innovation over its variance from which it is not believed: three deviations."""

_CONTRADICTED = 5
"""Refusals in a row and to one side after which it is the profile that is not believed."""

_WAITING_SHARE = 0.5

_MOST_SERVERS = 64
"""Servers that one cycle learns from, so that five hundred do not take seconds of it."""


@dataclass(frozen=True, slots=True)
class _Measurement:
    """One latency against its prediction.

    Attributes:
        part: The factor that it teaches: the time between tokens decode, the first one prefill.
        innovation: Log of the latency over its prediction.
        slope: Slope of the log of the prediction by the log of each factor.
        noise: Variance of its own error.
    """

    part: int
    innovation: float
    slope: Pair
    noise: float


def learn(
    corrections: Corrections,
    evidence: Sequence[Evidence],
    largest_factor: float,
    at: float,
    predict: Predict,
) -> Corrections:
    """Return what is known of factors after a cycle.

    The measurement is the log of an observed latency; what is expected of it is the log of the
    prediction with the factors as they are known, at the load and with the replicas that were
    measured. A prediction that the rate moves much, as it does near saturation, is worth little:
    the error of the rate counts as an error of the measurement.

    Args:
        corrections: What was known.
        evidence: What was observed, one a server.
        largest_factor: Bound of factors, above 1.
        at: Now, in seconds since the epoch.
        predict: The analysis.
    """
    fresh = [each for each in evidence if _updated_at(corrections, each) < at]
    chosen = sorted(
        fresh, key=lambda each: (_updated_at(corrections, each), each.running.server.name)
    )[:_MOST_SERVERS]
    if not chosen:
        return corrections
    predictions = _asked(corrections, chosen, predict)
    by_profile: dict[ProfileKey, list[_Measurement]] = {}
    profiles: dict[ProfileKey, ModelProfile] = {}
    for each, told in zip(chosen, predictions, strict=True):
        key = ProfileKey.of(each.running.profile)
        profiles[key] = each.running.profile
        passed_s = at - _updated_at(corrections, each)
        by_profile.setdefault(key, []).extend(_measurements(each, told, passed_s))
    states = dict(corrections.states)
    for key, measurements in by_profile.items():
        if measurements:
            state = corrections.state(profiles[key])
            states[key] = _updated(state, measurements, largest_factor, at)
    return Corrections(states)


def _updated_at(corrections: Corrections, each: Evidence) -> float:
    updated_at = corrections.state(each.running.profile).updated_at
    return -math.inf if updated_at is None else updated_at


def _asked(
    corrections: Corrections, evidence: Sequence[Evidence], predict: Predict
) -> list[tuple[Latencies | None, ...]]:
    """Return four predictions each: as known, slower decode, slower prefill, higher rate."""
    asked: list[RunningReplicas] = []
    for each in evidence:
        decode, prefill = corrections.state(each.running.profile).known.mean
        asked += (
            _with(each.running, decode, prefill),
            _with(each.running, decode + _STEP, prefill),
            _with(each.running, decode, prefill + _STEP),
            _with(each.running, decode, prefill, rate=_STEP),
        )
    told = predict(asked)
    return [tuple(told[first : first + 4]) for first in range(0, len(told), 4)]


def _with(
    running: RunningReplicas, decode: float, prefill: float, rate: float = 0.0
) -> RunningReplicas:
    load = running.load
    return replace(
        running,
        profile=scaled_profile(running.profile, math.exp(decode), math.exp(prefill)),
        load=replace(load, arrival_rate_rps=load.arrival_rate_rps * math.exp(rate)),
    )


def _measurements(
    each: Evidence, told: tuple[Latencies | None, ...], passed_s: float
) -> list[_Measurement]:
    """Return the latencies that can be compared; none where the analysis does not answer."""
    predictions = [item for item in told if item is not None]
    if len(predictions) < len(told):
        return []
    found = []
    now = predictions[0]
    # Windows overlap where cycles come faster: requests that were told of before are no news.
    requests = each.running.load.arrival_rate_rps * min(each.window_s, passed_s)
    if each.itl_ms is not None:
        told_ms = [item.itl_ms for item in predictions]
        found.append(_measured(0, each.itl_ms, told_ms, _ITL_CV**2 / requests, each.rate_sd))
    if each.ttft_ms is not None and now.wait_ms <= _WAITING_SHARE * now.ttft_ms:
        told_ms = [item.ttft_ms for item in predictions]
        found.append(_measured(1, each.ttft_ms, told_ms, _TTFT_CV**2 / requests, each.rate_sd))
    return [item for item in found if item is not None]


def _measured(
    part: int, observed_ms: float, predicted_ms: Sequence[float], sampling: float, rate_sd: float
) -> _Measurement | None:
    """Return a latency against its predictions; None where these are no times.

    Args:
        part: The factor that it teaches.
        observed_ms: What was observed.
        predicted_ms: As known, slower decode, slower prefill, higher rate.
        sampling: Variance of the log of the mean over the requests that were observed.
        rate_sd: Standard deviation of the log of the rate.
    """
    if not all(math.isfinite(value) and value > 0 for value in predicted_ms):
        return None
    now, *moved = (math.log(value) for value in predicted_ms)
    decode, prefill, rate = ((each - now) / _STEP for each in moved)
    noise = _MODEL_SD**2 + sampling + (rate * rate_sd) ** 2
    return _Measurement(part, math.log(observed_ms) - now, (decode, prefill), noise)


def _updated(
    state: FactorState, measurements: Sequence[_Measurement], largest_factor: float, at: float
) -> FactorState:
    """Return what is known of a profile after its measurements of a cycle."""
    passed_s = 0.0 if state.updated_at is None else max(0.0, at - state.updated_at)
    walk = _WALK_SD_PER_HOUR**2 * passed_s / _HOUR
    known = begun = state.known.walked(walk, state.prior_sd)
    believed, refusals = 0, []
    for each in measurements:
        # What others of this cycle taught already is no news.
        innovation = each.innovation - sum(
            slope * (now - before)
            for slope, now, before in zip(each.slope, known.mean, begun.mean, strict=True)
        )
        if innovation**2 > _LARGEST_INNOVATION * (known.spread_of(each.slope) + each.noise):
            refusals.append(innovation)
            continue
        known = known.updated(each.part, each.slope, innovation, each.noise)
        believed += 1
    refused = _refused(state.refused, refusals)
    prior_sd = state.prior_sd
    if abs(refused) >= _CONTRADICTED:
        # Not an outlier any more: the figures of the profile count as a guess from here on.
        prior_sd, refused = max(prior_sd, UNTRUSTED_SD), 0
        known = Gaussian(known.mean, (prior_sd**2, prior_sd**2))
    return replace(
        state,
        known=known.within(math.log(largest_factor)),
        prior_sd=prior_sd,
        updated_at=at,
        observations=state.observations + believed,
        refused=refused,
    )


def _refused(before: int, refusals: Sequence[float]) -> int:
    """Return the count of refusals in a row to one side, signed."""
    if not refusals:
        return 0
    side = 1 if max(refusals, key=abs) > 0 else -1
    return before + side if before * side >= 0 else side
