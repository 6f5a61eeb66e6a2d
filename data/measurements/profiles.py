"""Profiles from a document that may be a fleet, or hold profiles and nothing else."""

from __future__ import annotations

from pydantic import ValidationError

from data.decode import Decoded
from data.problems import problems_from_validation
from data.stoker_reading import fleet_from_entry
from data.stoker_schema import FORMAT_VERSION, FleetEntry
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.profile import ModelProfile

_ALLOWED = "a mapping with a list of profiles, as in a fleet document"


def read_profiles(decoded: Decoded, file: str) -> tuple[ModelProfile, ...]:
    """Return the profiles of a decoded document.

    Everything else in it is passed over: a fleet document serves as well as the profiles that
    `stoker fit` and `stoker estimate` write.

    Raises:
        InvalidInputError: There are none, or one of them is wrong.
    """
    document = decoded.value
    listed = document.get("profiles") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not listed:
        raise InvalidInputError([Problem("profiles", "is missing", _ALLOWED, file)])
    frame: dict[str, object] = {
        "version": FORMAT_VERSION,
        "currency": "USD",
        "accelerators": [
            {"name": name, "cost_per_hour": 0}
            for name in {item.get("accelerator"): None for item in listed if isinstance(item, dict)}
            if isinstance(name, str) and name
        ],
        "capacity": {},
        "service_classes": [],
        "servers": [],
    }
    try:
        entry = FleetEntry.model_validate(frame | {"profiles": listed})
    except ValidationError as error:
        raise InvalidInputError(problems_from_validation(error, file, "", FleetEntry)) from error
    return fleet_from_entry(entry).profiles
