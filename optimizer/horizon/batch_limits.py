"""Batch limits that a server can keep in every hour.

A limit that nobody set follows the requests: of longer ones fewer fit into memory, and one that is
chosen is the best for one load. A replica that runs on has one limit, though. So where hours
differ, each accelerator is offered those of the hours' limits that memory allows in all of them: a
lower limit than memory allows is always safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from stoker.domain.server import Server

Place = tuple[int, int]
"""Accelerator, and configuration there (-1 without a name)."""


@dataclass(frozen=True, slots=True)
class SeenLimit:
    """The batch limit of a server on an accelerator at one of its loads.

    Attributes:
        place: Where.
        max_batch: The limit.
        largest: The largest one that could have been chosen; as large where nothing was chosen.
    """

    place: Place
    max_batch: int
    largest: int


def limits_of_all_hours(
    server: Server, seen: Iterable[SeenLimit]
) -> Mapping[Place, frozenset[int]] | None:
    """Return the limits to offer by place; None where they are the same in all hours already.

    Args:
        server: The server.
        seen: Its limits at all loads with requests.
    """
    if server.max_batch is not None or server.batch_limits:
        return None
    limits: dict[Place, set[int]] = {}
    most: dict[Place, int] = {}
    for each in seen:
        limits.setdefault(each.place, set()).add(each.max_batch)
        most[each.place] = min(most.get(each.place, each.largest), each.largest)
    if all(len(own) == 1 for own in limits.values()):
        return None
    return {
        place: frozenset(limit for limit in own if limit <= most[place])
        for place, own in limits.items()
    }


def offered(server: Server, limits: Mapping[Place, frozenset[int]]) -> Server:
    """Return a server that is to be sized with all of these limits."""
    every = tuple(sorted(set().union(*limits.values())))
    return replace(server, choose_batch=False, batch_limits=every)
