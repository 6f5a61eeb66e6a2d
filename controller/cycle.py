"""One cycle: what was seen becomes loads, a forecast, a plan, decisions, and what to remember."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.aside import aside_of, without
from controller.case import Situation
from controller.correction.applying import ProfileReport
from controller.correction.step import correct
from controller.decide import decide
from controller.demand import rates_to_plan, with_seasons
from controller.forecast import Forecast
from controller.leftover import fill_leftover
from controller.limits import within_limits
from controller.load import MeasuredLoad
from controller.memory import Memory, ServerMemory
from controller.planning import Planned, plan_now
from controller.promises import health_now
from controller.refused_limits import is_refused, refused_words
from controller.seeing import see
from controller.stability import may_move
from controller.startup_report import StartupReport, startup_reports
from controller.world import variants_of
from stoker.domain.control.aside import Aside
from stoker.domain.control.changes import Decisions
from stoker.domain.control.choices import Actuation
from stoker.domain.control.observation import Observation
from stoker.domain.control.settings import ControlSettings
from stoker.domain.fleet import Fleet
from stoker.domain.workload import Load

_STALE_CLUSTER = 3
"""Periods after which what the cluster told is too old to act on."""


@dataclass(frozen=True, slots=True)
class CycleResult:
    """All that a cycle came to, before anything is done about it.

    Attributes:
        observation: What was seen.
        loads: What that tells of each server's load.
        forecasts: The rate foretold, of servers with a load.
        planned: The fleet that was planned, with its plan or why there is none.
        decisions: What is to become of each server.
        memory: What to hand to the next cycle, if the decisions are carried out.
        undecided: What to hand to it if they are not.
        profiles: How profiles are corrected; empty where that is switched off.
        startups: How long replicas take to start, as it is planned with.
        unfollowed: What was emitted and is not followed, in words.
    """

    observation: Observation
    loads: Mapping[str, MeasuredLoad]
    forecasts: Mapping[str, Forecast]
    planned: Planned
    decisions: Decisions
    memory: Memory
    undecided: Memory
    profiles: tuple[ProfileReport, ...] = ()
    startups: tuple[StartupReport, ...] = ()
    unfollowed: tuple[str, ...] = ()


def think(
    observation: Observation,
    fleet: Fleet,
    settings: ControlSettings,
    memory: Memory,
) -> CycleResult:
    """Return what follows from an observation; nothing is done and nothing is read.

    Args:
        observation: What was seen.
        fleet: The document.
        settings: The rules.
        memory: What the last cycle handed on.
    """
    at = observation.at
    cluster = observation.cluster
    notes: list[str] = []
    aside = aside_of(fleet, cluster)
    if cluster is not None and aside:
        cluster, words = without(cluster, fleet, aside)
        observation = replace(observation, cluster=cluster)
        notes += words
    if cluster is not None and cluster.age_s > _STALE_CLUSTER * settings.loop.period_s:
        notes.append(f"what runs was last confirmed {cluster.age_s:.0f} s ago: nothing is decided")
        cluster = None
    variants = variants_of(cluster)
    emitted = memory.emitted.standing(cluster, at, settings)
    memory = replace(memory, emitted=emitted)
    asked = emitted.asked(cluster)
    seen = see(observation, fleet, variants, settings, memory)
    loads, memory = seen.loads, seen.memory
    notes += seen.notes
    forecasts = rates_to_plan(fleet, loads, memory, settings, variants_of(asked), at)
    memory = with_seasons(memory, forecasts)
    corrected = correct(fleet, observation, loads, variants, memory, settings)
    memory = replace(memory, corrections=corrected.corrections)
    staying = _staying(fleet, memory, forecasts, at, settings)
    planned = plan_now(
        corrected.fleet,
        {name: _foretold(loads[name], told) for name, told in forecasts.items()},
        asked,
        settings.servers,
        settings.loop.solver_time_limit_s,
        staying | _with_twins(aside, memory),
        {name: each.transition for name, each in memory.servers.items() if each.transition},
        writable=_writable(fleet, memory, at, settings) - staying,
    )
    planned, late = fill_leftover(planned, memory, at)
    notes += late
    notes += refused_words(fleet, memory, at, settings)
    if planned.failure:
        notes.append(f"no plan: {planned.failure}")
    health = {
        server.name: health_now(observation, fleet, server, memory.server(server.name).transition)
        for server in fleet.servers
    }
    situation = Situation(
        at, planned.fleet, planned.plan, planned.failure, asked, loads, health, settings, aside
    )
    decided, memories = decide(situation, memory)
    decided, memories, limited = within_limits(decided, memories, memory, situation)
    after = replace(
        memory,
        servers={**memory.servers, **memories},
        plan=planned.plan or memory.plan,
        cycles=memory.cycles + 1,
    )
    return CycleResult(
        observation,
        loads,
        forecasts,
        planned,
        Decisions(decided, (*notes, *limited)),
        after,
        replace(memory, servers=_watched(memory, memories), cycles=memory.cycles + 1),
        corrected.reports,
        startup_reports(fleet, variants, memory.startups, settings.forecast.startup_s),
        emitted.not_followed(cluster, at),
    )


def _watched(memory: Memory, after: Mapping[str, ServerMemory]) -> dict[str, ServerMemory]:
    """Return the memories of what was asked for, without what was not carried out."""
    return {
        name: replace(memory.server(name), wanted=each.wanted, watched_since=each.watched_since)
        for name, each in after.items()
    }


def _foretold(measured: MeasuredLoad, told: Forecast) -> Load:
    assert measured.load is not None
    return replace(measured.load, arrival_rate_rps=told.rate_rps)


def _staying(
    fleet: Fleet,
    memory: Memory,
    forecasts: Mapping[str, Forecast],
    at: float,
    settings: ControlSettings,
) -> frozenset[str]:
    """Return the servers that may not begin a move now."""
    rates = {name: told.rate_rps for name, told in forecasts.items()}
    return frozenset(
        name
        for name, own in ((each.name, memory.server(each.name)) for each in fleet.servers)
        if own.transition is None
        and may_move(own, at, settings.stability, rates.get(name)) is not None
    )


def _with_twins(aside: Mapping[str, tuple[Aside, ...]], memory: Memory) -> frozenset[str]:
    """Return the servers that would leave two workloads at zero that cannot be told apart."""
    return frozenset(
        name
        for name, own in aside.items()
        if memory.server(name).transition is None and any(each.twin is not None for each in own)
    )


def _writable(fleet: Fleet, memory: Memory, at: float, settings: ControlSettings) -> frozenset[str]:
    """Return the servers whose batch limits may be written, as far as they need not wait."""
    cluster = settings.cluster
    if not cluster.allow_batch_limit or cluster.actuation is not Actuation.SCALE:
        return frozenset()
    return frozenset(
        each.name
        for each in fleet.servers
        if not is_refused(memory.server(each.name), at, settings.stability)
    )
