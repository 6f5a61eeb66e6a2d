"""What one cycle may change at most, over the whole fleet: the most important servers first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.case import Situation
from controller.memory import Memory, ServerMemory
from stoker.domain.control.changes import Direction, HoldReason, ServerDecision, VariantTarget
from stoker.domain.control.cluster import VariantState, WorkloadRef

_SLACK = 1e-9


@dataclass(slots=True)
class _Left:
    """What a cycle may still change: cards added or taken, cost per hour added; None for any."""

    cards: int | None
    cost_per_hour: float | None

    def fitting(self, more: int, cards_each: int, cost_each: float) -> int:
        """Return how many of so many replicas more (or fewer, if negative) still fit."""
        count = abs(more)
        if self.cards is not None and cards_each > 0:
            count = min(count, self.cards // cards_each)
        if self.cost_per_hour is not None and more > 0 and cost_each > 0:
            count = min(count, int((self.cost_per_hour + _SLACK) / cost_each))
        return count if more > 0 else -count

    def spend(self, more: int, cards_each: int, cost_each: float) -> None:
        if self.cards is not None:
            self.cards -= abs(more) * cards_each
        if self.cost_per_hour is not None:
            self.cost_per_hour -= max(0, more) * cost_each


def within_limits(
    decisions: Mapping[str, ServerDecision],
    memories: Mapping[str, ServerMemory],
    before: Memory,
    situation: Situation,
) -> tuple[dict[str, ServerDecision], dict[str, ServerMemory], tuple[str, ...]]:
    """Return the decisions as far as they fit the limits of a cycle; what does not fit waits.

    Growing goes before shrinking, and important servers before others. A change that is too large
    is made in part, so that one larger than the limits comes about over several cycles.
    """
    stability = situation.settings.stability
    if stability.max_cards_change is None and stability.max_cost_change_per_hour is None:
        return dict(decisions), dict(memories), ()
    priorities = situation.fleet.priorities
    left = _Left(stability.max_cards_change, stability.max_cost_change_per_hour)
    decided, remembered = dict(decisions), dict(memories)
    waiting = []
    for name in sorted(
        decisions,
        key=lambda each: (
            decisions[each].direction is Direction.DOWN,
            priorities.get(each, 0),
            each,
        ),
    ):
        decision = decisions[name]
        targets = _fitting(decision.targets, left, situation)
        if targets == decision.targets:
            continue
        waiting.append(name)
        decided[name] = _cut(decision, targets, _never(decision.targets, situation))
        if not targets:
            remembered[name] = replace(
                before.server(name),
                wanted=memories[name].wanted,
                watched_since=memories[name].watched_since,
            )
    notes = (f"the limits of a cycle let wait: {', '.join(waiting)}",) if waiting else ()
    return decided, remembered, notes


def _fitting(
    targets: tuple[VariantTarget, ...], left: _Left, situation: Situation
) -> tuple[VariantTarget, ...]:
    """Return the targets as far as they fit, those that grow first, in the order given."""
    variants = {each.ref: each for each in situation.cluster.variants} if situation.cluster else {}
    found: dict[WorkloadRef, VariantTarget] = {}
    for target in sorted(targets, key=lambda each: _more(each, variants) < 0):
        variant = variants.get(target.ref)
        more = _more(target, variants)
        cards = (variant.cards_per_replica or 0) if variant else 0
        cost = _cost_of_one(variant, situation)
        fits = left.fitting(more, cards, cost)
        left.spend(fits, cards, cost)
        if fits or more == 0:
            found[target.ref] = replace(target, replicas=target.replicas - more + fits)
    return tuple(found[each.ref] for each in targets if each.ref in found)


def _more(target: VariantTarget, variants: Mapping[WorkloadRef, VariantState]) -> int:
    variant = variants.get(target.ref)
    return 0 if variant is None else target.replicas - variant.replicas_wanted


def _cost_of_one(variant: VariantState | None, situation: Situation) -> float:
    """Return what a replica costs per hour; 0 where the fleet does not tell it."""
    if variant is None:
        return 0.0
    accelerator = next(
        (each for each in situation.fleet.accelerators if each.name == variant.accelerator), None
    )
    if accelerator is None or not accelerator.cards:
        return 0.0
    return (variant.cards_per_replica or 0) / accelerator.cards * accelerator.cost_per_hour


def _never(targets: tuple[VariantTarget, ...], situation: Situation) -> str:
    """Return which limit no cycle keeps with a single replica, in words; empty where all can."""
    stability = situation.settings.stability
    cards_limit, cost_limit = stability.max_cards_change, stability.max_cost_change_per_hour
    variants = {each.ref: each for each in situation.cluster.variants} if situation.cluster else {}
    for target in targets:
        variant, more = variants.get(target.ref), _more(target, variants)
        cards = (variant.cards_per_replica or 0) if variant else 0
        cost = _cost_of_one(variant, situation)
        if more and cards_limit is not None and cards > cards_limit:
            limit = f"max_cards_change {cards_limit} is less than the {cards} cards"
            return f"{limit} of one replica: raise it"
        if more > 0 and cost_limit is not None and cost > cost_limit + _SLACK:
            limit = f"max_cost_change_per_hour {cost_limit:g} is less than the {cost:g}"
            return f"{limit} of one replica: raise it"
    return ""


def _cut(
    decision: ServerDecision, targets: tuple[VariantTarget, ...], never: str
) -> ServerDecision:
    words = never or "the rest of its change waits: a cycle may change no more"
    return replace(
        decision,
        direction=decision.direction if targets else Direction.HOLD,
        targets=targets,
        held=(*decision.held, HoldReason.CHANGE_LIMIT),
        reason=f"{decision.reason}; {words}" if decision.reason else words,
    )
