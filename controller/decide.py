"""What is to become of each server in this cycle: from the plan, what runs, and what is known."""

from __future__ import annotations

import math
from dataclasses import replace

from controller.case import Case, Situation
from controller.memory import Memory, ServerMemory, WantedSize
from controller.moving import begin_move, move_on
from controller.places import agrees, missing_words, planned_variant, unclear
from controller.resizing import resize
from controller.waking import must_wake, wake
from controller.world import free_cards, order_of, running_variant, variants_of
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.control.changes import HoldReason, ServerDecision
from stoker.domain.control.configurations import Configurations, configurations_of
from stoker.domain.plan import Unplaced
from stoker.domain.reasons import Rejection, UnplacedReason

_NOT_DESCRIBED = frozenset(
    {
        Rejection.NO_PROFILE,
        Rejection.NO_TARGET,
        Rejection.ZERO_PARAMETERS,
        Rejection.KIND_TOO_WEAK,
        Rejection.NOT_CURRENT,
    }
)
"""Rejections of accelerators that the documents do not describe well enough to plan on."""


def decide(
    situation: Situation, memory: Memory
) -> tuple[dict[str, ServerDecision], dict[str, ServerMemory]]:
    """Return one decision a server, and what is remembered of each if it is carried out.

    Important servers come first: they take from the free cards before others.
    """
    variants = variants_of(situation.cluster)
    plan = situation.plan
    placed = {} if plan is None else {each.server: each for each in plan.allocations}
    unplaced = {} if plan is None else {each.server: each for each in plan.unplaced}
    free = free_cards(situation.cluster)
    configurations = configurations_of(situation.fleet)
    decisions: dict[str, ServerDecision] = {}
    memories: dict[str, ServerMemory] = {}
    for server in sorted(situation.fleet.servers, key=lambda each: order_of(situation.fleet, each)):
        before = memory.server(server.name)
        case = Case(
            situation,
            server,
            variants.get(server.name, ()),
            free,
            before.history.idle_since(),
        )
        decisions[server.name], memories[server.name] = _decided(
            case,
            placed.get(server.name),
            unplaced.get(server.name),
            before,
            configurations,
        )
    return decisions, memories


def _decided(
    case: Case,
    placed: PlannedAllocation | None,
    unplaced: Unplaced | None,
    memory: ServerMemory,
    configurations: Configurations,
) -> tuple[ServerDecision, ServerMemory]:
    """Return the decision on one server, and what is remembered if it is carried out."""
    running = running_variant(case.variants)
    if must_wake(case) and not unclear(case.server, case.variants, running, configurations):
        return wake(case, memory.unwatched(), configurations)
    held = _held(case, placed, unplaced, configurations)
    if held is not None or running is None or placed is None:
        reason, words = held or (HoldReason.NO_WORKLOAD, "no workload runs it")
        return case.hold(reason, words, placed), memory.unwatched()
    wanted_on = placed.accelerator or running.accelerator
    if memory.wanted and memory.wanted[-1].accelerator != wanted_on:
        # Sizes on another accelerator tell nothing of this one: the window starts anew.
        memory = replace(memory, watched_since=None)
    memory = memory.with_wanted(
        WantedSize(case.now.at, wanted_on, placed.replicas, _told(placed.arrival_rate_rps)),
        case.now.settings.stability.scale_down_window_s,
    )
    target = running
    if placed.accelerator is not None and not agrees(case.server, running, placed, configurations):
        found = planned_variant(case.server, case.variants, placed, configurations)
        if found is None:
            words = missing_words(case.server, case.variants, placed, configurations)
            return case.hold(HoldReason.NO_WORKLOAD, words, placed), memory
        target = found
    if memory.transition is not None:
        return move_on(case, memory.transition, placed, memory)
    others = [each for each in case.variants if each.ref != target.ref and each.replicas_wanted > 0]
    if others and placed.replicas > 0:
        source = max(others, key=lambda each: (each.replicas_wanted, each.ref))
        return begin_move(case, source, target, placed, memory)
    return resize(case, target, placed, memory)


def _held(
    case: Case,
    placed: PlannedAllocation | None,
    unplaced: Unplaced | None,
    configurations: Configurations,
) -> tuple[HoldReason, str] | None:
    """Return why nothing may be decided; None where something may."""
    load = case.load
    if case.now.cluster is None:
        return HoldReason.STATE_UNKNOWN, "the cluster does not tell what runs"
    if any(variant.paused for variant in case.variants):
        return HoldReason.PAUSED, "an annotation asks to leave it alone"
    if not case.variants:
        return HoldReason.NO_WORKLOAD, "no workload of the cluster is known to serve it"
    not_told = unclear(case.server, case.variants, running_variant(case.variants), configurations)
    if not_told is not None:
        return not_told
    if load is None or load.load is None:
        words = "nothing was measured" if load is None else load.reason
        return HoldReason.LOAD_UNKNOWN, words
    if case.now.plan is None:
        return HoldReason.NO_PLAN, case.now.plan_failure
    if placed is None:
        words = "the plan leaves it out" if unplaced is None else unplaced.detail
        undescribed = (
            unplaced is not None
            and unplaced.reason is UnplacedReason.NO_CANDIDATE
            and _NOT_DESCRIBED.issuperset(unplaced.rejections.values())
        )
        return (HoldReason.NO_PROFILE if undescribed else HoldReason.NO_CAPACITY), words
    if placed.mix or placed.pools:
        kinds = "a mix of accelerators" if placed.mix else "a prefill and a decode pool"
        words = f"the plan gives it {kinds}, and a workload is one kind of replica: the fleet "
        allow = "optimizer.heterogeneous: false" if placed.mix else "serving: [aggregated]"
        return HoldReason.NO_WORKLOAD, f"{words}document needs {allow}"
    return None


def _told(rate_rps: float) -> float:
    return rate_rps if math.isfinite(rate_rps) else 0.0
