"""What an observation tells of each server, and what is remembered of it whatever is decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from controller.batch import progress, with_sizes
from controller.load import MeasuredLoad, measured_load, sample_of
from controller.memory import Memory, ServerMemory
from controller.patterns import contradiction
from controller.season import SEASON_STEPS
from controller.startups import Watch
from stoker.domain.control.cluster import ReplicaPhase, VariantState
from stoker.domain.control.observation import Observation, ServerObservation
from stoker.domain.control.settings import ControlSettings, ServerControl
from stoker.domain.control.signals import SignalName
from stoker.domain.fleet import Fleet
from stoker.domain.server import Server
from stoker.domain.workload import Load

_MISSED_PERIODS = 3
"""Periods without a look at a workload after which something may have been missed."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at the fleet tells.

    Attributes:
        loads: The load of each server.
        memory: What is remembered from now on.
        notes: What contradicts the documents, or lacks in them, in words.
    """

    loads: Mapping[str, MeasuredLoad]
    memory: Memory
    notes: tuple[str, ...]


def see(
    observation: Observation,
    fleet: Fleet,
    variants: Mapping[str, tuple[VariantState, ...]],
    settings: ControlSettings,
    memory: Memory,
) -> Seen:
    """Return what an observation tells of the servers of a fleet.

    Args:
        observation: What was seen.
        fleet: The document.
        variants: Workloads that can be managed, by server.
        settings: The rules.
        memory: What the last cycle handed on.
    """
    at = observation.at
    loads: dict[str, MeasuredLoad] = {}
    servers = dict(memory.servers)
    startups, period_s = memory.startups, settings.loop.period_s
    watch = Watch(at, _MISSED_PERIODS * period_s, period_s, settings.transition.ready_timeout_s)
    notes: list[str] = []
    for server in fleet.servers:
        seen = observation.server(server.name)
        own = variants.get(server.name, ())
        control = settings.servers.get(server.name) or ServerControl(server.name)
        measured, remembered = _measured(server, seen, own, memory, settings, at)
        remembered = replace(remembered, batch=progress(remembered.batch, control, seen, at))
        measured, note = _with_work(server, measured, own, remembered)
        loads[server.name] = measured
        for variant in own:
            startups = startups.with_variant(server.model, variant, watch)
        if remembered != ServerMemory():
            servers[server.name] = remembered
        slots = _slots(server, own, fleet)
        against = contradiction(control.kind, remembered.history, seen, slots)
        notes += [each for each in (note, against and f"{server.name} {against}") if each]
    if variants:
        startups = startups.only({each.ref for own in variants.values() for each in own})
    return Seen(loads, replace(memory, servers=servers, startups=startups), tuple(notes))


def _slots(server: Server, variants: Sequence[VariantState], fleet: Fleet) -> float | None:
    """Return how many requests the ready replicas take at once; None where nobody tells."""
    limits = {
        each.accelerator: each.max_batch for each in fleet.profiles if each.model == server.model
    }
    slots = 0.0
    for variant in variants:
        limit = variant.max_batch or server.max_batch or limits.get(variant.accelerator)
        if limit is None:
            return None
        slots += limit * variant.count(ReplicaPhase.READY)
    return slots or None


def _measured(
    server: Server,
    seen: ServerObservation,
    variants: tuple[VariantState, ...],
    memory: Memory,
    settings: ControlSettings,
    at: float,
) -> tuple[MeasuredLoad, ServerMemory]:
    """Return the load of a server, and its memory with it.

    A rate that is younger than its window counts requests of a part of it: no history is kept of
    that, since a forecast would take the filling of the window for load that grows.
    """
    remembered = memory.server(server.name)
    window_s = settings.metrics.window_s
    # A cycle may come late: a gap is what is longer than two periods.
    longest_gap_s = max(window_s, 2 * settings.loop.period_s)
    if remembered.wanted and at - remembered.wanted[-1].at > longest_gap_s:
        remembered = remembered.unwatched()  # the loop was away
    if seen.usable(SignalName.ARRIVAL_RATE) is not None:
        remembered = remembered.told(at, longest_gap_s)
    since = remembered.told_since
    measured = measured_load(
        seen,
        variants,
        remembered.history,
        settings.metrics,
        at,
        document=server.load,
        filling=since is not None and at - since < window_s,
    )
    if measured.silent:
        # Sizes asked for meanwhile prove nothing; and when the silent ones are back, their part of
        # the rate is as young as that.
        remembered = replace(remembered.unwatched(), told_since=at)
    sample = sample_of(measured, seen, at)
    if sample is not None:
        season_s, whole_s = settings.forecast.season_s, settings.forecast.history_s
        history = remembered.history.with_sample(
            sample, max(whole_s, 3 * season_s), whole_s, season_s / SEASON_STEPS, longest_gap_s
        )
        remembered = replace(remembered, history=history)
    return measured, remembered


def _with_work(
    server: Server,
    measured: MeasuredLoad,
    variants: tuple[VariantState, ...],
    remembered: ServerMemory,
) -> tuple[MeasuredLoad, str]:
    """Return the load of a server with work to do by a deadline, and what lacks, in words.

    Its work is known from the document: it needs no replica to tell of it.
    """
    work = remembered.batch
    if work is None or work.left_tokens <= 0:
        return measured, ""
    load = measured.load
    if load is None and variants and not any(each.replicas for each in variants):
        load = Load(0.0, *(remembered.history.last_tokens() or (0.0, 0.0)))
    if load is None:
        return measured, ""
    sized = with_sizes(load, server.load)
    note = ""
    if sized.output_tokens <= 0:
        note = (
            f"batch {server.name}: the size of its requests is unknown; tell a load of it "
            "in the fleet document, with input and output tokens"
        )
    return replace(measured, load=sized), note
