"""A fleet as if nothing ran, for questions that what runs now has no part in."""

from __future__ import annotations

from dataclasses import replace

from stoker.domain.fleet import Fleet
from stoker.domain.server import Server


def without_history(fleet: Fleet) -> Fleet:
    """Return the fleet as if nothing ran, where changes cost nothing.

    What runs stays known where it bounds the plan: for servers that must stay on their accelerator
    or whose load is unknown, and for all where changes are limited.
    """
    rules = replace(fleet.rules, transition_penalty=0.0)
    if fleet.limits.max_changes is not None:
        return replace(fleet, rules=rules)

    def fresh(server: Server) -> Server:
        needed = server.keep_accelerator or server.load is None
        return server if needed else replace(server, current=None)

    return replace(fleet, servers=tuple(map(fresh, fleet.servers)), rules=rules)
