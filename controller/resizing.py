"""The decision on a server that stays on its workload: its replicas and its batch limit."""

from __future__ import annotations

from dataclasses import replace

from controller.batch import is_batch
from controller.case import Case
from controller.idleness import unseen
from controller.memory import ServerMemory
from controller.refused_limits import is_refused
from controller.stability import Settled, Sizing, may_move, remembered, settle
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.control.changes import Direction, HoldReason, ServerDecision, VariantTarget
from stoker.domain.control.cluster import VariantState, WorkloadKind


def resize(
    case: Case, variant: VariantState, placed: PlannedAllocation, memory: ServerMemory
) -> tuple[ServerDecision, ServerMemory]:
    """Bring a workload to the size that the plan asks for, as far as rules and cards allow now."""
    before = variant.replicas_wanted
    refused = is_refused(memory, case.now.at, case.now.settings.stability)
    batch = None if refused else _batch(case, variant, placed, memory)
    settled = _settled(case, variant, placed, memory)
    settled = _with_batch_of_pods(case, variant, placed, settled, batch)
    settled = _within_room(case, variant, settled)
    after = settled.replicas
    case.take(variant, after - before)
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
        why, words = HoldReason.DEMAND_UNSEEN, "nothing would tell that requests come"
        if case.twins:
            refs = " and ".join(
                str(each.ref) for each in (variant, *(one.variant for one in case.twins))
            )
            why = HoldReason.NO_WORKLOAD
            words = f"nothing would tell which of {refs} to start again"
        if settled.replicas == 1:
            words = f"without a replica {words}: one stays"
            return replace(settled, held=(*settled.held, why), reason=words)
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
        young=case.load is not None and case.load.young,
        idle_s=_idle_s(case),
        unseen="" if case.load is None else unseen(case.load, case.variants),
        zero_allowed=case.control.scale_to_zero and _demand_is_seen(case) and not case.twins,
        accelerator=variant.accelerator,
    )


def _idle_s(case: Case) -> float | None:
    """Return how long nobody has asked, waited or been served; None where unknown."""
    if case.load is not None and case.load.inside:
        return 0.0
    return None if case.load is not None and unseen(case.load, case.variants) else case.idle_s


def _demand_is_seen(case: Case) -> bool:
    """Return whether anything would tell of demand if the server had no replica."""
    return is_batch(case.control) or (case.load is not None and case.load.outlasts_pods)


def _is_loaded(case: Case) -> bool:
    """Return whether it is planned for a load that is known not to be zero."""
    return case.server.load is not None and not case.server.load.is_zero


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


def _with_batch_of_pods(
    case: Case,
    variant: VariantState,
    placed: PlannedAllocation,
    settled: Settled,
    batch: int | None,
) -> Settled:
    """Return the size that pods with the batch limit that they have can do with.

    The plan counts with replicas that take more requests than these do: fewer of these would not
    carry the load.
    """
    told, running = variant.max_batch, variant.replicas_wanted
    if told is None or settled.replicas >= running or placed.replicas == 0:
        return settled
    if not _is_loaded(case):
        return settled  # whatever they take at once, nobody asks
    if is_batch(case.control) and not placed.fully_served:
        return settled  # others need the cards, and it is served in part as it is
    _, most = case.bounds(variant)
    stays = running if most is None else max(settled.replicas, min(running, most))
    if placed.max_batch - told <= case.now.settings.stability.hysteresis * told:
        return settled
    words = f"its pods take {told} requests at once, and the plan counts on {placed.max_batch}"
    if batch is not None:
        words += ": that limit goes first"
    elif variant.ref.kind is WorkloadKind.LEADER_WORKER_SET:
        words += ": raise the limit in its manifest"
    elif case.now.settings.cluster.allow_batch_limit:
        words += ": the limit is written when the server may move again"
    else:
        words += ": raise the limit in its manifest, or set cluster.allow_batch_limit: true"
    return Settled(stays, (*settled.held, HoldReason.STABILIZING), words)


def _batch(
    case: Case, variant: VariantState, placed: PlannedAllocation, memory: ServerMemory
) -> int | None:
    """Return the batch limit to write; None where it is right, or not to be written.

    The plan's limit follows the tokens of requests, and a new one restarts every replica: it
    waits as a move does, and a difference within the hysteresis is left. Where nobody asks, no
    tokens tell one: pods keep theirs.
    """
    cluster, stability = case.now.settings.cluster, case.now.settings.stability
    if not cluster.allow_batch_limit or not placed.max_batch or not _is_loaded(case):
        return None
    if variant.ref.kind is WorkloadKind.LEADER_WORKER_SET:
        return None  # they are told none
    if may_move(memory, case.now.at, stability) is not None:
        return None
    now = variant.max_batch
    if now is not None and abs(placed.max_batch - now) <= stability.hysteresis * now:
        return None
    return placed.max_batch
