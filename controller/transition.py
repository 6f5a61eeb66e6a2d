"""From one workload of a server to another: the new replicas are ready before the old ones go.

Each cycle decides the next step from what is seen, so that a loop that crashed, or another one that
took over, goes on where the cluster stands. What only memory knows (how many replicas there were,
since when a step is watched) makes it faster; without it the careful way is taken: the old replicas
stay until all new ones are ready.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from controller.memory import Transition
from stoker.domain.control.cluster import ReplicaPhase, VariantState
from stoker.domain.control.settings import TransitionKind, TransitionSettings

ABORT = "stoker.dev/abort-transition"
"""Annotation on either workload that takes a transition back."""

_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Health:
    """How the server does while it moves.

    Attributes:
        worst: Largest latency over its target; None where unknown.
        error_rate: Share of requests that failed; None where unknown.
    """

    worst: float | None = None
    error_rate: float | None = None


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


_MOST_ERRORS = 0.05


def next_step(
    transition: Transition,
    source: VariantState,
    target: VariantState,
    wanted: int,
    room: int | None,
    health: Health,
    settings: TransitionSettings,
    at: float,
) -> Step:
    """Return the next step of a transition.

    Args:
        transition: Where it stands, as far as it is remembered.
        source: The workload that is left.
        target: The workload that is gone to.
        wanted: Replicas that the target is to have in the end; at least 1.
        room: Replicas more of the target that free cards allow; None where unknown, which allows
            none beyond those asked for already.
        health: How the server does now.
        settings: How it moves.
        at: Now, in seconds since the epoch.
    """
    asked_back = "true" in (source.annotations.get(ABORT), target.annotations.get(ABORT))
    if not transition.back:
        failure = "it was asked to go back" if asked_back else ""
        failure = failure or _stuck(target, settings, at) or _breach(transition, health, settings)
        if failure:
            transition = replace(transition, back=True, reason=failure)
    if transition.back:
        return _back(transition, source, target)
    return _forth(transition, source, target, wanted, room, settings, at)


def _forth(
    transition: Transition,
    source: VariantState,
    target: VariantState,
    wanted: int,
    room: int | None,
    settings: TransitionSettings,
    at: float,
) -> Step:
    ready = min(wanted, target.count(ReplicaPhase.READY))
    goal, transition, watching = _goal(transition, ready, wanted, settings, at)
    most = target.replicas_wanted + max(0, room or 0)
    if settings.surge_replicas is not None:
        larger = max(wanted, transition.replicas_before or source.replicas_wanted)
        most = min(
            most,
            max(target.replicas_wanted, larger + settings.surge_replicas - source.replicas_wanted),
        )
    replicas = max(target.replicas_wanted, min(goal, most))
    if replicas < goal:
        waits = f"{goal - replicas} replicas wait for free cards"
    elif ready < goal:
        waits = f"{ready} of {goal} new replicas are ready"
    else:
        waits = watching
    stay = _staying(transition, source, ready, wanted, settings)
    if ready >= wanted and not watching and stay == 0:
        words = f"all {wanted} new replicas are ready: the old ones go"
        if source.replicas_wanted == 0:
            return Step(0, max(replicas, wanted), None, "moved", done=True)
        return Step(0, max(replicas, wanted), transition, words)
    return Step(stay, replicas, transition, waits or f"{ready} of {wanted} replicas moved")


def _goal(
    transition: Transition, ready: int, wanted: int, settings: TransitionSettings, at: float
) -> tuple[int, Transition, str]:
    """Return how many new replicas there may be now, and what is watched until there are more."""
    if settings.kind is not TransitionKind.CANARY:
        return wanted, transition, ""
    steps = settings.canary_steps
    index = min(transition.step, len(steps) - 1)
    goal = max(1, math.ceil(steps[index] * wanted - _SLACK))
    if ready < goal:
        return goal, replace(transition, step_at=None), ""
    if transition.step_at is None:
        transition = replace(transition, step_at=at)
    watched_s = at - (transition.step_at if transition.step_at is not None else at)
    if watched_s < settings.canary_hold_s:
        left = settings.canary_hold_s - watched_s
        return goal, transition, f"{goal} of {wanted} moved and watched for {left:.0f} s more"
    if index + 1 < len(steps):
        return _goal(replace(transition, step=index + 1, step_at=None), ready, wanted, settings, at)
    return wanted, transition, ""


def _staying(
    transition: Transition,
    source: VariantState,
    ready: int,
    wanted: int,
    settings: TransitionSettings,
) -> int:
    """Return how many old replicas stay: never fewer than the new ones leave to be carried."""
    if ready >= wanted:
        return 0
    before = transition.replicas_before
    if before is None or settings.kind is TransitionKind.BLUE_GREEN:
        return source.replicas_wanted
    return min(source.replicas_wanted, math.ceil(before * (1 - ready / wanted) - _SLACK))


def _back(transition: Transition, source: VariantState, target: VariantState) -> Step:
    """Return the step back: the old replicas are ready again before the new ones go."""
    before = transition.replicas_before
    goal = max(source.replicas_wanted, source.replicas_wanted if before is None else before)
    if source.count(ReplicaPhase.READY) < goal:
        return Step(goal, target.replicas_wanted, transition, f"going back: {transition.reason}")
    if target.replicas_wanted > 0:
        return Step(goal, 0, transition, f"went back: {transition.reason}")
    return Step(goal, 0, None, f"went back: {transition.reason}", done=False)


def _stuck(target: VariantState, settings: TransitionSettings, at: float) -> str:
    """Return why new replicas will not come; empty while they may."""
    waiting = [
        replica
        for replica in target.replicas
        if replica.phase in (ReplicaPhase.PENDING, ReplicaPhase.STARTING)
        and replica.created_at is not None
        and at - replica.created_at > settings.ready_timeout_s
    ]
    if not waiting:
        return ""
    words = next((replica.reason for replica in waiting if replica.reason), "")
    told = f": {words}" if words else ""
    return f"{len(waiting)} new replicas were not ready after {settings.ready_timeout_s:g} s{told}"


def _breach(transition: Transition, health: Health, settings: TransitionSettings) -> str:
    """Return what is wrong with a canary; empty for nothing, or nothing that is known."""
    if settings.kind is not TransitionKind.CANARY or transition.step_at is None:
        return ""
    if health.worst is not None and health.worst > settings.breach_factor:
        return f"a latency is {health.worst:.2f} of its target"
    if health.error_rate is not None and health.error_rate > _MOST_ERRORS:
        return f"{health.error_rate:.1%} of the requests fail"
    return ""
