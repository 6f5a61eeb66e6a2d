"""From one workload of a server to another: the new replicas are ready before the old ones go.

Each cycle decides the next step from what is seen, so that a loop that crashed, or another one that
took over, goes on where the cluster stands. What only memory knows (how many replicas there were,
since when a step is watched) makes it faster; without it the careful way is taken: the old replicas
stay until all new ones are ready.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from controller.judging import Health, breach, stuck, why_not_ready
from controller.memory import Transition
from stoker.domain.control.choices import TransitionKind
from stoker.domain.control.cluster import ReplicaPhase, VariantState
from stoker.domain.control.settings import TransitionSettings

ABORT = "stoker.dev/abort-transition"
"""Annotation on either workload that takes a transition back."""

_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Step:
    """What the next step asks for.

    Attributes:
        source_replicas: Replicas of the workload that is left.
        target_replicas: Replicas of the workload that is gone to.
        transition: The transition after this step; None where it is over.
        reason: What it does or waits for, in words.
        done: Whether it is over, and how: at the target (True) or back (False); None while it goes
            on.
    """

    source_replicas: int
    target_replicas: int
    transition: Transition | None
    reason: str
    done: bool | None = None


@dataclass(frozen=True, slots=True)
class Means:
    """What a transition may use, and what it has to carry.

    Attributes:
        wanted: Replicas that the target is to have in the end; at least 1.
        room: Replicas more of the target that free cards allow; None where unknown, which allows
            none beyond those asked for already.
        wanted_back: Replicas that the plan asks for on the source; 0 where it plans none there.
        room_back: Replicas more of the source that free cards allow; None where unknown.
        resting: Nothing may get smaller now: the load is told in part, or it is a quiet hour.
    """

    wanted: int
    room: int | None = None
    wanted_back: int = 0
    room_back: int | None = 0
    resting: bool = False


def next_step(
    transition: Transition,
    source: VariantState,
    target: VariantState,
    means: Means,
    health: Health,
    settings: TransitionSettings,
    at: float,
) -> Step:
    """Return the next step of a transition.

    Args:
        transition: Where it stands, as far as it is remembered.
        source: The workload that is left.
        target: The workload that is gone to.
        means: What it may use.
        health: How the server does now.
        settings: How it moves.
        at: Now, in seconds since the epoch.
    """
    asked_back = "true" in (source.annotations.get(ABORT), target.annotations.get(ABORT))
    if not transition.back:
        failure = "it was asked to go back" if asked_back else ""
        failure = failure or stuck(transition, target, settings, at)
        failure = failure or breach(transition, health, settings)
        if failure:
            transition = replace(transition, back=True, reason=failure)
    if transition.back:
        return _back(transition, source, target, means)
    return _forth(transition, source, target, means, settings, at)


def _forth(
    transition: Transition,
    source: VariantState,
    target: VariantState,
    means: Means,
    settings: TransitionSettings,
    at: float,
) -> Step:
    wanted = means.wanted
    ready = min(wanted, target.count(ReplicaPhase.READY))
    goal, transition, watching = _goal(transition, source, ready, wanted, settings, at)
    by_cards = target.replicas_wanted + max(0, means.room or 0)
    most = by_cards
    if settings.surge_replicas is not None:
        larger = max(wanted, transition.replicas_before or source.replicas_wanted)
        surge = larger + settings.surge_replicas - source.replicas_wanted
        most = min(most, max(target.replicas_wanted, surge))
    replicas = max(target.replicas_wanted, min(goal, most))
    lacks = replicas < goal
    if not lacks or replicas > target.replicas_wanted:
        transition = replace(transition, waiting_since=None)
    elif transition.waiting_since is None:
        transition = replace(transition, waiting_since=at)
    stay = _staying(transition, source, ready, means, settings, lacks=lacks)
    if means.resting or (watching and ready >= wanted):
        # The last old ones go when the new ones have been watched doing all of the work.
        stay = max(stay, source.replicas_wanted)
    if ready >= wanted and not watching and stay == 0:
        return _over(transition, source, max(replicas, wanted), wanted, settings, at)
    if lacks and by_cards < goal:
        waits = f"{goal - replicas} replicas wait for free cards"
    elif lacks:
        waits = f"{goal - replicas} replicas wait for others to go"
    elif ready < goal:
        waits = f"{ready} of {goal} new replicas are ready{why_not_ready(target)}"
    elif ready >= wanted and means.resting:
        waits = "the old ones stay while nothing may get smaller"
    else:
        waits = watching
    return Step(stay, replicas, transition, waits or f"{ready} of {wanted} replicas moved")


def _over(
    transition: Transition,
    source: VariantState,
    replicas: int,
    wanted: int,
    settings: TransitionSettings,
    at: float,
) -> Step:
    """Return the step that lets the last old replicas go, or waits until they have finished."""
    if source.replicas_wanted > 0:
        words = f"all {wanted} new replicas are ready: the old ones go"
        return Step(0, replicas, transition, words)
    draining = source.count(ReplicaPhase.TERMINATING)
    since = at if transition.draining_since is None else transition.draining_since
    if draining and at - since < settings.drain_s:
        words = f"{draining} old replicas finish their requests"
        return Step(0, replicas, replace(transition, draining_since=since), words)
    return Step(0, replicas, None, "moved", done=True)


def _goal(
    transition: Transition,
    source: VariantState,
    ready: int,
    wanted: int,
    settings: TransitionSettings,
    at: float,
) -> tuple[int, Transition, str]:
    """Return how many new replicas there may be now, and what is watched until there are more.

    Load that grew since a canary began goes to the new ones: it cannot wait for them to be watched.
    """
    if settings.kind is not TransitionKind.CANARY:
        return wanted, transition, ""
    steps = settings.canary_steps
    index = min(transition.step, len(steps) - 1)
    goal = max(1, math.ceil(steps[index] * wanted - _SLACK))
    before, begun = transition.replicas_before, transition.wanted_before
    if before and begun is not None and wanted > begun:
        goal = max(goal, wanted - int(source.replicas_wanted * begun / before + _SLACK))
    if ready < goal:
        return goal, replace(transition, step_at=None), ""
    if transition.step_at is None:
        transition = replace(transition, step_at=at)
    watched_s = at - (transition.step_at if transition.step_at is not None else at)
    if watched_s < settings.canary_hold_s:
        left = settings.canary_hold_s - watched_s
        return goal, transition, f"{goal} of {wanted} moved and watched for {left:.0f} s more"
    if index + 1 < len(steps):
        further = replace(transition, step=index + 1, step_at=None)
        return _goal(further, source, ready, wanted, settings, at)
    return wanted, transition, ""


def _staying(
    transition: Transition,
    source: VariantState,
    ready: int,
    means: Means,
    settings: TransitionSettings,
    *,
    lacks: bool,
) -> int:
    """Return how many old replicas stay: never fewer than the new ones leave to be carried.

    Where load grew since the move began and the new ones wait for cards, old ones come back.
    """
    wanted = means.wanted
    if ready >= wanted:
        return 0
    before = transition.replicas_before
    if before is None:
        return source.replicas_wanted
    grown = max(1.0, wanted / (transition.wanted_before or wanted))
    needed = min(before, math.ceil(before * grown * (1 - ready / wanted) - _SLACK))
    if needed > source.replicas_wanted:
        more = max(0, means.room_back or 0) if lacks else 0
        return min(needed, source.replicas_wanted + more)
    return source.replicas_wanted if settings.kind is TransitionKind.BLUE_GREEN else needed


def _back(transition: Transition, source: VariantState, target: VariantState, means: Means) -> Step:
    """Return the step back: new replicas go only as old ones are ready again to carry their part.

    How many old ones that takes is for the plan to say, since load may have grown; until it has
    planned the server there, all new replicas that are ready stay. Those that are not carry
    nothing, and go at once.
    """
    goal = max(source.replicas_wanted, transition.replicas_before or 0, means.wanted_back)
    ready = min(goal, source.count(ReplicaPhase.READY))
    room = goal if means.room_back is None else max(0, means.room_back)
    old = min(goal, source.replicas_wanted + room)
    carrying = min(target.replicas_wanted, target.count(ReplicaPhase.READY))
    if ready >= goal and means.wanted_back > 0:
        new = 0
    elif means.wanted_back == 0 or transition.wanted_before is None:
        new = carrying
    else:
        whole = max(transition.wanted_before, means.wanted)
        new = min(carrying, math.ceil(whole * (1 - ready / goal) - _SLACK))
    if means.resting:
        new = carrying
    if ready < goal or new > 0:
        return Step(old, new, transition, f"going back: {transition.reason}")
    words = f"went back: {transition.reason}"
    if target.replicas_wanted > 0:
        return Step(old, 0, transition, words)
    return Step(old, 0, None, words, done=False)
