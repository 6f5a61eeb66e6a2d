"""The load that a plan is made for: that of the fleet, times its surge."""

from __future__ import annotations

from dataclasses import replace

from stoker.domain.fleet import Fleet


def surged(fleet: Fleet) -> Fleet:
    """Return a fleet whose loads are those that it is to stand, and whose surge is 1 from there.

    Doing so twice is doing it once. What runs now stays what it is.
    """
    headroom = fleet.limits.headroom
    if headroom.surge == 1.0:
        return fleet
    servers = tuple(
        server
        if server.load is None
        else replace(
            server,
            load=replace(
                server.load, arrival_rate_rps=server.load.arrival_rate_rps * headroom.surge
            ),
        )
        for server in fleet.servers
    )
    limits = replace(fleet.limits, headroom=replace(headroom, surge=1.0))
    return replace(fleet, servers=servers, limits=limits)
