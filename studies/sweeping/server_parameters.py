"""Parameters of what servers, quotas, objectives and profiles are, bound to a fleet."""

from __future__ import annotations

from collections.abc import Mapping

from stoker.domain.fleet import Fleet
from stoker.domain.limits import ObjectiveName
from studies.sweeping.changes import Change
from studies.sweeping.domains import (
    COUNT_LIMIT,
    DOCUMENTS,
    POSITIVE_COUNT,
    POSITIVE_LIMIT,
    WEIGHT,
    WHOLE,
    Domain,
)
from studies.sweeping.names import UnknownNameError, quota_named, servers_named, some_words
from studies.sweeping.server_changes import (
    ProfileChange,
    QuotaChange,
    ServerChange,
    SpreadChange,
    WeightChange,
)

BOUNDS: Mapping[str, Domain] = {
    "min_replicas": WHOLE,
    "max_replicas": POSITIVE_LIMIT,
    "max_batch": POSITIVE_LIMIT,
}
"""Bounds of servers. Alone, `max_replicas` is the limit of the plan; of servers, behind a dot."""


def bound_parameter(fleet: Fleet, field: str, selector: str) -> tuple[Change, Domain]:
    """Return the change of a bound of servers, and its values."""
    return ServerChange(field, servers_named(fleet, selector)), BOUNDS[field]


def profile_parameter(_: Fleet, selector: str) -> tuple[Change, Domain]:
    """Return the change of profiles; a document tells which models it is of."""
    if selector:
        raise UnknownNameError("takes no selector: a document tells its models", "profile")
    return ProfileChange(), DOCUMENTS


def spread_parameter(fleet: Fleet, selector: str) -> tuple[Change, Domain]:
    """Return the change of the zones of servers."""
    return SpreadChange(servers_named(fleet, selector)), POSITIVE_COUNT


def quota_parameter(fleet: Fleet, selector: str) -> tuple[Change, Domain]:
    """Return the change of a quota."""
    return QuotaChange(*quota_named(fleet, selector)), COUNT_LIMIT


def weight_parameter(_: Fleet, selector: str) -> tuple[Change, Domain]:
    """Return the change of the weight of an objective."""
    names = tuple(item.value for item in ObjectiveName)
    if selector not in names:
        raise UnknownNameError(f"{selector!r} is no objective", some_words(names))
    return WeightChange(ObjectiveName(selector)), WEIGHT
