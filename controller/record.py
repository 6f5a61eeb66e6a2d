"""The record of a cycle: everything it saw, thought, decided and did, as plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from controller.correction.applying import ProfileReport
from controller.cycle import CycleResult
from controller.degraded import Degraded
from controller.problems import Trouble, kinds_of, troubles_of
from controller.proposals import JsonObject, proposal_of, waiting_decisions
from controller.recorded_cluster import change_of, cluster_of
from controller.recorded_state import batch_of, degraded_of, startup_of_record, tell_desired
from stoker.domain.control.changes import ChangeResult, Decisions, HoldReason
from stoker.domain.control.choices import Mode
from stoker.domain.control.observation import ServerObservation, TokenHistogram
from stoker.domain.control.signals import Signal
from stoker.domain.plan import Plan

__all__ = ["VERSION", "CycleRecord", "JsonObject", "record_of"]

VERSION = 1


@dataclass(frozen=True, slots=True)
class CycleRecord:
    """One cycle, as it is written down.

    Attributes:
        cycle: Number of the cycle, from 1.
        at: When it began, in seconds since the epoch.
        mode: What the loop was allowed to do.
        leader: Whether it was the one that may act.
        fleet_version: Version of the fleet document.
        took_s: How long it took; None while it is not over.
        document: The whole record.
    """

    cycle: int
    at: float
    mode: Mode
    leader: bool
    fleet_version: str
    took_s: float | None
    document: JsonObject = field(default_factory=dict)


def record_of(
    number: int,
    result: CycleResult,
    results: Sequence[ChangeResult],
    mode: Mode,
    *,
    leader: bool,
    fleet_version: str,
    took_s: float | None,
    troubles: Sequence[Trouble] = (),
    degraded: Mapping[str, Degraded] | None = None,
    stages: Mapping[str, float] | None = None,
    paused: bool = False,
    dry_run: bool = False,
) -> CycleRecord:
    """Return the record of a cycle.

    Args:
        number: Number of the cycle, from 1.
        result: What it came to.
        results: What was done.
        mode: What the loop was allowed to do.
        leader: Whether it was the one that may act.
        fleet_version: Version of the documents.
        took_s: How long it took; None while it is not over.
        troubles: What went wrong around it.
        degraded: What keeps servers from being decided on as ever, by name.
        stages: Seconds of its parts, by name.
        paused: Whether somebody had paused the loop.
        dry_run: Whether changes were only tried.
    """
    at = result.observation.at
    told = (*troubles, *troubles_of(result))
    document: JsonObject = {
        "version": VERSION,
        "cycle": number,
        "at": at,
        "mode": mode.value,
        "leader": leader,
        "paused": paused,
        "dry_run": dry_run,
        "fleet_version": fleet_version,
        "took_s": took_s,
        "stages_s": {name: round(seconds, 3) for name, seconds in (stages or {}).items()},
        "problems": [each.words for each in told],
        "problem_kinds": kinds_of(told, result),
        "cluster": cluster_of(result.observation.cluster),
        "servers": {
            server.name: {
                **_server(server.name, result),
                "degraded": degraded_of((degraded or {}).get(server.name)),
                "batch": batch_of(result.memory.server(server.name).batch),
            }
            for server in result.planned.fleet.servers
        },
        "startups": [startup_of_record(each) for each in result.startups],
        "profiles": [_profile(each) for each in result.profiles],
        "plan": _plan(result.planned.plan, result.planned.failure),
        "changes": [change_of(each) for each in results],
    }
    document["proposal"] = proposal_of(waiting_decisions(document))
    _tell_what_keeps_it(document)
    tell_desired(document, result.memory.emitted)
    return CycleRecord(number, at, mode, leader, fleet_version, took_s, document)


def _tell_what_keeps_it(document: JsonObject) -> None:
    """Write down what keeps decisions from being carried out, as far as it is for all servers."""
    if document["mode"] == Mode.OBSERVE.value:
        return  # it changes nothing anyway
    reason = HoldReason.AWAITS_APPROVAL
    if document["paused"]:
        reason = HoldReason.PAUSED
    elif not document["leader"]:
        reason = HoldReason.NOT_LEADER
    elif document["mode"] == Mode.ACT.value:
        return
    tried = {each["workload"] for each in document["changes"]}
    for server in document["servers"].values():
        decision = server["decision"]
        targets = () if decision is None else decision["targets"]
        if any(target["workload"] not in tried for target in targets):
            decision["held"].append(reason.value)


def _server(name: str, result: CycleResult) -> JsonObject:
    seen = result.observation.server(name)
    measured = result.loads[name]
    told = result.forecasts.get(name)
    found: JsonObject = {
        "signals": _signals(seen),
        "engine": seen.engine,
        "tokens": {
            "input_tokens": _histogram(seen.input_tokens),
            "output_tokens": _histogram(seen.output_tokens),
        },
        "load": None,
        "partial": measured.partial,
        "load_reason": measured.reason,
        "pending_rate_rps": measured.pending_rate_rps,
        "warning": measured.warning,
        "forecast": None,
        "decision": _decision(name, result.decisions),
    }
    if measured.load is not None:
        found["load"] = {
            "arrival_rate_rps": measured.load.arrival_rate_rps,
            "input_tokens": measured.load.input_tokens,
            "output_tokens": measured.load.output_tokens,
            "input_tokens_cv": measured.load.input_tokens_cv,
            "output_tokens_cv": measured.load.output_tokens_cv,
            "prefix_hit_rate": measured.load.prefix_hit_rate,
        }
    if told is not None:
        found["forecast"] = {
            "arrival_rate_rps": told.rate_rps,
            "middle_rps": told.middle_rps,
            "horizon_s": told.horizon_s,
            "method": told.method.value,
            "reason": told.reason,
        }
    return found


def _histogram(found: TokenHistogram | None) -> JsonObject | None:
    """Return requests by their largest tokens; None where nobody tells them."""
    if found is None:
        return None
    return {
        "bounds": list(found.bounds),
        "counts": [float(f"{count:.3g}") for count in found.counts],
    }


def _signals(seen: ServerObservation) -> JsonObject:
    return {name.value: _signal(signal) for name, signal in seen.signals.items()}


def _signal(signal: Signal) -> JsonObject:
    told: JsonObject = {"state": signal.state.value, "value": signal.value}
    if signal.age_s is not None:
        told["age_s"] = round(signal.age_s, 3)
    if signal.source:
        told["source"] = signal.source
    if signal.reason:
        told["reason"] = signal.reason
    return told


def _decision(name: str, decisions: Decisions) -> JsonObject | None:
    decision = decisions.servers.get(name)
    if decision is None:
        return None
    return {
        "direction": decision.direction.value,
        "wanted_replicas": decision.wanted_replicas,
        "wanted_accelerator": decision.wanted_accelerator,
        "held": [each.value for each in decision.held],
        "reason": decision.reason,
        "targets": [
            {
                "workload": str(target.ref),
                "accelerator": target.accelerator,
                "replicas": target.replicas,
                "replicas_before": target.replicas_before,
                "max_batch": target.max_batch,
            }
            for target in decision.targets
        ],
    }


def _plan(plan: Plan | None, failure: str) -> JsonObject:
    if plan is None:
        return {"status": "none", "failure": failure}
    return {
        "status": plan.status.value,
        "cost_per_hour": plan.cost_per_hour,
        "currency": plan.currency,
        "gap": plan.gap,
        "allocations": {
            each.server: {
                "accelerator": each.accelerator,
                "replicas": each.replicas,
                "max_batch": each.max_batch,
                "cost_per_hour": each.cost_per_hour,
                "ttft_ms": _known(each.ttft_ms),
                "itl_ms": _known(each.itl_ms),
                "max_rate_rps": _known(each.max_rate_rps),
                "binding": each.binding,
                "estimate": None if each.estimate is None else each.estimate.value,
                "fully_served": each.fully_served,
            }
            for each in plan.allocations
        },
        "unplaced": {
            each.server: {
                "reason": each.reason.value,
                "detail": each.detail,
                "remedy": each.remedy,
            }
            for each in plan.unplaced
        },
    }


def _profile(report: ProfileReport) -> JsonObject:
    return {
        "model": report.key.model,
        "accelerator": report.key.accelerator,
        "configuration": report.key.configuration,
        "factors": {
            each.part: {
                "factor": each.factor,
                "sd": each.sd,
                "applied": each.applied,
                "why_not": each.why_not,
            }
            for each in report.factors
        },
        "observations": report.observations,
        "refused": report.refused,
        "remarks": dict(report.remarks),
    }


def _known(value: float | None) -> float | None:
    """Return a figure, or None for NaN: JSON has no such number."""
    return None if value is None or math.isnan(value) else value
