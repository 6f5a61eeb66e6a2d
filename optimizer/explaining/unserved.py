"""What would serve each server that a plan does not serve: all searches, within a time limit."""

from __future__ import annotations

from collections.abc import Collection

from optimizer.explaining.progress import Progress
from optimizer.explaining.reach import OutOfTimeError, Reach
from optimizer.explaining.situation import Situation
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.reasons import UnplacedReason
from stoker.domain.unplaced_explanation import (
    FittingLoad,
    Purchase,
    ReachableTargets,
    Scope,
    UnplacedExplanation,
)

_AT_ONCE = 8
"""Servers whose searches go side by side: the time limit is looked at between them."""
_SHARE, _MOST = 0.5, 0.7
"""Shares of the time, of large fleets and others, that may be over before the rest is left open."""


def explain_unserved(
    situation: Situation,
    plan: Plan,
    asked: Collection[str] | None,
    progress: Progress,
    *,
    predictable: bool,
) -> tuple[UnplacedExplanation, ...]:
    """Return what would serve each server that is not served in full; searches go side by side.

    Args:
        situation: The plan with its problem.
        plan: The plan.
        asked: Servers to search for; None for all.
        progress: Is told of every step, and tells whether there is time.
        predictable: Whether predictions of edited servers can be made.
    """
    index = {name: server for server, name in enumerate(situation.table.servers)}
    wanted = [
        item.server
        for item in plan.unplaced
        if item.reason is not UnplacedReason.LOAD_UNKNOWN
        and plan.status is not PlanStatus.TIME_LIMIT
        and (asked is None or item.server in asked)
    ]
    targets: dict[str, tuple[ReachableTargets, ...]] = {}
    loads: dict[str, tuple[FittingLoad, ...]] = {}
    purchases: dict[str, tuple[Purchase, ...]] = {}
    problem = situation.problem
    scopes = tuple(Scope) if problem.counts_cards else (Scope.REPLANNED,)
    at_once, share = (_AT_ONCE, _MOST) if situation.large is None else (1, _SHARE)
    reach = Reach(situation, lambda: progress.past(share))
    for start in range(0, len(wanted) if predictable else 0, at_once):
        names = wanted[start : start + at_once]
        try:
            found = reach.nearest([index[name] for name in names], scopes)
        except OutOfTimeError:
            progress.skip(len(names))
            continue
        for name in names:
            targets[name], loads[name] = found[index[name]]
        progress.step(len(names))
    for name in wanted:
        progress.step()
        if not problem.fleet.is_plain or problem.settings.placement:
            continue
        try:
            purchases[name] = reach.purchases(index[name])
        except OutOfTimeError:
            progress.skip()
    return tuple(
        UnplacedExplanation(
            server=item.server,
            reason=item.reason,
            detail=item.detail,
            remedy=item.remedy,
            reachable=targets.get(item.server, ()),
            loads=loads.get(item.server, ()),
            purchases=purchases.get(item.server, ()),
        )
        for item in plan.unplaced
    )
