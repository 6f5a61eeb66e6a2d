"""What is to become of each server in this cycle: from the plan, what runs, and what is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.load import MeasuredLoad
from controller.memory import Memory, ServerMemory, Transition, WantedSize
from controller.stability import Sizing, may_move, remembered, settle
from controller.transition import Health, next_step
from controller.world import running_variant, variants_of
from stoker.domain.control.changes import Direction, HoldReason, ServerDecision, VariantTarget
from stoker.domain.control.cluster import ClusterState, VariantState
from stoker.domain.control.settings import ControlSettings, ServerControl
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, PlannedAllocation, Unplaced, UnplacedReason
from stoker.domain.server import Server

_NO_PROFILE = (UnplacedReason.NO_CANDIDATE,)


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
    room = _free_cards(situation.cluster)
    decisions: dict[str, ServerDecision] = {}
    memories: dict[str, ServerMemory] = {}
    for server in sorted(situation.fleet.servers, key=lambda each: _order(situation.fleet, each)):
        decider = _Decider(situation, server, variants.get(server.name, ()), room)
        decision, after = decider.decide(
            placed.get(server.name), unplaced.get(server.name), memory.server(server.name)
        )
        decisions[server.name] = decision
        memories[server.name] = after
    return decisions, memories


def _order(fleet: Fleet, server: Server) -> tuple[int, str]:
    """Return by what servers come: the more important ones take free cards first."""
    return fleet.priorities.get(server.name, 0), server.name


def _free_cards(cluster: ClusterState | None) -> dict[str, int] | None:
    """Return the cards that nobody holds, less those that replicas on their way will take."""
    if cluster is None or cluster.cards is None:
        return None
    free = {name: stock.free for name, stock in cluster.cards.items()}
    for variant in cluster.variants:
        waiting = variant.replicas_wanted - sum(bool(each.node) for each in variant.replicas)
        if waiting > 0 and variant.card_type in free:
            free[variant.card_type] -= waiting * (variant.cards_per_replica or 0)
    return {name: max(0, count) for name, count in free.items()}


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
            lacks = unplaced is not None and unplaced.reason in _NO_PROFILE
            return (HoldReason.NO_PROFILE if lacks else HoldReason.NO_CAPACITY), words
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
        least = [self._server.min_replicas, self._control.min_replicas, variant.min_replicas]
        most = [self._server.max_replicas, self._control.max_replicas, variant.max_replicas]
        bounds = [bound for bound in most if bound is not None]
        return Sizing(
            running=variant.replicas_wanted,
            wanted=placed.replicas,
            rate_rps=placed.arrival_rate_rps,
            rate_of_one_rps=placed.max_rate_rps,
            least=max(bound or 0 for bound in least),
            most=min(bounds) if bounds else None,
            partial=load.partial,
            idle_s=self._idle_s(),
            zero_allowed=self._control.scale_to_zero,
            accelerator=variant.accelerator,
        )

    def _idle_s(self) -> float | None:
        last = self._last_request_at
        return None if last is None else max(0.0, self._now.at - last)

    def _resize(
        self, variant: VariantState, placed: PlannedAllocation, memory: ServerMemory
    ) -> tuple[ServerDecision, ServerMemory]:
        sizing = self._sizing(variant, placed)
        settled = settle(sizing, memory, self._now.at, self._now.settings.stability)
        before, after = variant.replicas_wanted, settled.replicas
        self._take(variant, after - before)
        batch = self._batch(variant, placed)
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
        return decision, remembered(memory, before, after, self._now.at)

    def _batch(self, variant: VariantState, placed: PlannedAllocation) -> int | None:
        """Return the batch limit to write; None where it is right, or not to be written."""
        cluster = self._now.settings.cluster
        if not cluster.allow_batch_limit or not placed.max_batch:
            return None
        return None if variant.max_batch == placed.max_batch else placed.max_batch

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
        transition = Transition(
            source.ref,
            target.ref,
            None if under_way else source.replicas_wanted,
            self._now.at,
        )
        memory = replace(memory, transition=transition, moved_at=self._now.at)
        return self._move_on(transition, placed, memory)

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
        if target.replicas_wanted == 0 and not room and not transition.back:
            # Without a free card for the first new replica the old ones must be free to grow.
            words = f"no free {target.card_type or 'card'} for a replica on {target.accelerator}"
            memory = replace(memory, transition=None)
            return self._hold(HoldReason.NO_CAPACITY, words, placed), memory
        wanted = placed.replicas if placed.accelerator == target.accelerator else 0
        if wanted == 0 and not transition.back:
            # The plan has changed its mind: what was begun for it is taken back.
            transition = replace(
                transition, back=True, reason="the plan asks for the old accelerator again"
            )
        step = next_step(
            transition,
            source,
            target,
            max(1, wanted),
            room,
            self._now.health.get(self._server.name, Health()),
            self._now.settings.transition,
            self._now.at,
        )
        self._take(target, step.target_replicas - target.replicas_wanted)
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
        """Return how many more replicas free cards allow; None where they are unknown."""
        if self._free is None or variant.card_type not in self._free:
            return None
        each = variant.cards_per_replica or 0
        return self._free[variant.card_type] // each if each else None

    def _take(self, variant: VariantState, replicas: int) -> None:
        """Take the cards of more replicas from the free ones."""
        if self._free is not None and replicas > 0 and variant.card_type in self._free:
            left = self._free[variant.card_type] - replicas * (variant.cards_per_replica or 0)
            self._free[variant.card_type] = max(0, left)
