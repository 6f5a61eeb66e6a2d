"""Points at which a server must have more replicas than it may, told before anything is planned."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.domain.errors import Problem
from stoker.domain.fleet import Fleet
from studies.sweeping.parameters import Parameter
from studies.sweeping.server_changes import ServerChange
from studies.sweeping.values import Value

_BOUNDS = ("min_replicas", "max_replicas")


def crossed_bounds(
    fleet: Fleet, parameters: Sequence[Parameter], points: Sequence[tuple[Value, ...]]
) -> list[Problem]:
    """Return the first point of each server at which its bounds leave no number of replicas.

    Args:
        fleet: The fleet as it was read.
        parameters: What varies, in the order in which it is applied.
        points: A value for each parameter, for each point.
    """
    bounds = [
        (column, parameter)
        for column, parameter in enumerate(parameters)
        if isinstance(parameter.change, ServerChange) and parameter.change.field in _BOUNDS
    ]
    if not bounds:
        return []
    found: dict[str, Problem] = {}
    for values in dict.fromkeys(tuple(point[column] for column, _ in bounds) for point in points):
        changed = fleet
        for (_, parameter), value in zip(bounds, values, strict=True):
            changed = parameter.apply(changed, value)
        for server in changed.servers:
            most = server.max_replicas
            if most is not None and server.min_replicas > most and server.name not in found:
                found[server.name] = Problem(
                    ", ".join(f"{p.name}={v}" for (_, p), v in zip(bounds, values, strict=True)),
                    f"asks for {server.min_replicas} replicas of {server.name} or more, "
                    f"and for {most} at most",
                    "min_replicas up to max_replicas at every point",
                )
    return list(found.values())
