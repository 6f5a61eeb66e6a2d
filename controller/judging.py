"""What speaks against a move: new replicas that do not get ready, do badly, or fail."""

from __future__ import annotations

from dataclasses import dataclass

from controller.memory import Transition
from stoker.domain.control.choices import TransitionKind
from stoker.domain.control.cluster import ReplicaPhase, VariantState
from stoker.domain.control.settings import TransitionSettings

_MOST_ERRORS = 0.05
"""Share of failing requests from which a move is taken back."""


@dataclass(frozen=True, slots=True)
class Health:
    """How the server does while it moves.

    Attributes:
        worst: Largest latency over its target, of the new replicas where they tell; None where
            unknown.
        error_rate: Share of requests that failed, likewise; None where unknown.
        new_error_rate: Share of the requests to new replicas that failed; None where unknown.
    """

    worst: float | None = None
    error_rate: float | None = None
    new_error_rate: float | None = None


def stuck(
    transition: Transition, target: VariantState, settings: TransitionSettings, at: float
) -> str:
    """Return why new replicas will not come; empty while they may."""
    since = transition.waiting_since
    if since is not None and at - since > settings.ready_timeout_s:
        return f"more new replicas waited for free cards for {at - since:.0f} s"
    waiting = [
        replica
        for replica in target.replicas
        if replica.phase in (ReplicaPhase.PENDING, ReplicaPhase.STARTING)
        and replica.created_at is not None
        and at - replica.created_at > settings.ready_timeout_s
    ]
    if not waiting:
        return ""
    told = why_not_ready(target)
    return f"{len(waiting)} new replicas were not ready after {settings.ready_timeout_s:g} s{told}"


def why_not_ready(target: VariantState) -> str:
    """Return what the scheduler or the kubelet says of replicas that are not ready."""
    waiting = (ReplicaPhase.PENDING, ReplicaPhase.STARTING)
    told = (each.reason for each in target.replicas if each.phase in waiting)
    words = next((reason for reason in told if reason), "")
    return f": {words}" if words else ""


def breach(transition: Transition, health: Health, settings: TransitionSettings) -> str:
    """Return what is wrong with the new replicas; empty for nothing, or nothing that is known.

    Replicas that fail are wrong however the server moves. Latencies are judged in a canary alone:
    otherwise they may be what the move is to mend.
    """
    if health.new_error_rate is not None and health.new_error_rate > _MOST_ERRORS:
        return f"{health.new_error_rate:.1%} of the requests to the new replicas fail"
    if settings.kind is not TransitionKind.CANARY or transition.step_at is None:
        return ""
    if health.worst is not None and health.worst > settings.breach_factor:
        return f"a latency is {health.worst:.2f} of its target"
    if health.error_rate is not None and health.error_rate > _MOST_ERRORS:
        return f"{health.error_rate:.1%} of the requests fail"
    return ""
