"""How far off a fitted profile is by its own word: what ``stoker fit`` writes into its source."""

from __future__ import annotations

import re

from stoker.domain.profile import ModelProfile

_ERRORS = re.compile(
    r"mean error TTFT (?P<ttft>[\d.]+)%, ITL (?P<itl>[\d.]+)%"
    r"(?:; on rows left out (?P<ttft_out>[\d.]+)%, (?P<itl_out>[\d.]+)%)?"
)


def stated_error(profile: ModelProfile) -> float | None:
    """Return the relative error that a fitted profile tells of itself; None where it tells none.

    The larger of those of TTFT and ITL, on rows that the fit did not see where they were judged.
    """
    found = _ERRORS.search(profile.provenance.source)
    if found is None:
        return None
    ends = ("ttft_out", "itl_out") if found["ttft_out"] else ("ttft", "itl")
    return max(float(found[name]) for name in ends) / 100.0
