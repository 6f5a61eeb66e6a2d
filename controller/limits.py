"""What one cycle may change at most, over the whole fleet: the most important servers first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.decide import Situation
from controller.memory import Memory, ServerMemory
from stoker.domain.control.changes import Direction, HoldReason, ServerDecision

_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class _Weight:
    """What a decision changes: cards added and taken, cost per hour added."""

    cards: int
    cost_per_hour: float


def within_limits(
    decisions: Mapping[str, ServerDecision],
    memories: Mapping[str, ServerMemory],
    before: Memory,
    situation: Situation,
) -> tuple[dict[str, ServerDecision], dict[str, ServerMemory], tuple[str, ...]]:
    """Return the decisions that fit the limits of a cycle; the others wait, and say so.

    Growing goes before shrinking, and important servers before others; a decision that does not
    fit lets a smaller one of a later server through.
    """
    stability = situation.settings.stability
    if stability.max_cards_change is None and stability.max_cost_change_per_hour is None:
        return dict(decisions), dict(memories), ()
    priorities = situation.fleet.priorities
    cards_left = stability.max_cards_change
    cost_left = stability.max_cost_change_per_hour
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
        weight = _weight(decision, situation)
        if not decision.targets:
            continue
        fits = (cards_left is None or weight.cards <= cards_left) and (
            cost_left is None
            or weight.cost_per_hour <= 0
            or weight.cost_per_hour <= cost_left + _SLACK
        )
        if fits:
            cards_left = None if cards_left is None else cards_left - weight.cards
            if cost_left is not None:
                cost_left -= max(0.0, weight.cost_per_hour)
            continue
        waiting.append(name)
        decided[name] = replace(
            decision,
            direction=Direction.HOLD,
            targets=(),
            held=(*decision.held, HoldReason.CHANGE_LIMIT),
            reason=f"its change of {weight.cards} cards waits: a cycle may change no more",
        )
        remembered[name] = replace(
            before.server(name),
            wanted=memories[name].wanted,
            watched_since=memories[name].watched_since,
        )
    notes = (f"the limits of a cycle let wait: {', '.join(waiting)}",) if waiting else ()
    return decided, remembered, notes


def _weight(decision: ServerDecision, situation: Situation) -> _Weight:
    if situation.cluster is None:
        return _Weight(0, 0.0)
    variants = {variant.ref: variant for variant in situation.cluster.variants}
    prices = {each.name: each for each in situation.fleet.accelerators}
    cards, cost = 0, 0.0
    for target in decision.targets:
        variant = variants.get(target.ref)
        if variant is None:
            continue
        more = target.replicas - variant.replicas_wanted
        held = variant.cards_per_replica or 0
        cards += abs(more) * held
        accelerator = prices.get(variant.accelerator)
        if accelerator is not None and accelerator.cards:
            cost += more * held / accelerator.cards * accelerator.cost_per_hour
    return _Weight(cards, cost)
