"""Batch limits that were refused: planned without for a while, and asked for again then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from controller.memory import Memory, ServerMemory
from stoker.domain.control.changes import ChangeOutcome, ChangeResult, ServerDecision
from stoker.domain.control.settings import ControlSettings, StabilitySettings
from stoker.domain.fleet import Fleet

_SHORTEST_S = 600.0
"""A refusal mostly stands until somebody hands over a field or grants a right."""

_TAKEN = (
    ChangeOutcome.APPLIED,
    ChangeOutcome.UNCHANGED,
    ChangeOutcome.EMITTED,
    ChangeOutcome.DRY_RUN,
)


def is_refused(memory: ServerMemory, at: float, stability: StabilitySettings) -> bool:
    """Return whether the batch limit of a server was refused so lately that it stays as it is."""
    return _left_s(memory, at, stability) > 0


def with_refusal(
    memory: ServerMemory, decision: ServerDecision, results: Sequence[ChangeResult], at: float
) -> ServerMemory:
    """Return the memory of a server whose changes were not all made.

    Where replicas stay or go down the limit is written first, and is what was refused; where they
    grow they are.

    Args:
        memory: What is remembered of it.
        decision: What was decided of it.
        results: What came of the changes of all servers.
        at: Now, in seconds since the epoch.
    """
    own = {target.ref for target in decision.targets}
    refused = any(
        each.target.ref in own
        and each.target.max_batch
        and each.target.replicas <= (each.target.replicas_before or 0)
        and each.outcome not in _TAKEN
        for each in results
    )
    return replace(memory, limit_refused_at=at) if refused else memory


def refused_words(
    fleet: Fleet, memory: Memory, at: float, settings: ControlSettings
) -> tuple[str, ...]:
    """Return which servers are planned with the limits of their pods for a refusal, in words."""
    if not settings.cluster.allow_batch_limit:
        return ()
    left = (
        (each.name, _left_s(memory.server(each.name), at, settings.stability))
        for each in fleet.servers
    )
    return tuple(
        f"{name}: its batch limit was not taken: replicas are planned with the one that its pods "
        f"have, and another is asked for again in {seconds:.0f} s"
        for name, seconds in left
        if seconds > 0
    )


def _left_s(memory: ServerMemory, at: float, stability: StabilitySettings) -> float:
    if memory.limit_refused_at is None:
        return 0.0
    wait_s = max(_SHORTEST_S, stability.cooldown_move_s)
    return max(0.0, memory.limit_refused_at + wait_s - at)
