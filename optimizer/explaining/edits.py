"""Fleets edited: one server's targets or load, all times of profiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from stoker.domain.curve import IterationTable
from stoker.domain.fleet import Fleet
from stoker.domain.profile import (
    LinearParameters,
    ModelProfile,
    OverlapParameters,
    ServiceParameters,
    TokenWorkParameters,
)
from stoker.domain.slo import ServiceClass, SloTarget


def with_scaled_targets(fleet: Fleet, server: int, factor: float) -> Fleet:
    """Return the fleet in which all latency targets of one server are multiplied.

    The server moves to a service class of its own, of the same priority; a target of output tokens
    per second stays as it is.
    """
    edited = fleet.servers[server]
    own = next((item for item in fleet.service_classes if item.name == edited.service_class), None)
    target = None if own is None else own.target_for(edited.model)
    if own is None or target is None:
        return fleet
    names = {item.name for item in fleet.service_classes}
    name = f"{own.name} for {edited.name}"
    while name in names:
        name += "'"
    scaled = ServiceClass(name, own.priority, (scaled_target(target, factor),))
    servers = list(fleet.servers)
    servers[server] = replace(edited, service_class=name)
    return replace(fleet, servers=tuple(servers), service_classes=(*fleet.service_classes, scaled))


def scaled_target(target: SloTarget, factor: float) -> SloTarget:
    """Return a target with every latency in it multiplied."""

    def times(limit_ms: float | None) -> float | None:
        return None if limit_ms is None else limit_ms * factor

    return replace(
        target,
        ttft_ms=times(target.ttft_ms),
        itl_ms=times(target.itl_ms),
        e2e_ms=times(target.e2e_ms),
        percentiles=tuple(
            replace(item, limit_ms=item.limit_ms * factor) for item in target.percentiles
        ),
    )


def with_scaled_load(fleet: Fleet, server: int, share: float) -> Fleet:
    """Return the fleet in which the arrival rate of one server is multiplied."""
    edited = fleet.servers[server]
    if edited.load is None:
        return fleet
    load = replace(edited.load, arrival_rate_rps=edited.load.arrival_rate_rps * share)
    servers = list(fleet.servers)
    servers[server] = replace(edited, load=load)
    return replace(fleet, servers=tuple(servers))


ProfileKey = tuple[str, str, str]
"""Model, accelerator and configuration of a profile."""


def profile_key(profile: ModelProfile) -> ProfileKey:
    """Return what tells a profile from others."""
    return profile.model, profile.accelerator, profile.configuration


def with_slower_profiles(fleet: Fleet, factors: Mapping[ProfileKey, float]) -> Fleet:
    """Return the fleet in which all times of some profiles are multiplied."""

    def slower(profile: ModelProfile) -> ModelProfile:
        factor = factors.get(profile_key(profile), 1.0)
        return replace(profile, parameters=scaled_times(profile.parameters, factor))

    return replace(fleet, profiles=tuple(map(slower, fleet.profiles)))


def scaled_times(parameters: ServiceParameters, factor: float) -> ServiceParameters:
    """Return a service model in which everything takes so many times as long."""
    match parameters:
        case LinearParameters() | TokenWorkParameters() | OverlapParameters():
            # Every parameter of these is a time, or a time for each of something.
            names = parameters.__dataclass_fields__
            return replace(
                parameters, **{name: getattr(parameters, name) * factor for name in names}
            )
        case IterationTable():
            return _scaled_table(parameters, lambda value: value * factor)


def _scaled_table(table: IterationTable, scale: Callable[[float], float]) -> IterationTable:
    return replace(
        table,
        decode_ms=tuple(tuple(map(scale, row)) for row in table.decode_ms),
        prefill_ms=tuple(tuple(map(scale, row)) for row in table.prefill_ms),
        shared_ms=scale(table.shared_ms),
        first_token_ms=scale(table.first_token_ms),
        first_token_sequence_ms=scale(table.first_token_sequence_ms),
        first_token_output_ms=scale(table.first_token_output_ms),
    )
