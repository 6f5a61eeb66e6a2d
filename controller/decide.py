"""What is to become of each server in this cycle: from the plan, what runs, and what is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.batch import is_batch
from controller.load import MeasuredLoad
from controller.memory import Memory, ServerMemory, Transition, WantedSize
from controller.stability import Settled, Sizing, in_quiet_hours, may_move, remembered, settle
from controller.transition import Health, Means, next_step
from controller.world import free_cards, order_of, room_for, running_variant, variants_of
from stoker.domain.control.changes import Direction, HoldReason, ServerDecision, VariantTarget
from stoker.domain.control.cluster import ClusterState, ReplicaPhase, VariantState
from stoker.domain.control.settings import ControlSettings, ServerControl
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, PlannedAllocation, Rejection, Unplaced, UnplacedReason
from stoker.domain.server import Server

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


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision rests on.

    Attributes:
        at: Now, in seconds since the epoch.
        fleet: The fleet that was planned.
        plan: Its plan; None for none.
        plan_failure: Why there is none; empty where there is one.
        cluster: What runs; None where unknown.
        loads: What was measured, by server.
        health: How servers do, by name.
        settings: The rules.
    """

    at: float
    fleet: Fleet
    plan: Plan | None
    plan_failure: str
    cluster: ClusterState | None
    loads: Mapping[str, MeasuredLoad]
    health: Mapping[str, Health]
    settings: ControlSettings


def decide(
    situation: Situation, memory: Memory
) -> tuple[dict[str, ServerDecision], dict[str, ServerMemory]]:
    """Return one decision a server, and what is remembered of each if it is carried out."""
    variants = variants_of(situation.cluster)
    plan = situation.plan
    placed = {} if plan is None else {each.server: each for each in plan.allocations}
    unplaced = {} if plan is None else {each.server: each for each in plan.unplaced}
    room = free_cards(situation.cluster)
    decisions: dict[str, ServerDecision] = {}
    memories: dict[str, ServerMemory] = {}
    for server in sorted(situation.fleet.servers, key=lambda each: order_of(situation.fleet, each)):
        decider = _Decider(situation, server, variants.get(server.name, ()), room)
        decision, after = decider.decide(
            placed.get(server.name), unplaced.get(server.name), memory.server(server.name)
        )
        decisions[server.name] = decision
        memories[server.name] = after
    return decisions, memories


class _Decider:
    """The decision for one server; it takes from the free cards what it is given."""

    def __init__(
        self,
        situation: Situation,
        server: Server,
        variants: tuple[VariantState, ...],
        free: dict[str, int] | None,
    ) -> None:
        self._now = situation
        self._server = server
        self._variants = variants
        self._free = free
        self._control = situation.settings.servers.get(server.name) or ServerControl(server.name)
        self._last_request_at: float | None = None

    def decide(
        self,
        placed: PlannedAllocation | None,
        unplaced: Unplaced | None,
        memory: ServerMemory,
    ) -> tuple[ServerDecision, ServerMemory]:
        """Return the decision, and what is remembered if it is carried out."""
        self._last_request_at = memory.history.last_request_at()
        if self._last_request_at is None and memory.history.samples:
            self._last_request_at = memory.history.samples[0].at  # none as long as it is watched
        held = self._held(placed, unplaced)
        running = running_variant(self._variants)
        if held is not None or running is None or placed is None:
            reason, words = held or (HoldReason.NO_WORKLOAD, "no workload runs it")
            return self._hold(reason, words, placed), memory.unwatched()
        wanted_on = placed.accelerator or running.accelerator
        if memory.wanted and memory.wanted[-1].accelerator != wanted_on:
            # Sizes on another accelerator tell nothing of this one: the window starts anew.
            memory = replace(memory, watched_since=None)
        memory = memory.with_wanted(
            WantedSize(self._now.at, wanted_on, placed.replicas),
            self._now.settings.stability.scale_down_window_s,
        )
        target = next((each for each in self._variants if each.accelerator == wanted_on), None)
        if target is None:
            words = f"no workload of it runs {wanted_on}"
            return self._hold(HoldReason.NO_WORKLOAD, words, placed), memory
        if memory.transition is not None:
            return self._move_on(memory.transition, placed, memory)
        others = [
            each for each in self._variants if each.ref != target.ref and each.replicas_wanted > 0
        ]
        if others and placed.replicas > 0:
            source = max(others, key=lambda each: (each.replicas_wanted, each.ref))
            return self._begin_move(source, target, placed, memory)
        return self._resize(target, placed, memory)

    def _held(
        self, placed: PlannedAllocation | None, unplaced: Unplaced | None
    ) -> tuple[HoldReason, str] | None:
        """Return why nothing may be decided; None where something may."""
        load = self._now.loads.get(self._server.name)
        if self._now.cluster is None:
            return HoldReason.STATE_UNKNOWN, "the cluster does not tell what runs"
        if any(variant.paused for variant in self._variants):
            return HoldReason.PAUSED, "an annotation asks to leave it alone"
        if not self._variants:
            return HoldReason.NO_WORKLOAD, "no workload of the cluster is known to serve it"
        if load is None or load.load is None:
            words = "nothing was measured" if load is None else load.reason
            return HoldReason.LOAD_UNKNOWN, words
        if self._now.plan is None:
            return HoldReason.NO_PLAN, self._now.plan_failure
        if placed is None:
            words = "the plan leaves it out" if unplaced is None else unplaced.detail
            undescribed = (
                unplaced is not None
                and unplaced.reason is UnplacedReason.NO_CANDIDATE
                and _NOT_DESCRIBED.issuperset(unplaced.rejections.values())
            )
            return (HoldReason.NO_PROFILE if undescribed else HoldReason.NO_CAPACITY), words
        return None

    def _hold(
        self, reason: HoldReason, words: str, placed: PlannedAllocation | None
    ) -> ServerDecision:
        return ServerDecision(
            self._server.name,
            Direction.HOLD,
            (),
            None if placed is None else placed.replicas,
            None if placed is None else placed.accelerator,
            (reason,),
            words,
        )

    def _sizing(self, variant: VariantState, placed: PlannedAllocation) -> Sizing:
        load = self._now.loads[self._server.name]
        least, most = self._bounds(variant)
        return Sizing(
            running=variant.replicas_wanted,
            wanted=placed.replicas,
            rate_rps=placed.arrival_rate_rps,
            rate_of_one_rps=placed.max_rate_rps,
            least=least,
            most=most,
            partial=load.partial,
            idle_s=self._idle_s(),
            zero_allowed=self._control.scale_to_zero,
            accelerator=variant.accelerator,
        )

    def _bounds(self, variant: VariantState) -> tuple[int, int | None]:
        """Return the fewest and the most replicas that all who may say so allow."""
        least = (self._server.min_replicas, self._control.min_replicas, variant.min_replicas)
        most = (self._server.max_replicas, self._control.max_replicas, variant.max_replicas)
        return (
            max(bound or 0 for bound in least),
            min((bound for bound in most if bound is not None), default=None),
        )

    def _idle_s(self) -> float | None:
        last = self._last_request_at
        return None if last is None else max(0.0, self._now.at - last)

    def _settled(self, sizing: Sizing, placed: PlannedAllocation, memory: ServerMemory) -> Settled:
        stability = self._now.settings.stability
        if is_batch(self._control) and not placed.fully_served:
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
        return settle(sizing, memory, self._now.at, stability)

    def _resize(
        self, variant: VariantState, placed: PlannedAllocation, memory: ServerMemory
    ) -> tuple[ServerDecision, ServerMemory]:
        sizing = self._sizing(variant, placed)
        settled = self._settled(sizing, placed, memory)
        before = variant.replicas_wanted
        settled = self._within_room(variant, settled)
        after = settled.replicas
        self._take(variant, after - before)
        batch = self._batch(variant, placed, memory)
        direction = Direction.HOLD
        if after != before:
            direction = Direction.UP if after > before else Direction.DOWN
        elif batch is not None:
            direction = Direction.MOVE
        targets: tuple[VariantTarget, ...] = ()
        if direction is not Direction.HOLD:
            targets = (VariantTarget(variant.ref, variant.accelerator, after, batch, before),)
        decision = ServerDecision(
            self._server.name,
            direction,
            targets,
            placed.replicas,
            variant.accelerator,
            settled.held,
            settled.reason,
        )
        return decision, remembered(memory, before, after, self._now.at, moved=batch is not None)

    def _within_room(self, variant: VariantState, settled: Settled) -> Settled:
        """Return the size as far as free cards allow it; the rest waits for cards."""
        room, more = self._room(variant), settled.replicas - variant.replicas_wanted
        if room is None or more <= room:
            return settled
        words = f"{more - room} more replicas wait for free {variant.card_type}"
        return Settled(
            variant.replicas_wanted + room,
            (*settled.held, HoldReason.NO_CAPACITY),
            f"{settled.reason}; {words}" if settled.reason else words,
        )

    def _batch(
        self, variant: VariantState, placed: PlannedAllocation, memory: ServerMemory
    ) -> int | None:
        """Return the batch limit to write; None where it is right, or not to be written.

        The plan's limit follows the tokens of requests, and a new one restarts every replica: it
        waits as a move does, and a difference within the hysteresis is left.
        """
        cluster, stability = self._now.settings.cluster, self._now.settings.stability
        if not cluster.allow_batch_limit or not placed.max_batch:
            return None
        if may_move(memory, self._now.at, stability) is not None:
            return None
        now = variant.max_batch
        if now is not None and abs(placed.max_batch - now) <= stability.hysteresis * now:
            return None
        return placed.max_batch

    def _begin_move(
        self,
        source: VariantState,
        target: VariantState,
        placed: PlannedAllocation,
        memory: ServerMemory,
    ) -> tuple[ServerDecision, ServerMemory]:
        """Begin a move, or take up one that somebody began before this loop remembers."""
        under_way = target.replicas_wanted > 0
        forbidden = may_move(memory, self._now.at, self._now.settings.stability)
        if not under_way and forbidden is not None:
            return self._hold(forbidden.held[0], forbidden.reason, placed), memory
        if not under_way and not self._room(target):
            return self._no_room(target, placed), memory
        # Where no new replica is ready yet, no old one has gone for it.
        untouched = target.count(ReplicaPhase.READY) == 0
        transition = Transition(
            source.ref,
            target.ref,
            source.replicas_wanted if untouched else None,
            self._now.at,
            wanted_before=self._asked(target, placed, memory) if untouched else None,
        )
        memory = replace(memory, transition=transition, moved_at=self._now.at)
        return self._move_on(transition, placed, memory)

    def _no_room(self, target: VariantState, placed: PlannedAllocation) -> ServerDecision:
        words = f"no free {target.card_type or 'card'} for a replica on {target.accelerator}"
        return self._hold(HoldReason.NO_CAPACITY, words, placed)

    def _asked(self, variant: VariantState, placed: PlannedAllocation, memory: ServerMemory) -> int:
        """Return the replicas that a workload is asked to have; 0 where the plan is elsewhere.

        While servers move they do not shrink: the largest size of the window counts.
        """
        if placed.accelerator not in (None, variant.accelerator):
            return 0
        sizes = [each.replicas for each in memory.wanted if each.accelerator == variant.accelerator]
        least, most = self._bounds(variant)
        asked = max(1, least, *sizes)
        return asked if most is None else min(asked, max(1, least, most))

    def _move_on(
        self, transition: Transition, placed: PlannedAllocation, memory: ServerMemory
    ) -> tuple[ServerDecision, ServerMemory]:
        by_ref = {variant.ref: variant for variant in self._variants}
        source, target = by_ref.get(transition.source), by_ref.get(transition.target)
        if source is None or target is None:
            gone = transition.source if source is None else transition.target
            memory = replace(memory, transition=None)
            return self._hold(HoldReason.NO_WORKLOAD, f"{gone} is gone", placed), memory
        room = self._room(target)
        nothing_yet = target.replicas_wanted == 0 and source.replicas_wanted > 0
        if nothing_yet and not room and not transition.back:
            # Without a free card for the first new replica the old ones must be free to grow.
            return self._no_room(target, placed), replace(memory, transition=None)
        wanted = self._asked(target, placed, memory)
        if transition.back and placed.accelerator == target.accelerator:
            # It was to be planned on the source, and cannot be: it goes on.
            transition = replace(transition, back=False, reason="")
        if wanted == 0 and not transition.back and placed.accelerator is not None:
            # The plan has changed its mind: what was begun for it is taken back.
            words = f"the plan asks for {placed.accelerator} now"
            transition = replace(transition, back=True, reason=words)
        quiet = in_quiet_hours(self._now.at, self._now.settings.stability)
        partial = self._now.loads[self._server.name].partial
        means = Means(
            max(1, wanted),
            room,
            self._asked(source, placed, memory)
            if placed.accelerator is not None or transition.back
            else 0,
            0
            if source.card_type == target.card_type and not transition.back
            else self._room(source),
            partial or (quiet and not transition.back),
        )
        step = next_step(
            transition,
            source,
            target,
            means,
            self._now.health.get(self._server.name, Health()),
            self._now.settings.transition,
            self._now.at,
        )
        self._take(target, step.target_replicas - target.replicas_wanted)
        self._take(source, step.source_replicas - source.replicas_wanted)
        pairs = ((source, step.source_replicas), (target, step.target_replicas))
        targets = tuple(
            VariantTarget(
                variant.ref,
                variant.accelerator,
                replicas,
                replicas_before=variant.replicas_wanted,
            )
            for variant, replicas in pairs
            if replicas != variant.replicas_wanted
        )
        memory = replace(memory, transition=step.transition)
        if targets:
            memory = replace(memory, changed_at=self._now.at)
        if step.done is False:
            memory = replace(memory, moved_at=self._now.at)
        decision = ServerDecision(
            self._server.name,
            Direction.MOVE,
            targets,
            placed.replicas,
            placed.accelerator,
            () if step.done is not None else (HoldReason.IN_TRANSITION,),
            step.reason,
        )
        return decision, memory

    def _room(self, variant: VariantState) -> int | None:
        return room_for(variant, self._free)

    def _take(self, variant: VariantState, replicas: int) -> None:
        """Take the cards of more replicas from the free ones."""
        if self._free is not None and replicas > 0 and variant.card_type in self._free:
            left = self._free[variant.card_type] - replicas * (variant.cards_per_replica or 0)
            self._free[variant.card_type] = max(0, left)
