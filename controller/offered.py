"""What a plan may choose from: of each server, what its workloads are and their pods can do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from controller.whereabouts import Place, Whereabouts, is_out_of_reach
from stoker.domain.control.configurations import Configurations
from stoker.domain.profile import ModelProfile
from stoker.domain.server import Server
from stoker.domain.settings import Analysis
from stoker.domain.workload import Load


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server is offered of the profiles of its model.

    Attributes:
        barred: Places that it cannot go to.
        limited: Profiles with the batch limit that its pods have, in place of those like them.
        settled: Whether profiles tell all batch limits, so that the server's own do not count.
    """

    barred: frozenset[Place] = frozenset()
    limited: tuple[ModelProfile, ...] = ()
    settled: bool = False


EVERYTHING = Offer()


def offer_to(
    server: Server,
    where: Whereabouts,
    profiles: Sequence[ModelProfile],
    configurations: Configurations,
    analysis: Analysis,
) -> Offer:
    """Return what a server is offered: the places that it has workloads for, and can go to.

    Where pods keep their batch limit, it counts if it is smaller than what the documents tell; and
    where documents leave it to be chosen it counts as it is, since nobody would write another.

    Args:
        server: The server, with its load.
        where: Its workloads.
        profiles: Those of its model.
        configurations: Those of the fleet.
        analysis: The analysis of the fleet.
    """
    places = where.places(server, configurations)
    barred = frozenset(
        place
        for place in map(_place, profiles)
        if place not in places and not is_out_of_reach(server, place[0])
    )
    told = where.told(places)
    if server.load is None or not told:
        return Offer(barred)
    if server.max_batch and all(limit >= server.max_batch for limit in told.values()):
        return Offer(barred)
    largest = server.max_batch or max(server.batch_limits, default=None)
    if where.chosen is not None:
        here = (place for place, each in places.items() if each is where.at)
        told = {**dict.fromkeys(here, where.chosen), **told}
    limited = []
    for profile in profiles:
        if _place(profile) not in places:
            continue
        own = _limit_of(profile, server.load, analysis)
        limit = min(largest or own, told.get(_place(profile), largest or own))
        if limit != own:
            limited.append(_with_limit(profile, limit, server.load, analysis))
    return Offer(barred, tuple(limited), settled=largest is not None or server.choose_batch)


def chooses_where_it_is(server: Server, where: Whereabouts, configurations: Configurations) -> bool:
    """Return whether a limit is to be chosen where a server is, and counts as it is elsewhere.

    Both are compared in one plan, and that chooses all limits of a server, or none.
    """
    if not (server.choose_batch or server.batch_limits) or server.load is None:
        return False
    places = where.places(server, configurations)
    told = where.told(places)
    return bool(told) and any(each is where.at for key, each in places.items() if key not in told)


def _place(profile: ModelProfile) -> Place:
    return profile.accelerator, profile.configuration


def _limit_of(profile: ModelProfile, load: Load, analysis: Analysis) -> int:
    """Return the batch limit that a plan takes from a profile for a load."""
    if load.is_zero or _heeds_memory(profile, analysis):
        return profile.max_batch
    return profile.batch_limit(load.output_tokens)


def _with_limit(profile: ModelProfile, limit: int, load: Load, analysis: Analysis) -> ModelProfile:
    """Return a profile that a plan takes this batch limit from.

    Where memory alone bounds the batch, a profile tells its largest one with the tokens that it
    holds for: here one token, so that the limit is the same whatever the requests are.
    """
    if load.is_zero or _heeds_memory(profile, analysis):
        return replace(profile, max_batch=limit)
    held = math.ceil(limit * load.output_tokens)
    while math.floor(held / load.output_tokens) < limit:
        held += 1
    return replace(profile, max_batch=held, at_tokens=1)


def _heeds_memory(profile: ModelProfile, analysis: Analysis) -> bool:
    """Return whether KV memory bounds the batch beside the limit, and not by it."""
    return profile.kv_tokens is not None and analysis is Analysis.FULL
