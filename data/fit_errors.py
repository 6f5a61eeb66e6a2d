"""How far off a profile is, as far as that is known without measuring it again."""

from __future__ import annotations

import re

from stoker.domain.profile import EstimateKind, ModelProfile

_ERRORS = re.compile(
    r"mean error TTFT (?P<ttft>[\d.]+)%, ITL (?P<itl>[\d.]+)%"
    r"(?:; on rows left out (?P<ttft_out>[\d.]+)%, (?P<itl_out>[\d.]+)%)?"
)


FIT = "the fit's own error"
"""Source of an error that ``stoker fit`` wrote into the words of a profile's origin."""


ESTIMATES = "what estimates are usually off (docs/estimates.md)"
"""Source of the error of a profile that was estimated from specifications."""

ESTIMATE_TTFT_ERROR, ESTIMATE_ITL_ERROR = 0.261, 0.159
"""Median errors of estimates from specifications, the mean of 17 groups of 931 measured rows
(docs/estimates.md, printed by ``python -m tests.roofline.report``)."""


def told_error(profile: ModelProfile) -> tuple[float, str] | None:
    """Return the relative error that a profile tells of itself, and that it does; or None."""
    own = stated_error(profile)
    return None if own is None or not 0 < own < 1 else (own, FIT)


def usual_error(profile: ModelProfile) -> tuple[float, str] | None:
    """Return the relative error that profiles of this kind have, and where that is from.

    Known of estimates alone, from comparing them with measurements; half of them are further off.
    """
    if profile.provenance.kind is not EstimateKind.ESTIMATED:
        return None
    return max(ESTIMATE_TTFT_ERROR, ESTIMATE_ITL_ERROR), ESTIMATES


def stated_error(profile: ModelProfile) -> float | None:
    """Return the relative error that a fitted profile tells of itself; None where it tells none.

    The larger of those of TTFT and ITL, on rows that the fit did not see where they were judged.
    """
    found = _ERRORS.search(profile.provenance.source)
    if found is None:
        return None
    ends = ("ttft_out", "itl_out") if found["ttft_out"] else ("ttft", "itl")
    return max(float(found[name]) for name in ends) / 100.0
