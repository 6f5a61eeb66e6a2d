"""The decision on a server that stays on its workload: its replicas and its batch limit."""

from __future__ import annotations

from dataclasses import replace

from controller.batch import is_batch
from controller.case import Case
from controller.memory import ServerMemory
from controller.stability import Settled, Sizing, may_move, remembered, settle
from stoker.domain.control.changes import Direction, HoldReason, ServerDecision, VariantTarget
from stoker.domain.control.cluster import VariantState
from stoker.domain.plan import PlannedAllocation


def resize(
    case: Case, variant: VariantState, placed: PlannedAllocation, memory: ServerMemory
) -> tuple[ServerDecision, ServerMemory]:
    """Bring a workload to the size that the plan asks for, as far as rules and cards allow now."""
    before = variant.replicas_wanted
    settled = _within_room(case, variant, _settled(case, variant, placed, memory))
    after = settled.replicas
    case.take(variant, after - before)
    batch = _batch(case, variant, placed, memory)
    direction = Direction.HOLD
    if after != before:
        direction = Direction.UP if after > before else Direction.DOWN
    elif batch is not None:
        direction = Direction.MOVE
    targets: tuple[VariantTarget, ...] = ()
    if direction is not Direction.HOLD:
        targets = (VariantTarget(variant.ref, variant.accelerator, after, batch, before),)
    decision = ServerDecision(
        case.server.name,
        direction,
        targets,
        placed.replicas,
        variant.accelerator,
        settled.held,
        settled.reason,
    )
    return decision, remembered(memory, before, after, case.now.at, moved=batch is not None)


def _settled(
    case: Case, variant: VariantState, placed: PlannedAllocation, memory: ServerMemory
) -> Settled:
    """Return the size that the rules of calm allow now."""
    stability, sizing = case.now.settings.stability, _sizing(case, variant, placed)
    if is_batch(case.control) and not placed.fully_served:
        # Others need the cards, and must not wait until this one has calmed down.
        stability = replace(
            stability,
            scale_down_window_s=0.0,
            hysteresis=0.0,
            cooldown_down_s=0.0,
            zero_after_s=0.0,
        )
        memory = replace(memory, wanted=memory.wanted[-1:])
        sizing = replace(sizing, idle_s=0.0)
    settled = settle(sizing, memory, case.now.at, stability)
    if case.control.scale_to_zero and not sizing.zero_allowed and sizing.wanted == 0:
        words = "without a replica nothing would tell that requests come: one stays"
        if settled.replicas == 1:
            return replace(settled, held=(*settled.held, HoldReason.DEMAND_UNSEEN), reason=words)
    return settled


def _sizing(case: Case, variant: VariantState, placed: PlannedAllocation) -> Sizing:
    least, most = case.bounds(variant)
    return Sizing(
        running=variant.replicas_wanted,
        wanted=placed.replicas,
        rate_rps=placed.arrival_rate_rps,
        rate_of_one_rps=placed.max_rate_rps,
        least=least,
        most=most,
        partial=case.load is not None and case.load.partial,
        idle_s=0.0 if case.load is not None and case.load.inside else case.idle_s,
        zero_allowed=case.control.scale_to_zero and _demand_is_seen(case),
        accelerator=variant.accelerator,
    )


def _demand_is_seen(case: Case) -> bool:
    """Return whether anything would tell of demand if the server had no replica."""
    return is_batch(case.control) or (case.load is not None and case.load.outlasts_pods)


def _within_room(case: Case, variant: VariantState, settled: Settled) -> Settled:
    """Return the size as far as free cards allow it; the rest waits for cards."""
    room, more = case.room(variant), settled.replicas - variant.replicas_wanted
    if room is None or more <= room:
        return settled
    words = f"{more - room} more replicas wait for free {variant.card_type}"
    return Settled(
        variant.replicas_wanted + room,
        (*settled.held, HoldReason.NO_CAPACITY),
        f"{settled.reason}; {words}" if settled.reason else words,
    )


def _batch(
    case: Case, variant: VariantState, placed: PlannedAllocation, memory: ServerMemory
) -> int | None:
    """Return the batch limit to write; None where it is right, or not to be written.

    The plan's limit follows the tokens of requests, and a new one restarts every replica: it
    waits as a move does, and a difference within the hysteresis is left.
    """
    cluster, stability = case.now.settings.cluster, case.now.settings.stability
    if not cluster.allow_batch_limit or not placed.max_batch:
        return None
    if may_move(memory, case.now.at, stability) is not None:
        return None
    now = variant.max_batch
    if now is not None and abs(placed.max_batch - now) <= stability.hysteresis * now:
        return None
    return placed.max_batch
