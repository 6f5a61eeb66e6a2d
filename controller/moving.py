"""The decision on a server that goes, or is to go, from one of its workloads to another."""

from __future__ import annotations

import math
from dataclasses import replace

from controller.batch import is_batch
from controller.case import Case
from controller.judging import Health
from controller.memory import ServerMemory, Transition
from controller.places import agrees
from controller.stability import in_quiet_hours, may_move
from controller.transition import Means, next_step
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.control.changes import Direction, HoldReason, ServerDecision, VariantTarget
from stoker.domain.control.cluster import ReplicaPhase, VariantState
from stoker.domain.control.configurations import configurations_of


def begin_move(
    case: Case,
    source: VariantState,
    target: VariantState,
    placed: PlannedAllocation,
    memory: ServerMemory,
) -> tuple[ServerDecision, ServerMemory]:
    """Begin a move, or take up one that somebody began before this loop remembers."""
    under_way = target.replicas_wanted > 0
    stability = case.now.settings.stability
    forbidden = may_move(memory, case.now.at, stability, placed.arrival_rate_rps)
    if not under_way and forbidden is not None:
        return case.hold(forbidden.held[0], forbidden.reason, placed), memory
    if not under_way and not placed.fully_served:
        words = f"{placed.replicas} on {target.accelerator} would serve it in part alone: it stays"
        return case.hold(HoldReason.NO_CAPACITY, words, placed), memory
    if not under_way and not case.room(target):
        return _no_room(case, target, placed), memory
    began = _since(source, target, case.now.at)
    # Where no new replica is ready yet, no old one has gone for it.
    untouched = target.count(ReplicaPhase.READY) == 0
    transition = Transition(
        source.ref,
        target.ref,
        source.replicas_wanted if untouched else None,
        case.now.at,
        wanted_before=_asked(case, target, placed, memory, began) if untouched else None,
    )
    memory = replace(memory, transition=transition, moved_at=case.now.at)
    return move_on(case, transition, placed, memory)


def move_on(
    case: Case, transition: Transition, placed: PlannedAllocation, memory: ServerMemory
) -> tuple[ServerDecision, ServerMemory]:
    """Take the next step of a move, forward or back."""
    by_ref = {variant.ref: variant for variant in case.variants}
    source, target = by_ref.get(transition.source), by_ref.get(transition.target)
    if source is None or target is None:
        gone = transition.source if source is None else transition.target
        memory = replace(memory, transition=None)
        return case.hold(HoldReason.NO_WORKLOAD, f"{gone} is gone", placed), memory
    nothing_yet = target.replicas_wanted == 0 and source.replicas_wanted > 0
    if nothing_yet and not case.room(target) and not transition.back:
        # Without a free card for the first new replica the old ones must be free to grow.
        return _no_room(case, target, placed), replace(memory, transition=None)
    began = _since(source, target, transition.started_at)
    wanted = _asked(case, target, placed, memory, began)
    transition = _headed(case, transition, target, placed, wanted)
    step = next_step(
        transition,
        source,
        target,
        _means(case, transition, source, target, placed, memory, wanted),
        case.now.health.get(case.server.name, Health()),
        case.now.settings.transition,
        case.now.at,
    )
    case.take(target, step.target_replicas - target.replicas_wanted)
    case.take(source, step.source_replicas - source.replicas_wanted)
    pairs = ((source, step.source_replicas), (target, step.target_replicas))
    targets = tuple(
        VariantTarget(
            variant.ref, variant.accelerator, replicas, replicas_before=variant.replicas_wanted
        )
        for variant, replicas in pairs
        if replicas != variant.replicas_wanted
    )
    memory = replace(memory, transition=step.transition)
    if targets:
        memory = replace(memory, changed_at=case.now.at)
    if step.done is False:
        memory = replace(memory, moved_at=case.now.at)
    decision = ServerDecision(
        case.server.name,
        Direction.MOVE,
        targets,
        placed.replicas,
        placed.accelerator,
        () if step.done is not None else (HoldReason.IN_TRANSITION,),
        step.reason,
    )
    return decision, memory


def _headed(
    case: Case,
    transition: Transition,
    target: VariantState,
    placed: PlannedAllocation,
    wanted: int,
) -> Transition:
    """Return the transition in the direction that the plan asks for now."""
    if transition.back and _is_for(case, target, placed):
        # It was to be planned on the source, and cannot be: it goes on.
        transition = replace(transition, back=False, reason="")
    if wanted == 0 and not transition.back and placed.accelerator is not None:
        # The plan has changed its mind: what was begun for it is taken back.
        asked = f"{placed.accelerator} {placed.configuration}".strip()
        words = f"the plan asks for {asked} now"
        transition = replace(transition, back=True, reason=words)
    return transition


def _means(
    case: Case,
    transition: Transition,
    source: VariantState,
    target: VariantState,
    placed: PlannedAllocation,
    memory: ServerMemory,
    wanted: int,
) -> Means:
    """Return what the next step may use, and what it has to carry."""
    quiet = in_quiet_hours(case.now.at, case.now.settings.stability)
    partial = case.load is not None and case.load.partial
    # Of new replicas that serve in part alone, none replaces an old one.
    poor = not placed.fully_served and placed.replicas > 0 and not is_batch(case.control)
    planned = placed.accelerator is not None or transition.back
    began = _since(source, target, transition.started_at)
    same_cards = source.card_type == target.card_type and not transition.back
    return Means(
        max(1, wanted),
        case.room(target),
        _asked(case, source, placed, memory, began) if planned else 0,
        0 if same_cards else case.room(source),
        partial or ((quiet or poor) and not transition.back),
    )


def _since(source: VariantState, target: VariantState, began_at: float) -> float:
    """Return since when sizes count: those before a move were another configuration's."""
    return began_at if source.accelerator == target.accelerator else -math.inf


def _asked(
    case: Case,
    variant: VariantState,
    placed: PlannedAllocation,
    memory: ServerMemory,
    since: float,
) -> int:
    """Return the replicas that a workload is asked to have; 0 where the plan is elsewhere.

    While servers move they do not shrink: the largest size of the window counts.
    """
    if placed.accelerator is not None and not _is_for(case, variant, placed):
        return 0
    sizes = [
        each.replicas
        for each in memory.wanted
        if each.accelerator == variant.accelerator and each.at >= since
    ]
    least, most = case.bounds(variant)
    asked = max(1, least, *sizes)
    return asked if most is None else min(asked, max(1, least, most))


def _is_for(case: Case, variant: VariantState, placed: PlannedAllocation) -> bool:
    """Return whether the plan is for this workload."""
    return agrees(case.server, variant, placed, configurations_of(case.now.fleet))


def _no_room(case: Case, target: VariantState, placed: PlannedAllocation) -> ServerDecision:
    words = f"no free {target.card_type or 'card'} for a replica on {target.accelerator}"
    return case.hold(HoldReason.NO_CAPACITY, words, placed)
