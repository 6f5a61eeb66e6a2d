"""What is planned with: a fleet whose profiles are corrected, and the report of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.correction.scaling import scaled_profile
from controller.correction.state import PARTS, Corrections, FactorState, ProfileKey
from stoker.domain.control.settings import CorrectionSettings
from stoker.domain.fleet import Fleet


@dataclass(frozen=True, slots=True)
class FactorReport:
    """One factor of a profile, as it stands.

    Attributes:
        part: ``decode`` or ``prefill``.
        factor: The most likely factor.
        sd: Standard deviation of its log.
        applied: The factor that is planned with; 1 where it is not applied.
        why_not: Why it is not applied, in words; empty where it is.
    """

    part: str
    factor: float
    sd: float
    applied: float
    why_not: str


@dataclass(frozen=True, slots=True)
class ProfileReport:
    """What is known of a profile's factors after a cycle.

    Attributes:
        key: The profile.
        factors: Its factors.
        observations: Latencies that they were learned from.
        refused: Cycles in a row whose latencies were not believed, signed by their side.
        remarks: By server, why nothing or not all was learned from it now.
    """

    key: ProfileKey
    factors: tuple[FactorReport, ...]
    observations: int
    refused: int
    remarks: Mapping[str, str]


def corrected_fleet(fleet: Fleet, corrections: Corrections, settings: CorrectionSettings) -> Fleet:
    """Return the fleet with the factors applied that are known well; the same for none."""
    if not settings.enabled or not corrections.states:
        return fleet
    profiles = []
    for profile in fleet.profiles:
        state = corrections.state(profile)
        decode, prefill = state.applied(settings.largest_factor)
        changed = (decode, prefill) != (1.0, 1.0)
        profiles.append(scaled_profile(profile, decode, prefill) if changed else profile)
    return replace(fleet, profiles=tuple(profiles))


def reports_of(
    fleet: Fleet,
    corrections: Corrections,
    settings: CorrectionSettings,
    remarks: Mapping[ProfileKey, Mapping[str, str]],
) -> tuple[ProfileReport, ...]:
    """Return a report of each profile that was observed, or that could not be; none if off."""
    if not settings.enabled:
        return ()
    return tuple(
        ProfileReport(
            key,
            _factors(state, settings.largest_factor),
            state.observations,
            state.refused,
            remarks.get(key, {}),
        )
        for profile in fleet.profiles
        if (key := ProfileKey.of(profile)) in corrections.states or key in remarks
        for state in (corrections.state(profile),)
    )


def _factors(state: FactorState, largest: float) -> tuple[FactorReport, ...]:
    return tuple(
        FactorReport(part, factor, sd, applied, state.why_not(index))
        for index, (part, factor, sd, applied) in enumerate(
            zip(PARTS, state.factors, state.known.sd, state.applied(largest), strict=True)
        )
    )
