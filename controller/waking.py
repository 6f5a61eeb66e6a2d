"""The first replica of a server that has none, for requests of which nothing else is known."""

from __future__ import annotations

import math

from controller.case import Case
from controller.memory import ServerMemory
from controller.stability import remembered
from stoker.domain.control.changes import Direction, HoldReason, ServerDecision, VariantTarget
from stoker.domain.control.cluster import VariantState
from stoker.domain.control.configurations import Configurations, configuration_of


def must_wake(case: Case) -> bool:
    """Return whether requests come for a server that has no replica, and their size is unknown.

    A plan needs sizes, and only replicas tell them: one starts, whatever they are.
    """
    load = case.load
    return (
        load is not None
        and load.load is None
        and load.demand
        and case.now.cluster is not None
        and bool(case.variants)
        and not any(each.replicas_wanted or each.paused for each in case.variants)
    )


def wake(
    case: Case, memory: ServerMemory, configurations: Configurations
) -> tuple[ServerDecision, ServerMemory]:
    """Start the fewest replicas on the cheapest workload that a free card allows it on.

    No plan could follow on one whose configuration cannot be told: none of these is started.
    """
    fitting = [
        each
        for each in case.variants
        if case.room(each) != 0
        and configuration_of(each, case.server.model, configurations) is not None
    ]
    if not fitting:
        words = "requests come, it has no replica, and no card is free for one"
        return case.hold(HoldReason.NO_CAPACITY, words, None), memory
    variant = min(fitting, key=lambda each: (_cost_of_one(case, each), each.ref))
    least, most = case.bounds(variant)
    asked = max(1, least if most is None else min(least, max(most, 1)))
    room = case.room(variant)
    replicas = asked if room is None else min(asked, room)
    case.take(variant, replicas)
    target = VariantTarget(variant.ref, variant.accelerator, replicas, replicas_before=0)
    decision = ServerDecision(
        case.server.name,
        Direction.UP,
        (target,),
        reason="requests come and it has no replica: one starts, to tell how large they are",
    )
    return decision, remembered(memory, 0, replicas, case.now.at)


def _cost_of_one(case: Case, variant: VariantState) -> float:
    """Return what a replica costs per hour; infinity where the fleet does not tell it."""
    return next(
        (
            each.cost_per_hour / each.cards * (variant.cards_per_replica or each.cards)
            for each in case.now.fleet.accelerators
            if each.name == variant.accelerator and each.cards
        ),
        math.inf,
    )
