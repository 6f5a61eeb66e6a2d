"""What keeps servers from being decided on as ever, and the news of it: told once, and its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.proposals import JsonObject
from stoker.domain.control.changes import (
    ChangeOutcome,
    ChangeResult,
    Decisions,
    HoldReason,
    Notice,
)
from stoker.domain.control.cluster import ClusterState, ReplicaPhase, VariantState, WorkloadRef

FAULTS = frozenset(
    {
        HoldReason.LOAD_UNKNOWN,
        HoldReason.STATE_UNKNOWN,
        HoldReason.PARTIAL_REPORTS,
        HoldReason.NO_PLAN,
        HoldReason.NO_PROFILE,
        HoldReason.NO_CAPACITY,
    }
)
"""What no healthy server is held by; the others are the loop's own calm, or somebody's wish."""

_UNSCHEDULED, _CARDS_UNKNOWN = "unscheduled", "cards_unknown"
_PLACING_S = 30.0
"""Time that a scheduler gets before its silence is told."""


@dataclass(frozen=True, slots=True)
class Degraded:
    """A server that something keeps from being decided on as ever.

    Attributes:
        reasons: What keeps it.
        words: The same in words.
        since: Since when, in seconds since the epoch.
    """

    reasons: frozenset[str]
    words: str
    since: float


def unscheduled(cluster: ClusterState | None, at: float) -> dict[str, str]:
    """Return the servers whose new replicas find no node, with the cluster's words."""
    found = {}
    for variant in () if cluster is None else cluster.variants:
        waiting = [
            each
            for each in variant.replicas
            if each.phase is ReplicaPhase.PENDING
            and not each.node
            and (each.reason or (each.created_at is not None and at - each.created_at > _PLACING_S))
        ]
        if waiting:
            words = next((each.reason for each in waiting if each.reason), "no word from it")
            count = f"{len(waiting)} replica{'s' if len(waiting) > 1 else ''}"
            found[variant.server] = f"{count} of {variant.ref} found no node: {words}"
    return found


def degraded_now(
    decisions: Decisions,
    cluster: ClusterState | None,
    homeless: Mapping[str, str],
    before: Mapping[str, Degraded],
    at: float,
) -> dict[str, Degraded]:
    """Return the servers that are degraded, by name.

    Args:
        decisions: What was decided.
        cluster: What it was decided on.
        homeless: What `unscheduled` told.
        before: Those that were degraded before.
        at: Now, in seconds since the epoch.
    """
    found = {}
    no_cards = ""
    if cluster is not None and cluster.cards is None:
        no_cards = cluster.cards_problem or "cards are unknown"
    for name, decision in decisions.servers.items():
        reasons = {each.value for each in decision.held if each in FAULTS}
        words = [decision.reason] if reasons and decision.reason else []
        if name in homeless:
            reasons.add(_UNSCHEDULED)
            words.append(homeless[name])
        if no_cards:
            reasons.add(_CARDS_UNKNOWN)
            words.append(f"{no_cards}; the cards of the fleet document count")
        if reasons:
            since = before[name].since if name in before else at
            found[name] = Degraded(frozenset(reasons), "; ".join(words), since)
    return found


def powerless(
    decisions: Decisions, why: str, before: Mapping[str, Degraded], at: float
) -> dict[str, Degraded]:
    """Return all servers as degraded: this loop cannot take part in the election."""
    reasons = frozenset({HoldReason.NOT_LEADER.value})
    return {
        name: Degraded(reasons, why, before[name].since if name in before else at)
        for name in decisions.servers
    }


def news(
    before: Mapping[str, Degraded],
    now: Mapping[str, Degraded],
    cluster: ClusterState | None,
    at: float,
) -> tuple[Notice, ...]:
    """Return what changed since it was last told, a notice for each workload that runs."""
    notices = []
    for name in sorted(before.keys() | now.keys()):
        was, becomes = before.get(name), now.get(name)
        if becomes is not None and (was is None or was.reasons != becomes.reasons):
            reason, well = "Degraded", False
            words = f"{name}: {', '.join(sorted(becomes.reasons))}: {becomes.words}"
        elif was is not None and becomes is None:
            reason, well = "Recovered", True
            lasted = f"{', '.join(sorted(was.reasons))} for {at - was.since:.0f} s"
            words = f"{name}: decided on as ever, after {lasted}: {was.words}"
        else:
            continue
        notices += [Notice(each.ref, reason, words, well) for each in _of(name, cluster)]
    return tuple(notices)


def emitted(decisions: Decisions, results: Iterable[ChangeResult]) -> tuple[Notice, ...]:
    """Return a notice for each workload that somebody else is to bring to another size."""
    by_ref = {
        target.ref: decision
        for decision in decisions.servers.values()
        for target in decision.targets
    }
    notices = []
    for result in results:
        if result.outcome is not ChangeOutcome.EMITTED:
            continue
        words = f"{result.replicas_before} to {result.target.replicas} replicas are emitted"
        decision = by_ref.get(result.target.ref)
        if decision is not None:
            words = f"{decision.server}: {words}; the plan asks for {decision.wanted_replicas}"
            words += f"; {decision.reason}" if decision.reason else ""
        notices.append(Notice(result.target.ref, "Emitted", words, well=True))
    return tuple(notices)


def cut_off(record: JsonObject, cluster: ClusterState | None) -> tuple[Notice, ...]:
    """Return the notices of a cycle that was cut off between plan and act."""
    refs: dict[str, WorkloadRef] = {}
    for variant in () if cluster is None else cluster.variants:
        refs[str(variant.ref)] = variant.ref
    notices = []
    for server in record["servers"].values():
        for target in (server["decision"] or {}).get("targets", ()):
            ref = refs.get(target["workload"])
            if ref is not None:
                words = f"{target['replicas_before']} to {target['replicas']} replicas"
                words = f"{cut_off_words(record)}; it had decided on {words}"
                notices.append(Notice(ref, "CutOff", words))
    return tuple(notices)


def cut_off_words(record: JsonObject) -> str:
    """Return what is told of a cycle that was cut off between plan and act."""
    return (
        f"cycle {record['cycle']} was cut off between plan and act; what it did is seen in the "
        "cluster, and the rest is decided anew"
    )


def _of(server: str, cluster: ClusterState | None) -> list[VariantState]:
    """Return the workloads of a server that run, or all where none does."""
    own = [each for each in (cluster.variants if cluster else ()) if each.server == server]
    return [each for each in own if each.replicas_wanted > 0 or each.replicas] or own
