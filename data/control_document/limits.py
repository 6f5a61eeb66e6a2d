"""Limits of a cycle against the fleet: one below a replica is no limit, but a stop for ever."""

from __future__ import annotations

from collections.abc import Iterator

from data.wording import shown
from stoker.domain.control.settings import ControlSettings, ServerControl
from stoker.domain.errors import Problem
from stoker.domain.fleet import Fleet
from stoker.domain.server import Server

_MOST_NAMED = 4


def limit_checks(fleet: Fleet, settings: ControlSettings, file: str) -> Iterator[Problem]:
    """Yield a limit that lets no replica of some server come or go.

    Where a server has its workloads in the document, each of them counts; elsewhere the smallest
    replica that it may have, as the cluster alone tells what runs.
    """
    limit = settings.stability.max_cards_change
    if limit is None:
        return
    needed = {}
    for server in fleet.servers:
        control = settings.servers.get(server.name) or ServerControl(server.name)
        cards = _cards_of_one(fleet, server, control)
        if cards > limit:
            needed[server.name] = cards
    if not needed:
        return
    words = ", ".join(
        f"{cards} of {shown(name)}" for name, cards in list(needed.items())[:_MOST_NAMED]
    )
    more = len(needed) - _MOST_NAMED
    words += f" and {more} more servers" if more > 0 else ""
    yield Problem(
        "stability.max_cards_change",
        f"is {limit}, less than the cards of one replica ({words}): they could never change",
        f"at least {max(needed.values())}",
        file,
    )


def _cards_of_one(fleet: Fleet, server: Server, control: ServerControl) -> int:
    """Return the cards that a cycle must be able to change for a server; 0 where nobody tells."""
    cards = {each.name: each.cards for each in fleet.accelerators}
    smallest: dict[str, int] = {}
    for profile in fleet.profiles:
        if profile.model == server.model and profile.accelerator in cards:
            own = cards[profile.accelerator] * profile.accelerators_per_replica
            smallest[profile.accelerator] = min(own, smallest.get(profile.accelerator, own))
    if control.workloads:
        return max((smallest.get(name, 0) for name in control.workloads), default=0)
    return min(smallest.values(), default=0)
