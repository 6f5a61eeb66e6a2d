"""A fleet as arrays: what candidates are computed from, without a Python object for each pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from optimizer.table import EMPTY, BoolArray, FloatArray, IntArray, Transitions
from stoker.domain.accelerator import Accelerator
from stoker.domain.fleet import Fleet
from stoker.domain.profile import (
    EstimateKind,
    LinearParameters,
    ModelProfile,
    ServiceParameters,
    all_zero,
)
from stoker.domain.server import Server
from stoker.domain.slo import LOWEST_PRIORITY, ServiceClass, SloTarget

_Scalar = TypeVar("_Scalar", np.int64, np.float64, np.bool_)

UNKNOWN = -1
"""Index of something that the fleet does not have; count that nobody has set."""

MOST_CARDS = float(2**53)
"""Cards of a candidate that are still counted exactly; more of them is nonsense."""

_ESTIMATE_KINDS = list(EstimateKind)


@dataclass(frozen=True, slots=True)
class AcceleratorArrays:
    """Accelerator configurations; arrays of shape (accelerators,).

    Attributes:
        names: Names.
        card_types: Names of card types, sorted.
        card_type: Index of the card type.
        cards: Cards in one unit.
        cost_per_hour: Cost of one unit.
        memory_gb: Memory of one unit; NaN where unknown.
    """

    names: tuple[str, ...]
    card_types: tuple[str, ...]
    card_type: IntArray
    cards: IntArray
    cost_per_hour: FloatArray
    memory_gb: FloatArray


@dataclass(frozen=True, slots=True)
class ProfileArrays:
    """Model profiles; arrays of shape (profiles,) unless said otherwise.

    Attributes:
        of_pair: Index of the profile of a model on an accelerator, or `UNKNOWN`, shape
            (models, accelerators).
        units: Units of the accelerator that one replica takes.
        batch_tokens: Largest batch times the output tokens it was measured at.
        max_batch: Largest batch.
        linear: Whether the parameters are of the `linear` generation, else `token-work`.
        parameters_ms: Alpha, beta, gamma, delta, shape (profiles, 4); delta is 0 in `token-work`.
        all_zero: Whether every parameter is zero.
        required_memory_gb: Memory that a replica needs at least; NaN where unknown.
        estimate: Index of the kind of estimate.
    """

    of_pair: IntArray
    units: IntArray
    batch_tokens: FloatArray
    max_batch: IntArray
    linear: BoolArray
    parameters_ms: FloatArray
    all_zero: BoolArray
    required_memory_gb: FloatArray
    estimate: IntArray


@dataclass(frozen=True, slots=True)
class ServerArrays:
    """Servers; arrays of shape (servers,).

    Attributes:
        names: Names.
        model: Index of the model in the rows of `ProfileArrays.of_pair`.
        priority: Priority of the service class, the lowest where the class is unknown.
        has_target: Whether the class has a target for the model.
        ttft_ms: Target of TTFT; infinite where there is none.
        itl_ms: Target of ITL; infinite where there is none.
        tps: Target of output tokens per second; 0 where there is none.
        load_known: Whether the load is known.
        zero_load: Whether the load is known to be nothing.
        rate_rps: Arrival rate; NaN where unknown.
        input_tokens: Mean input tokens; NaN where unknown.
        output_tokens: Mean output tokens; NaN where unknown.
        pinned: Index of the accelerator it must stay on; `EMPTY` where free; a number beyond the
            accelerators where it must stay on one that the fleet does not have.
        min_replicas: Smallest number of replicas.
        max_replicas: Its own largest number of replicas; `UNKNOWN` where it has none.
        max_batch: Its own batch limit; `UNKNOWN` where it has none.
        max_queue: Its own queue limit; `UNKNOWN` where it has none.
        current_replicas: Replicas that run now.
        transitions: What runs now, and what changing it costs.
    """

    names: tuple[str, ...]
    model: IntArray
    priority: IntArray
    has_target: BoolArray
    ttft_ms: FloatArray
    itl_ms: FloatArray
    tps: FloatArray
    load_known: BoolArray
    zero_load: BoolArray
    rate_rps: FloatArray
    input_tokens: FloatArray
    output_tokens: FloatArray
    pinned: IntArray
    min_replicas: IntArray
    max_replicas: IntArray
    max_batch: IntArray
    max_queue: IntArray
    current_replicas: IntArray
    transitions: Transitions


@dataclass(frozen=True, slots=True)
class FleetArrays:
    """All of a fleet that candidates are computed from."""

    accelerators: AcceleratorArrays
    profiles: ProfileArrays
    servers: ServerArrays


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


def pick(
    values: npt.NDArray[_Scalar], index: IntArray, missing: _Scalar | float
) -> npt.NDArray[_Scalar]:
    """Return the values at the indices, and `missing` where an index is negative."""
    if not len(values):
        return np.full(len(index), missing, dtype=values.dtype)
    return np.where(index < 0, np.asarray(missing, dtype=values.dtype), values[index])


def profile_of(arrays: FleetArrays, server: IntArray, accelerator: IntArray) -> IntArray:
    """Return the index of the profile of each pair; `UNKNOWN` without one or for `EMPTY`."""
    of_pair = arrays.profiles.of_pair
    if not of_pair.size:
        return np.full(len(server), UNKNOWN, dtype=np.int64)
    profile = of_pair[arrays.servers.model[server], accelerator]
    return np.where(accelerator == EMPTY, UNKNOWN, profile)


def total_rate_rps(servers: ServerArrays, tps_replaces_rate: bool) -> FloatArray:
    """Return the rate that each server must carry, shape (servers,); NaN where unknown.

    A TPS target asks for TPS / K requests per second of K output tokens. It replaces the arrival
    rate in the reference's rules; in Stoker's own the larger of the two counts.
    """
    tokens = np.where(servers.output_tokens > 0, servers.output_tokens, 1.0)
    promised = np.where(servers.output_tokens > 0, servers.tps / tokens, 0.0)
    if tps_replaces_rate:
        rate = np.where(servers.tps > 0, promised, servers.rate_rps)
    else:
        rate = np.fmax(promised, servers.rate_rps)
    total = np.where(servers.zero_load, 0.0, rate)
    return np.where(servers.load_known, total, np.nan)


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
    of_pair = np.full((len(model_index), len(accelerator_index)), UNKNOWN, dtype=np.int64)
    for index, item in enumerate(items):
        accelerator = accelerator_index.get(item.accelerator)
        if accelerator is not None:
            of_pair[model_index[item.model], accelerator] = index
    return ProfileArrays(
        of_pair=of_pair,
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
    )


def _servers(
    fleet: Fleet, model_index: dict[str, int], accelerator_index: dict[str, int]
) -> ServerArrays:
    items = fleet.servers
    classes = {item.name: item for item in fleet.service_classes}
    targets = _targets(fleet.service_classes)
    target = [targets.get((item.service_class, item.model)) for item in items]
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
        ttft_ms=_floats([_bound(item.ttft_ms if item else None) for item in target]),
        itl_ms=_floats([_bound(item.itl_ms if item else None) for item in target]),
        tps=_floats([(item.tps or 0.0) if item else 0.0 for item in target]),
        load_known=np.array([item.load is not None for item in items], dtype=np.bool_),
        zero_load=np.array(
            [item.load is not None and item.load.is_zero for item in items], dtype=np.bool_
        ),
        rate_rps=_floats([item.load.arrival_rate_rps if item.load else np.nan for item in items]),
        input_tokens=_floats([item.load.input_tokens if item.load else np.nan for item in items]),
        output_tokens=_floats([item.load.output_tokens if item.load else np.nan for item in items]),
        pinned=_ints([_pinned(item, accelerator_index) for item in items]),
        min_replicas=_ints([item.min_replicas for item in items]),
        max_replicas=_ints([_or_unknown(item.max_replicas) for item in items]),
        max_batch=_ints([_or_unknown(item.max_batch) for item in items]),
        max_queue=_ints([_or_unknown(item.max_queue) for item in items]),
        current_replicas=_ints([item.current.replicas if item.current else 0 for item in items]),
        transitions=Transitions(
            accelerator=_ints([_current(item, accelerator_index) for item in items]),
            cost_per_hour=_floats(
                [item.current.cost_per_hour if item.current else 0.0 for item in items]
            ),
            penalty=fleet.rules.transition_penalty,
        ),
    )


def _targets(classes: Sequence[ServiceClass]) -> dict[tuple[str, str], SloTarget]:
    return {(item.name, target.model): target for item in classes for target in item.targets}


def _parameters(parameters: ServiceParameters) -> tuple[float, float, float, float]:
    delta_ms = parameters.delta_ms if isinstance(parameters, LinearParameters) else 0.0
    return parameters.alpha_ms, parameters.beta_ms, parameters.gamma_ms, delta_ms


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
