"""Configurations that run now, among the profiles of a fleet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from optimizer.table import NO_NAME, OTHER, IntArray
from stoker.domain.fleet import Fleet
from stoker.domain.profile import ModelProfile
from stoker.domain.server import Allocation

PairProfiles = Mapping[tuple[str, str], Sequence[ModelProfile]]
"""Profiles of each pair of a model and an accelerator, in the fleet's order."""


def profiles_by_pair(fleet: Fleet) -> dict[tuple[str, str], list[ModelProfile]]:
    """Return the profiles of each pair of a model and an accelerator."""
    found: dict[tuple[str, str], list[ModelProfile]] = {}
    for item in fleet.profiles:
        found.setdefault((item.model, item.accelerator), []).append(item)
    return found


def profile_of_allocation(
    profiles: PairProfiles, model: str, allocation: Allocation
) -> ModelProfile | None:
    """Return the profile that an allocation of a model runs with; None where there is none.

    An allocation that names no configuration has the one without a name, or else the only one.
    """
    own = profiles.get((model, allocation.accelerator or ""), ())
    name = allocation.configuration
    found = [item for item in own if item.configuration == (name or "")]
    if not found and name is None and len(own) == 1:
        return own[0]
    return found[0] if found else None


def current_configuration(fleet: Fleet) -> IntArray | None:
    """Return the index of the configuration that runs for each server, among the sorted names.

    `NO_NAME` where it has none, `OTHER` where no profile is in it; None where no profile of the
    fleet has a named one.
    """
    names = sorted({item.configuration for item in fleet.profiles} - {""})
    if not names:
        return None
    index = {name: position for position, name in enumerate(names)}
    profiles = profiles_by_pair(fleet)
    found = []
    for server in fleet.servers:
        if server.current is None:
            found.append(OTHER)
            continue
        profile = profile_of_allocation(profiles, server.model, server.current)
        found.append(OTHER if profile is None else index.get(profile.configuration, NO_NAME))
    return np.array(found, dtype=np.int64)
