"""How far off the profiles of a fleet are: by their own word, as asked for, or as their kind is."""

from __future__ import annotations

from collections.abc import Callable

from optimizer.explaining.confidence import ProfileError
from optimizer.explaining.edits import ProfileKey, profile_key
from stoker.domain.fleet import Fleet
from stoker.domain.profile import ModelProfile

ASKED_FOR = "asked for"
"""Source of an error that the one who asks names."""


KnownError = Callable[[ModelProfile], tuple[float, str] | None]
"""The relative error of a profile and where that is from; None where it is unknown."""


def profile_errors(
    fleet: Fleet, stated: KnownError, default: float | None, usual: KnownError
) -> dict[ProfileKey, ProfileError]:
    """Return how far off profiles are; those of which nothing is known are left out.

    What a profile tells of itself comes before what is asked for, and that before what is usual.

    Args:
        fleet: The fleet.
        stated: The error that a profile tells of itself.
        default: Relative error of profiles that tell none; None where none is asked for.
        usual: The error that profiles of its kind have.
    """
    errors = {}
    for profile in fleet.profiles:
        told = stated(profile)
        asked = None if default is None else (default, ASKED_FOR)
        error = told or asked or usual(profile)
        if error is not None and 0 < error[0] < 1:
            errors[profile_key(profile)] = ProfileError(*error)
    return errors
