"""A candidate table from predictions that somebody else made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.fleet_arrays import fleet_arrays
from optimizer.fleet_columns import (
    MOST_CARDS,
    UNKNOWN,
    FleetArrays,
    pick,
    profile_of,
    total_rate_rps,
)
from optimizer.table import ACCEPTED, EMPTY, CandidateTable, FloatArray, IntArray, rejection_code
from stoker.domain.candidate import CandidateEstimate
from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.reasons import Rejection

_MOST_REPLICAS = 2**31 - 1
"""Beyond it products of counts would overflow."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """An estimate with its indices in the fleet."""

    server: int
    accelerator: int
    estimate: CandidateEstimate


def table_from_estimates(fleet: Fleet, estimates: Sequence[CandidateEstimate]) -> CandidateTable:
    """Return the table of somebody else's predictions for a fleet.

    What a prediction does not tell stays unknown: queue limit and blocking. A server may have an
    empty candidate only where its load is known to be zero and its minimum is 0; several of them
    count as one, that of least value. A pair without an estimate has no row. A pair whose replicas
    lie outside the server's own minimum and maximum is rejected, as is every pair of a server of
    unknown load.

    Raises:
        InvalidInputError: An estimate names a server or an accelerator that the fleet does not
            have, a pair twice, or a model without a profile on the accelerator (so that the cards
            of a replica are unknown); or its figures make no sense.
    """
    arrays = fleet_arrays(fleet)
    pairs = _indexed(arrays, estimates)
    server = np.array([pair.server for pair in pairs], dtype=np.int64)
    accelerator = np.array([pair.accelerator for pair in pairs], dtype=np.int64)
    items = [pair.estimate for pair in pairs]
    replicas = np.array([item.replicas for item in items], dtype=np.int64)
    cost = _floats([item.cost_per_hour for item in items])
    empty = accelerator == EMPTY
    min_replicas, max_replicas = _replica_bounds(arrays, server, replicas, fleet.rules.max_replicas)

    profiles, accelerators = arrays.profiles, arrays.accelerators
    profile = profile_of(arrays, server, accelerator)
    rejection = np.full(len(pairs), ACCEPTED, dtype=np.int64)
    outside = (replicas < min_replicas) | (replicas > max_replicas)
    rejection[outside] = rejection_code(Rejection.REPLICA_BOUND)
    pinned = arrays.servers.pinned[server]
    rejection[~empty & (pinned != EMPTY) & (pinned != accelerator)] = rejection_code(
        Rejection.NOT_CURRENT
    )
    per_replica = pick(accelerators.cards, accelerator, 0) * pick(profiles.units, profile, 0)
    countless = per_replica.astype(np.float64) * replicas > MOST_CARDS
    rejection[countless] = rejection_code(Rejection.NUMERIC)
    rejection[~arrays.servers.load_known[server]] = rejection_code(Rejection.LOAD_UNKNOWN)

    return CandidateTable(
        servers=arrays.servers.names,
        accelerators=accelerators.names,
        card_types=accelerators.card_types,
        priority=arrays.servers.priority,
        total_rate_rps=total_rate_rps(arrays.servers, fleet.rules.tps_replaces_rate),
        row_start=np.searchsorted(server, np.arange(len(arrays.servers.names) + 1)).astype(
            np.int64
        ),
        server=server,
        accelerator=accelerator,
        card_type=pick(accelerators.card_type, accelerator, EMPTY),
        rejection=rejection,
        replicas=replicas,
        min_replicas=min_replicas,
        max_replicas=max_replicas,
        max_batch=np.array([item.max_batch for item in items], dtype=np.int64),
        max_queue=np.where(empty, 0, UNKNOWN),
        cards_per_replica=per_replica,
        unit_cost_per_hour=cost / np.maximum(replicas, 1),
        cost_per_hour=cost,
        value=_floats([item.value for item in items]),
        ttft_ms=_floats([item.ttft_ms for item in items]),
        itl_ms=_floats([item.itl_ms for item in items]),
        utilization=_floats([item.utilization for item in items]),
        blocking=np.where(empty, 0.0, np.nan),
        max_rate_rps=_floats([item.max_rate_rps for item in items]),
        estimate=pick(profiles.estimate, profile, UNKNOWN),
        statistics=arrays.servers.statistics,
        best_ms=np.full((len(arrays.servers.statistics), len(pairs)), np.nan),
        transitions=arrays.servers.transitions,
    )


def _indexed(arrays: FleetArrays, estimates: Sequence[CandidateEstimate]) -> list[_Pair]:
    """Check the estimates against the fleet and sort them into the order of the table."""
    server_index = {name: index for index, name in enumerate(arrays.servers.names)}
    accelerator_index = {name: index for index, name in enumerate(arrays.accelerators.names)}
    problems: list[Problem] = []
    pairs: dict[tuple[int, int], _Pair] = {}
    for estimate in estimates:
        path = f"candidates.{estimate.server}.{estimate.accelerator or '(empty)'}"
        server = server_index.get(estimate.server)
        accelerator = (
            EMPTY if estimate.accelerator is None else accelerator_index.get(estimate.accelerator)
        )
        if server is None:
            problems.append(Problem(path, f"the fleet has no server {estimate.server!r}"))
        elif accelerator is None:
            problems.append(Problem(path, f"the fleet has no accelerator {estimate.accelerator!r}"))
        elif problem := _nonsense(arrays, server, accelerator, estimate):
            problems.append(Problem(path, *problem))
        else:
            pair = _Pair(server, accelerator, estimate)
            earlier = pairs.setdefault((server, accelerator), pair)
            if earlier is not pair and accelerator != EMPTY:
                problems.append(Problem(path, "this pair is given twice", "once each"))
            elif earlier.estimate.value > estimate.value:
                pairs[server, accelerator] = pair
    if problems:
        raise InvalidInputError(problems)
    return [pairs[key] for key in sorted(pairs)]


def _nonsense(
    arrays: FleetArrays, server: int, accelerator: int, estimate: CandidateEstimate
) -> tuple[str, str] | None:
    """Return what is wrong with an estimate and what is allowed, or None."""
    if accelerator == EMPTY:
        needs_nothing = arrays.servers.zero_load[server] and not arrays.servers.min_replicas[server]
        if needs_nothing or not arrays.servers.load_known[server]:
            return None
        return (
            "an empty allocation for a server that has load or a minimum of replicas",
            "an accelerator",
        )
    if arrays.profiles.of_pair[arrays.servers.model[server], accelerator] == UNKNOWN:
        return (
            "the model has no profile on this accelerator, so that the cards of a replica are "
            "unknown",
            "an accelerator on which the fleet has a profile of the model",
        )
    if not 1 <= estimate.replicas <= _MOST_REPLICAS:
        return f"replicas {estimate.replicas}", f"an integer from 1 to {_MOST_REPLICAS}"
    if not (np.isfinite(estimate.cost_per_hour) and np.isfinite(estimate.value)):
        return f"cost {estimate.cost_per_hour}, value {estimate.value}", "finite numbers"
    return None


def _replica_bounds(
    arrays: FleetArrays, server: IntArray, replicas: IntArray, max_replicas: int
) -> tuple[IntArray, IntArray]:
    """Return the server's own bounds; without a maximum of its own, the fleet's or more.

    Somebody else's estimate is taken at its word, also where it is above the fleet's bound.
    """
    low = arrays.servers.min_replicas[server]
    own = arrays.servers.max_replicas[server]
    most = np.maximum(max_replicas, low)
    return low, np.where(own == UNKNOWN, np.maximum(most, replicas), own)


def _floats(values: Sequence[float]) -> FloatArray:
    return np.array(values, dtype=np.float64)
