"""What is known of the factors of a profile: from the profile itself at first, then from runs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from controller.correction.gaussian import Gaussian
from stoker.domain.profile import EstimateKind, ModelProfile

DECODE, PREFILL = "decode", "prefill"
PARTS = (DECODE, PREFILL)

UNTRUSTED_SD = 0.3
"""Error of a profile that nobody measured, as a standard deviation of the log of its times."""

_PRIOR_SD = {
    EstimateKind.MEASURED: 0.05,
    EstimateKind.FITTED: 0.1,
    EstimateKind.ESTIMATED: UNTRUSTED_SD,
    EstimateKind.DECLARED: UNTRUSTED_SD,
}

_APPLIED_SD = 0.1
_INFORMED = 0.6


class ProfileKey(NamedTuple):
    """Names a profile of a fleet."""

    model: str
    accelerator: str
    configuration: str = ""

    @classmethod
    def of(cls, profile: ModelProfile) -> ProfileKey:
        """Return the key of a profile."""
        return cls(profile.model, profile.accelerator, profile.configuration)


@dataclass(frozen=True, slots=True)
class FactorState:
    """What is known of the two factors of a profile.

    Attributes:
        basis: What tells the parameters that the factors multiply from others.
        known: The logs of the decode and of the prefill factor.
        prior_sd: Standard deviation of both before anything was observed.
        updated_at: When it was last observed, in seconds since the epoch; None for never.
        observations: Latencies that it was learned from.
        refused: Cycles in a row whose latencies were too far from what was expected to be
            believed; negative where they were below it.
    """

    basis: str
    known: Gaussian
    prior_sd: float
    updated_at: float | None = None
    observations: int = 0
    refused: int = 0

    @classmethod
    def of(cls, profile: ModelProfile) -> FactorState:
        """Return what is known before anything was observed: the profile is right, or nearly."""
        sd = _PRIOR_SD[profile.provenance.kind]
        return cls(basis_of(profile), Gaussian.around_zero(sd), sd)

    @property
    def factors(self) -> tuple[float, float]:
        """The most likely factors of decode and prefill times."""
        return math.exp(self.known.mean[0]), math.exp(self.known.mean[1])

    def why_not(self, part: int) -> str:
        """Return why a factor (0 decode, 1 prefill) is not applied; empty where it is.

        Two conditions: the factor is known well, and it is known from what was observed, not from
        the profile. A factor that no observation can tell from the other keeps most of its first
        error, and fails the second however often it is observed.
        """
        sd = self.known.sd[part]
        if not self.observations:
            return "nothing was observed yet"
        if sd > _APPLIED_SD:
            return f"known to {sd:.2f} only, needed: {_APPLIED_SD:.2f}"
        if sd > _INFORMED * self.prior_sd:
            return "what was observed hardly tells it"
        return ""

    def applied(self, largest: float) -> tuple[float, float]:
        """Return the factors to plan with: 1 for one that is not applied, and bounded."""
        decode, prefill = (
            1.0 if self.why_not(part) else min(largest, max(1.0 / largest, factor))
            for part, factor in enumerate(self.factors)
        )
        return decode, prefill


@dataclass(frozen=True, slots=True)
class Corrections:
    """What is known of the factors of all profiles that were ever observed.

    Attributes:
        states: By profile.
    """

    states: Mapping[ProfileKey, FactorState] = field(default_factory=dict)

    def state(self, profile: ModelProfile) -> FactorState:
        """Return what is known of a profile's factors; of other parameters nothing counts."""
        found = self.states.get(ProfileKey.of(profile))
        if found is None or found.basis != basis_of(profile):
            return FactorState.of(profile)
        return found


def basis_of(profile: ModelProfile) -> str:
    """Return what tells a profile's parameters and their origin from others."""
    told = f"{profile.parameters!r} {profile.provenance!r}"
    return hashlib.sha256(told.encode()).hexdigest()[:12]
