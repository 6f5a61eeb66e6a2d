"""Loose ends: what a fleet may legally hold, yet keeps some server off some hardware for good."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from data.node_fields import free_cards
from data.wording import shown
from stoker.domain.fleet import Fleet
from stoker.domain.profile import all_zero
from stoker.domain.serving import configured_name

_NAMES_SHOWN = 3


def loose_ends(fleet: Fleet) -> tuple[str, ...]:
    """Return the loose ends of a fleet as sentences, those of one kind together.

    They are no errors: a plan is made around them, and says what they rule out.
    """
    return (
        *_hardware(fleet),
        *_nodes(fleet),
        *_profiles(fleet),
        *_servers(fleet),
    )


def _hardware(fleet: Fleet) -> Iterator[str]:
    """Yield card types without cards, and cards that nothing is made of."""
    counts: dict[str, int] = {}
    for item in fleet.capacity:
        counts[item.card_type] = counts.get(item.card_type, 0) + item.count
    by_type: dict[str, list[str]] = {}
    for accelerator in fleet.accelerators:
        by_type.setdefault(accelerator.card_type, []).append(accelerator.name)
    if not fleet.settings.unlimited:
        for card_type, names in by_type.items():
            if not counts.get(card_type):
                given = "has a count of 0" if card_type in counts else "has no count"
                yield (
                    f"card type {shown(card_type)} {given} in the capacity: nothing can run on "
                    f"{_some(names)}"
                )
    for card_type in counts:
        if card_type not in by_type:
            yield f"no accelerator has the card type {shown(card_type)} of the capacity"


def _nodes(fleet: Fleet) -> Iterator[str]:
    """Yield how the nodes differ from the cards that the plan counts."""
    if not fleet.nodes:
        return
    free = free_cards(fleet.nodes)
    for item in fleet.capacity:
        if item.card_type not in free:
            kind = shown(item.card_type)
            yield f"no node has cards of {kind}, of which {item.count:,} are counted"
        elif free[item.card_type] != item.count:
            yield (
                f"{item.count:,} cards of {shown(item.card_type)} are counted, and "
                f"{free[item.card_type]:,} are free on its nodes"
            )


def _profiles(fleet: Fleet) -> Iterator[str]:
    """Yield profiles that no replica can have."""
    known = {item.name for item in fleet.accelerators}
    for profile in fleet.profiles:
        configuration = shown(profile.configuration) if profile.configuration else ""
        where = configured_name(shown(profile.accelerator), configuration)
        pair = f"the profile of {shown(profile.model)} on {where}"
        if profile.accelerator not in known:
            yield f"{pair} is of no use: the fleet has no such accelerator"
        if all_zero(profile.parameters):
            yield f"{pair} is of no use: all its parameters are zero"


def _servers(fleet: Fleet) -> Iterator[str]:
    """Yield what keeps servers from being placed on anything."""
    known = {item.name for item in fleet.accelerators}
    profiled = {item.model for item in fleet.profiles if item.accelerator in known}
    promised = {
        (item.name, target.model) for item in fleet.service_classes for target in item.targets
    }
    unprofiled: dict[str, list[str]] = {}
    unpromised: dict[tuple[str, str], list[str]] = {}
    for server in fleet.servers:
        if server.model not in profiled:
            unprofiled.setdefault(server.model, []).append(server.name)
        pair = (server.service_class, server.model)
        if pair not in promised:
            unpromised.setdefault(pair, []).append(server.name)
    for model, names in unprofiled.items():
        yield (
            f"model {shown(model)} has no profile on any accelerator of the fleet: "
            f"{_some(names)} cannot be placed"
        )
    for (service_class, model), names in unpromised.items():
        yield (
            f"service class {shown(service_class)} has no target for model {shown(model)}: "
            f"{_some(names)} cannot be placed"
        )


def _some(names: Iterable[str]) -> str:
    """Return a few names, and how many more there are."""
    found = [shown(name) for name in names]
    more = len(found) - _NAMES_SHOWN
    listed = ", ".join(found[:_NAMES_SHOWN])
    return f"{listed} and {more:,} more" if more > 0 else listed
