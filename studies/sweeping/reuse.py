"""Predictions made once for all points that they are the same at.

Prices, card counts and the optimizer's settings change no prediction: what a replica carries does
not depend on what it costs. `neutral` strips a fleet of them; fleets that are equal then share one
candidate table, and `repriced` puts a fleet's own prices back into it.
"""

from __future__ import annotations

from dataclasses import MISSING, fields, replace

import numpy as np

from optimizer.candidates import build_candidates
from optimizer.fleet_arrays import fleet_arrays
from optimizer.fleet_columns import pick, profile_of
from optimizer.table import CandidateTable
from optimizer.transition import candidate_values
from stoker.domain.accelerator import Accelerator
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.profile import ModelProfile
from stoker.domain.server import Allocation, Server
from stoker.domain.settings import Analysis, OptimizerSettings, PlanningRules
from stoker.domain.slo import ServiceClass, SloTarget
from stoker.domain.workload import Load


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_KNOWN: dict[type, frozenset[str]] = {
    Fleet: _names(
        "currency accelerators capacity profiles service_classes servers settings rules name source"
    ),
    Capacity: _names("card_type count"),
    Accelerator: _names(
        "name card_type cards cost_per_hour memory_gb memory_bandwidth_gb_per_s power"
    ),
    ModelProfile: _names(
        "model accelerator accelerators_per_replica max_batch at_tokens parameters provenance "
        "required_memory_gb kv_tokens token_budget"
    ),
    ServiceClass: _names("name priority targets"),
    SloTarget: _names("model ttft_ms itl_ms tps e2e_ms percentiles"),
    Server: _names(
        "name service_class model load keep_accelerator min_replicas max_replicas max_batch "
        "max_queue current desired router choose_batch"
    ),
    Allocation: _names("accelerator replicas max_batch cost_per_hour itl_ms ttft_ms load"),
    Load: _names(
        "arrival_rate_rps input_tokens output_tokens throughput_rps arrival_cv input_tokens_cv "
        "output_tokens_cv prefix_hit_rate"
    ),
    OptimizerSettings: _names(
        "unlimited solver heterogeneous saturation_policy delayed_best_effort backend "
        "time_limit_s relative_gap exact_servers class_weight_ratio analysis"
    ),
    PlanningRules: _names(
        "queue_rule max_blocking tps_replaces_rate reject_short_memory max_replicas "
        "transition_penalty"
    ),
}
"""Fields that this module knows how to treat; any other must be at its default."""


def _usual(kind: type, known: frozenset[str]) -> tuple[tuple[str, object], ...]:
    """Return the fields of a kind that are not known, with their defaults."""
    return tuple(
        (item.name, item.default if item.default_factory is MISSING else item.default_factory())
        for item in fields(kind)
        if item.name not in known
    )


_UNKNOWN = {kind: _usual(kind, known) for kind, known in _KNOWN.items()}
"""Fields of each kind that are not known: every point asks for them of every part of its fleet."""


def neutral(fleet: Fleet) -> Fleet:
    """Return the fleet without what changes no prediction: equal ones share a table.

    Of the settings nothing is left; the analysis belongs to the key beside this fleet.
    """
    return replace(
        fleet,
        currency="",
        accelerators=tuple(replace(item, cost_per_hour=0.0) for item in fleet.accelerators),
        capacity=(),
        servers=tuple(
            replace(item, current=replace(item.current, cost_per_hour=0.0))
            if item.current
            else item
            for item in fleet.servers
        ),
        settings=OptimizerSettings(),
        rules=replace(fleet.rules, transition_penalty=0.0),
        name="",
        source="",
    )


def neutral_table(fleet: Fleet, analysis: Analysis) -> CandidateTable:
    """Return the candidate table that all fleets neutral to this one share.

    Raises:
        InvalidInputError: As `build_candidates`.
    """
    return build_candidates(neutral(fleet), analysis)


def repriced(table: CandidateTable, fleet: Fleet) -> CandidateTable:
    """Return a table with a fleet's own prices, as `build_candidates` would make it.

    Args:
        table: The table of a plain fleet (`is_plain`) that is neutral to the same as this one.
        fleet: The fleet whose prices, transition penalty and current costs count.
    """
    arrays = fleet_arrays(fleet)
    servers = arrays.servers
    units = pick(arrays.profiles.units, profile_of(arrays, table.server, table.accelerator), 0)
    unit_cost = pick(arrays.accelerators.cost_per_hour, table.accelerator, 0.0) * units
    accepted = table.accepted
    cost = unit_cost * table.replicas
    value = candidate_values(
        servers.transitions,
        servers.current_replicas,
        table.server,
        table.accelerator,
        table.replicas,
        cost,
    )
    return replace(
        table,
        unit_cost_per_hour=unit_cost,
        cost_per_hour=np.where(accepted, cost, np.nan),
        value=np.where(accepted, value, np.nan),
        transitions=servers.transitions,
    )


def is_plain(fleet: Fleet) -> bool:
    """Return whether a fleet uses nothing beyond what this module knows how to treat.

    Fleets that do are planned from scratch at every point, which is always right.
    """
    parts: list[object] = [fleet, fleet.settings, fleet.rules]
    parts += [*fleet.capacity, *fleet.accelerators, *fleet.profiles, *fleet.service_classes]
    parts += [target for item in fleet.service_classes for target in item.targets]
    parts += [*fleet.servers, *(item.load for item in fleet.servers if item.load)]
    parts += [item.current for item in fleet.servers if item.current]
    return all(map(_plain_part, parts))


def _plain_part(part: object) -> bool:
    return all(getattr(part, name) == usual for name, usual in _UNKNOWN[type(part)])
