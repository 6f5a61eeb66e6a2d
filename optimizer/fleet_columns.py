"""The arrays that a fleet becomes, and how rows of the candidate table look things up in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from optimizer.configurations.options import PairOptions
from optimizer.table import EMPTY, BoolArray, CandidateTable, FloatArray, IntArray, Transitions
from stoker.domain.latency import Statistic
from stoker.domain.profile import ServiceParameters
from stoker.domain.serving import Disaggregation

_Scalar = TypeVar("_Scalar", np.int64, np.float64, np.bool_)

UNKNOWN = -1
"""Index of something that the fleet does not have; count that nobody has set."""

MOST_CARDS = float(2**53)
"""Cards of a candidate that are still counted exactly; more of them is nonsense."""


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
        of_pair: Index of the only profile of a model on an accelerator, or `UNKNOWN` where there
            is none or there are several, shape (models, accelerators).
        options: Every profile of every pair, with every way of serving.
        configurations: Names of configurations, sorted.
        configuration: Index of the configuration, or `UNKNOWN` where it has no name.
        engines: Engines of one replica.
        prefill: Index of the profile of the prefill replicas that its own decode for; `UNKNOWN`
            where they cannot.
        disaggregated: How they do.
        units: Units of the accelerator that one replica takes.
        batch_tokens: Largest batch times the output tokens it was measured at.
        max_batch: Largest batch.
        linear: Whether the parameters are of the `linear` generation, else `token-work`.
        parameters_ms: Alpha, beta, gamma, delta, shape (profiles, 4); delta is 0 in `token-work`,
            and all are NaN for `curve` and `overlap`.
        all_zero: Whether every parameter is zero.
        required_memory_gb: Memory that a replica needs at least; NaN where unknown.
        estimate: Index of the kind of estimate.
        kv_tokens: Tokens that KV memory holds; infinite where no bound is known.
        token_budget: Tokens that one iteration computes at most.
        parameters: Parameters of the service model of each.
    """

    of_pair: IntArray
    options: PairOptions
    configurations: tuple[str, ...]
    configuration: IntArray
    engines: IntArray
    prefill: IntArray
    disaggregated: tuple[Disaggregation | None, ...]
    units: IntArray
    batch_tokens: FloatArray
    max_batch: IntArray
    linear: BoolArray
    parameters_ms: FloatArray
    all_zero: BoolArray
    required_memory_gb: FloatArray
    estimate: IntArray
    kv_tokens: FloatArray
    token_budget: FloatArray
    parameters: tuple[ServiceParameters, ...]


@dataclass(frozen=True, slots=True)
class ServerArrays:
    """Servers; arrays of shape (servers,) unless said otherwise.

    Attributes:
        names: Names.
        model: Index of the model in the rows of `ProfileArrays.of_pair`.
        priority: Priority of the service class, the lowest where the class is unknown.
        has_target: Whether the class has a target for the model.
        statistics: Statistics of latencies that have a target somewhere; mean TTFT and mean ITL
            are the first two in any case.
        limits_ms: Target of each statistic; infinite where there is none, (statistics, servers).
        tps: Target of output tokens per second; 0 where there is none.
        load_known: Whether the load is known.
        zero_load: Whether the load is known to be nothing.
        rate_rps: Arrival rate; NaN where unknown.
        input_tokens: Mean input tokens; NaN where unknown.
        output_tokens: Mean output tokens; NaN where unknown.
        arrival_cv: Coefficient of variation of the times between arrivals, those to all replicas.
        input_cv: Coefficient of variation of the input tokens.
        output_cv: Coefficient of variation of the output tokens.
        prefix_hit_rate: Share of the input tokens that the prefix cache holds.
        pinned: Index of the accelerator it must stay on; `EMPTY` where free; a number beyond the
            accelerators where it must stay on one that the fleet does not have.
        min_replicas: Smallest number of replicas.
        max_replicas: Its own largest number of replicas; `UNKNOWN` where it has none.
        limit_start: Batch limits of server s are
            ``batch_limits[limit_start[s]:limit_start[s + 1]]``, shape (servers + 1,).
        batch_limits: The batch limits of its own of each server; `UNKNOWN` where it has none.
        choose_batch: Whether its batch limit is chosen with each accelerator.
        max_queue: Its own queue limit; `UNKNOWN` where it has none.
        router: How a request finds its replica: values of `Router`.
        current_replicas: Replicas that run now.
        aggregated: Whether it may be served by replicas that do everything.
        disaggregated: Whether it may be served by a prefill and a decode pool.
        transitions: What runs now, and what changing it costs.
    """

    names: tuple[str, ...]
    model: IntArray
    priority: IntArray
    has_target: BoolArray
    statistics: tuple[Statistic, ...]
    limits_ms: FloatArray
    tps: FloatArray
    load_known: BoolArray
    zero_load: BoolArray
    rate_rps: FloatArray
    input_tokens: FloatArray
    output_tokens: FloatArray
    arrival_cv: FloatArray
    input_cv: FloatArray
    output_cv: FloatArray
    prefix_hit_rate: FloatArray
    pinned: IntArray
    min_replicas: IntArray
    max_replicas: IntArray
    limit_start: IntArray
    batch_limits: IntArray
    choose_batch: BoolArray
    max_queue: IntArray
    router: IntArray
    current_replicas: IntArray
    aggregated: BoolArray
    disaggregated: BoolArray
    transitions: Transitions


@dataclass(frozen=True, slots=True)
class FleetArrays:
    """All of a fleet that candidates are computed from."""

    accelerators: AcceleratorArrays
    profiles: ProfileArrays
    servers: ServerArrays


def pick(
    values: npt.NDArray[_Scalar], index: IntArray, missing: _Scalar | float
) -> npt.NDArray[_Scalar]:
    """Return the values at the indices, and `missing` where an index is negative."""
    if not len(values):
        return np.full(len(index), missing, dtype=values.dtype)
    return np.where(index < 0, np.asarray(missing, dtype=values.dtype), values[index])


def profile_of(arrays: FleetArrays, server: IntArray, accelerator: IntArray) -> IntArray:
    """Return the index of the only profile of each pair.

    `UNKNOWN` where it has none or several, and for `EMPTY`.
    """
    of_pair = arrays.profiles.of_pair
    if not of_pair.size:
        return np.full(len(server), UNKNOWN, dtype=np.int64)
    profile = of_pair[arrays.servers.model[server], accelerator]
    return np.where(accelerator == EMPTY, UNKNOWN, profile)


def profile_of_rows(arrays: FleetArrays, table: CandidateTable, rows: IntArray) -> IntArray:
    """Return the index of the profile of rows of a candidate table; `UNKNOWN` without one."""
    if table.profile is None:
        return profile_of(arrays, table.server[rows], table.accelerator[rows])
    return table.profile[rows]


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
