"""A fleet as arrays: what candidates are computed from, without a Python object for each pair."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from optimizer.configurations.current import current_configuration
from optimizer.configurations.options import pair_options, prefill_profiles
from optimizer.fleet_columns import (
    UNKNOWN,
    AcceleratorArrays,
    FleetArrays,
    ProfileArrays,
    ServerArrays,
)
from optimizer.table import EMPTY, FloatArray, IntArray, Transitions
from stoker.domain.accelerator import Accelerator
from stoker.domain.fleet import Fleet
from stoker.domain.latency import MEAN_ITL, MEAN_TTFT, Latency, Statistic
from stoker.domain.profile import (
    EstimateKind,
    LinearParameters,
    ModelProfile,
    ServiceParameters,
    TokenWorkParameters,
    all_zero,
)
from stoker.domain.server import Server
from stoker.domain.serving import Serving
from stoker.domain.slo import LOWEST_PRIORITY, ServiceClass, SloTarget
from stoker.domain.workload import Load

_UNKNOWN_LOAD = Load(math.nan, math.nan, math.nan)
_ESTIMATE_KINDS = list(EstimateKind)


def fleet_arrays(fleet: Fleet) -> FleetArrays:
    """Return a fleet as arrays."""
    models = {profile.model for profile in fleet.profiles} | {s.model for s in fleet.servers}
    model_index = {name: index for index, name in enumerate(sorted(models))}
    accelerator_index = {item.name: index for index, item in enumerate(fleet.accelerators)}
    return FleetArrays(
        accelerators=_accelerators(fleet.accelerators),
        profiles=_profiles(fleet.profiles, model_index, accelerator_index),
        servers=_servers(fleet, model_index, accelerator_index),
    )


def _accelerators(items: Sequence[Accelerator]) -> AcceleratorArrays:
    card_types = tuple(sorted({item.card_type for item in items}))
    type_index = {name: index for index, name in enumerate(card_types)}
    return AcceleratorArrays(
        names=tuple(item.name for item in items),
        card_types=card_types,
        card_type=_ints([type_index[item.card_type] for item in items]),
        cards=_ints([item.cards for item in items]),
        cost_per_hour=_floats([item.cost_per_hour for item in items]),
        memory_gb=_floats([_or_nan(item.memory_gb) for item in items]),
    )


def _profiles(
    items: Sequence[ModelProfile],
    model_index: dict[str, int],
    accelerator_index: dict[str, int],
) -> ProfileArrays:
    models, width = len(model_index), len(accelerator_index)
    model = _ints([model_index[item.model] for item in items])
    accelerator = _ints([accelerator_index.get(item.accelerator, UNKNOWN) for item in items])
    options = pair_options(items, model, accelerator, models, width)
    known = np.flatnonzero(accelerator != UNKNOWN)
    pair = model[known] * width + accelerator[known]
    of_pair = np.full(models * width, UNKNOWN, dtype=np.int64)
    of_pair[pair] = known
    of_pair[np.bincount(pair, minlength=models * width) > 1] = UNKNOWN
    configurations = tuple(sorted({item.configuration for item in items} - {""}))
    named = {name: index for index, name in enumerate(configurations)}
    return ProfileArrays(
        of_pair=of_pair.reshape(models, width),
        options=options,
        configurations=configurations,
        configuration=_ints([named.get(item.configuration, UNKNOWN) for item in items]),
        engines=_ints([item.engines for item in items]),
        prefill=prefill_profiles(items),
        disaggregated=tuple(item.disaggregated for item in items),
        units=_ints([max(1, item.accelerators_per_replica) for item in items]),
        batch_tokens=_floats([float(item.max_batch) * float(item.at_tokens) for item in items]),
        max_batch=_ints([item.max_batch for item in items]),
        linear=np.array(
            [isinstance(item.parameters, LinearParameters) for item in items], dtype=np.bool_
        ),
        parameters_ms=_floats([_parameters(item.parameters) for item in items]).reshape(-1, 4),
        all_zero=np.array([all_zero(item.parameters) for item in items], dtype=np.bool_),
        required_memory_gb=_floats([_or_nan(item.required_memory_gb) for item in items]),
        estimate=_ints([_ESTIMATE_KINDS.index(item.provenance.kind) for item in items]),
        kv_tokens=_floats([_bound(item.kv_tokens) for item in items]),
        token_budget=_floats([float(item.token_budget) for item in items]),
        parameters=tuple(item.parameters for item in items),
    )


def _servers(
    fleet: Fleet, model_index: dict[str, int], accelerator_index: dict[str, int]
) -> ServerArrays:
    items = fleet.servers
    classes = {item.name: item for item in fleet.service_classes}
    targets = _targets(fleet.service_classes)
    target = [targets.get((item.service_class, item.model)) for item in items]
    statistics = _statistics(targets.values())
    load = [item.load or _UNKNOWN_LOAD for item in items]
    limits = [item.batch_limits or (_or_unknown(item.max_batch),) for item in items]
    configuration = current_configuration(fleet)
    return ServerArrays(
        names=tuple(item.name for item in items),
        model=_ints([model_index[item.model] for item in items]),
        priority=_ints(
            [
                classes[item.service_class].priority
                if item.service_class in classes
                else LOWEST_PRIORITY
                for item in items
            ]
        ),
        has_target=np.array([item is not None for item in target], dtype=np.bool_),
        statistics=statistics,
        limits_ms=_limits(target, statistics),
        tps=_floats([(item.tps or 0.0) if item else 0.0 for item in target]),
        load_known=np.array([item.load is not None for item in items], dtype=np.bool_),
        zero_load=np.array(
            [item.load is not None and item.load.is_zero for item in items], dtype=np.bool_
        ),
        rate_rps=_floats([item.arrival_rate_rps for item in load]),
        input_tokens=_floats([item.input_tokens for item in load]),
        output_tokens=_floats([item.output_tokens for item in load]),
        arrival_cv=_floats([item.arrival_cv for item in load]),
        input_cv=_floats([item.input_tokens_cv for item in load]),
        output_cv=_floats([item.output_tokens_cv for item in load]),
        prefix_hit_rate=_floats([item.prefix_hit_rate for item in load]),
        pinned=_ints([_pinned(item, accelerator_index) for item in items]),
        min_replicas=_ints([item.min_replicas for item in items]),
        max_replicas=_ints([_or_unknown(item.max_replicas) for item in items]),
        limit_start=np.concatenate([[0], np.cumsum([len(own) for own in limits])]).astype(np.int64),
        batch_limits=_ints([limit for own in limits for limit in own]),
        choose_batch=np.array([item.choose_batch for item in items], dtype=np.bool_),
        max_queue=_ints([_or_unknown(item.max_queue) for item in items]),
        router=_ints([int(item.router) for item in items]),
        current_replicas=_ints([item.current.replicas if item.current else 0 for item in items]),
        transitions=Transitions(
            accelerator=_ints([_current(item, accelerator_index) for item in items]),
            cost_per_hour=_floats(
                [item.current.cost_per_hour if item.current else 0.0 for item in items]
            ),
            penalty=fleet.rules.transition_penalty,
            configuration=configuration,
            prefill_replicas=_ints(
                [item.current.prefill_replicas if item.current else 0 for item in items]
            ),
        ),
        aggregated=np.array([Serving.AGGREGATED in item.serving for item in items], dtype=np.bool_),
        disaggregated=np.array(
            [Serving.DISAGGREGATED in item.serving for item in items], dtype=np.bool_
        ),
    )


def _targets(classes: Sequence[ServiceClass]) -> dict[tuple[str, str], SloTarget]:
    return {(item.name, target.model): target for item in classes for target in item.targets}


def _statistics(targets: Iterable[SloTarget]) -> tuple[Statistic, ...]:
    """Return what has a target somewhere; mean TTFT and mean ITL first, in any case."""
    found = {statistic for target in targets for statistic, _ in target.limits()}
    order = list(Latency)
    further = sorted(
        found - {MEAN_TTFT, MEAN_ITL},
        key=lambda item: (order.index(item.latency), item.percentile or 0.0),
    )
    return (MEAN_TTFT, MEAN_ITL, *further)


def _limits(targets: Sequence[SloTarget | None], statistics: Sequence[Statistic]) -> FloatArray:
    """Return the target of each statistic, (statistics, servers); infinite where none."""
    limits = np.full((len(statistics), len(targets)), np.inf)
    row = {statistic: index for index, statistic in enumerate(statistics)}
    for column, target in enumerate(targets):
        for statistic, limit_ms in target.limits() if target else ():
            limits[row[statistic], column] = limit_ms
    return limits


def _parameters(parameters: ServiceParameters) -> tuple[float, float, float, float]:
    match parameters:
        case LinearParameters(alpha_ms, beta_ms, gamma_ms, delta_ms):
            return alpha_ms, beta_ms, gamma_ms, delta_ms
        case TokenWorkParameters(alpha_ms, beta_ms, gamma_ms):
            return alpha_ms, beta_ms, gamma_ms, 0.0
        case _:  # a curve has none, and of `overlap` they would say nothing
            return math.nan, math.nan, math.nan, math.nan


def _current(server: Server, accelerator_index: dict[str, int]) -> int:
    """Return the index of what runs now; `EMPTY` where nothing, or nothing known, does."""
    if server.current is None or server.current.accelerator is None:
        return EMPTY
    return accelerator_index.get(server.current.accelerator, EMPTY)


def _pinned(server: Server, accelerator_index: dict[str, int]) -> int:
    if not server.keep_accelerator or server.current is None or not server.current.accelerator:
        return EMPTY
    return accelerator_index.get(server.current.accelerator, len(accelerator_index))


def _bound(target: float | None) -> float:
    return np.inf if target is None else target


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _or_unknown(value: int | None) -> int:
    return UNKNOWN if value is None else value


def _ints(values: Sequence[int]) -> IntArray:
    return np.array(values, dtype=np.int64)


def _floats(values: Sequence[float] | Sequence[tuple[float, ...]]) -> FloatArray:
    return np.array(values, dtype=np.float64)
