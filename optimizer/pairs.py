"""Every way to serve each server, with what is known of it before any prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.configurations.layout import lay_out
from optimizer.fleet_columns import UNKNOWN, FleetArrays, pick
from optimizer.table import ACCEPTED, EMPTY, BoolArray, IntArray, rejection_code
from queueing.chain import MAX_BATCH_LIMIT
from queueing.engine.cases import LARGEST_BATCH
from stoker.domain.profile import EstimateKind
from stoker.domain.reasons import Rejection
from stoker.domain.settings import Analysis, PlanningRules, QueueRule

_MOST_REPLICAS = 2**31 - 1
"""Bounds on replicas are clipped here, so that no product of counts overflows."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rows of the candidate table to be; arrays of shape (rows,) unless said otherwise.

    Which rows there are is told by `optimizer.configurations.layout`.

    Attributes:
        row_start: Rows of server s are ``row_start[s]:row_start[s + 1]``, shape (servers + 1,).
        server: Index of the server.
        accelerator: Index of the accelerator, or `EMPTY`.
        profile: Index of the profile, or `UNKNOWN`.
        max_batch: Batch limit of a replica.
        max_queue: Queue limit of a replica; of two pools, of a prefill replica.
        min_replicas: Smallest number of replicas.
        max_replicas: Largest number of replicas.
        rejection: Code of what speaks against the pair before any prediction.
        idle: Whether the server has a minimum of replicas but no load.
        largest_batch: Largest of the limits that the batch limit is chosen from; 0 where it is not
            chosen.
        disaggregated: Whether prefill and decode are apart.
        prefill_batch: Batch limit of a prefill replica; 0 where there is none.
    """

    row_start: IntArray
    server: IntArray
    accelerator: IntArray
    profile: IntArray
    max_batch: IntArray
    max_queue: IntArray
    min_replicas: IntArray
    max_replicas: IntArray
    rejection: IntArray
    idle: BoolArray
    largest_batch: IntArray
    disaggregated: BoolArray
    prefill_batch: IntArray


def fleet_pairs(
    arrays: FleetArrays, rules: PlanningRules, analysis: Analysis = Analysis.REFERENCE
) -> Pairs:
    """Lay out all pairs of a fleet and reject those that need no prediction to be ruled out."""
    servers = arrays.servers
    layout = lay_out(arrays)
    row_start, server = layout.row_start, layout.server
    accelerator, profile, own_batch = layout.accelerator, layout.profile, layout.own_batch
    max_batch, holds_one = _batch_limits(arrays, server, profile, own_batch)
    if analysis is Analysis.FULL:
        max_batch, holds_one = _within_memory(
            arrays, server, profile, own_batch, max_batch, holds_one
        )
    rejection = _rejections(arrays, rules, server, accelerator, profile, holds_one)
    max_queue = queue_limits(arrays, rules, server, profile, max_batch)
    prefill_batch = np.zeros(len(server), dtype=np.int64)
    apart = np.flatnonzero(layout.disaggregated)
    if len(apart):
        prefill = arrays.profiles.prefill[profile[apart]]
        limit, holds_one = prefill_limits(arrays, server[apart], prefill)
        prefill_batch[apart] = limit
        max_queue[apart] = queue_limits(arrays, rules, server[apart], prefill, limit)
        own = _rejections(arrays, rules, server[apart], accelerator[apart], prefill, holds_one)
        rejection[apart] = np.where(rejection[apart] == ACCEPTED, own, rejection[apart])
    own_bound = servers.max_replicas[server]
    low = servers.min_replicas[server]
    return Pairs(
        row_start=row_start,
        server=server,
        accelerator=accelerator,
        profile=profile,
        max_batch=np.where(accelerator == EMPTY, 0, max_batch),
        max_queue=np.where(accelerator == EMPTY, 0, max_queue),
        min_replicas=low,
        max_replicas=np.minimum(
            np.where(own_bound == UNKNOWN, np.maximum(rules.max_replicas, low), own_bound),
            _MOST_REPLICAS,
        ),
        rejection=rejection,
        idle=servers.zero_load[server] & (accelerator != EMPTY),
        largest_batch=np.zeros(len(server), dtype=np.int64),
        disaggregated=layout.disaggregated,
        prefill_batch=prefill_batch,
    )


def prefill_limits(
    arrays: FleetArrays, server: IntArray, profile: IntArray
) -> tuple[IntArray, BoolArray]:
    """Return the batch limits of prefill replicas, and whether their memory holds a request.

    A prefill replica has the limit of its own profile, whatever the server says: that is the limit
    of the replicas that decode.

    Args:
        arrays: The fleet.
        server: Server of each.
        profile: Profile of the prefill replicas of each, or `UNKNOWN`.
    """
    none = np.full(len(server), UNKNOWN)
    limit, holds_one = _batch_limits(arrays, server, profile, none)
    return _within_memory(arrays, server, profile, none, limit, holds_one)


def _batch_limits(
    arrays: FleetArrays, server: IntArray, profile: IntArray, own: IntArray
) -> tuple[IntArray, BoolArray]:
    """Return the batch limit of each pair, and whether its memory holds one request.

    The server's own limit decides where it has one. Otherwise the memory that held the profile's
    largest batch is shared by requests of another length: max(1, floor(batch * tokens / K)), and
    no more than is analysed (a lower limit than memory allows is always safe).
    """
    tokens = arrays.servers.output_tokens[server]
    long_enough = tokens > 0
    held = np.where(
        long_enough,
        np.floor(
            pick(arrays.profiles.batch_tokens, profile, 0.0) / np.where(long_enough, tokens, 1.0)
        ),
        pick(arrays.profiles.max_batch, profile, 0),
    )
    idle = arrays.servers.zero_load[server]
    held = np.where(idle, pick(arrays.profiles.max_batch, profile, 0), held)
    limit = np.clip(held, 1.0, MAX_BATCH_LIMIT).astype(np.int64)
    return np.where(own == UNKNOWN, limit, own), (own != UNKNOWN) | (held >= 1.0)


def _within_memory(
    arrays: FleetArrays,
    server: IntArray,
    profile: IntArray,
    own_batch: IntArray,
    max_batch: IntArray,
    holds_one: BoolArray,
) -> tuple[IntArray, BoolArray]:
    """Return batch limit and whether one request fits, where the analysis knows of KV memory.

    With a known KV capacity the profile's own largest batch is the limit, for memory bounds the
    batch by itself; one request needs room for all its tokens.
    """
    kv_tokens = pick(arrays.profiles.kv_tokens, profile, np.inf)
    known = np.isfinite(kv_tokens)
    servers = arrays.servers
    own = own_batch != UNKNOWN
    largest = np.clip(pick(arrays.profiles.max_batch, profile, 1), 1, LARGEST_BATCH)
    limit = np.where(known & ~own, largest, max_batch)
    fits = kv_tokens >= servers.input_tokens[server] + servers.output_tokens[server]
    return np.where(own, limit, np.minimum(limit, LARGEST_BATCH)), np.where(known, fits, holds_one)


def queue_limits(
    arrays: FleetArrays,
    rules: PlanningRules,
    server: IntArray,
    profile: IntArray,
    max_batch: IntArray,
) -> IntArray:
    """Return the queue limits of replicas with these batch limits."""
    own = arrays.servers.max_queue[server]
    ten_batches = 10 * np.minimum(max_batch, MAX_BATCH_LIMIT)
    match rules.queue_rule:
        case QueueRule.TEN_BATCHES:
            return np.where(own == UNKNOWN, ten_batches, own)
        case QueueRule.REFERENCE:
            named = np.where(own == UNKNOWN, 0, own)
            return np.where(pick(arrays.profiles.linear, profile, False), ten_batches, named)


def _rejections(
    arrays: FleetArrays,
    rules: PlanningRules,
    server: IntArray,
    accelerator: IntArray,
    profile: IntArray,
    holds_one: BoolArray,
) -> IntArray:
    servers, profiles = arrays.servers, arrays.profiles
    memory_gb = pick(arrays.accelerators.memory_gb, accelerator, np.nan)
    available_gb = memory_gb * pick(profiles.units, profile, 0)
    short = pick(profiles.required_memory_gb, profile, np.nan) > available_gb
    if rules.reject_short_memory:
        short |= ~holds_one
    pinned = servers.pinned[server]
    reasons = (
        (Rejection.LOAD_UNKNOWN, ~servers.load_known[server]),
        (Rejection.NO_TARGET, ~servers.has_target[server]),
        (Rejection.NOT_CURRENT, (pinned != EMPTY) & (pinned != accelerator)),
        (Rejection.NO_PROFILE, profile == UNKNOWN),
        (Rejection.ZERO_PARAMETERS, pick(profiles.all_zero, profile, False)),
        (Rejection.KIND_TOO_WEAK, _too_weak(arrays, rules, profile)),
        (Rejection.MEMORY, short),
    )
    rejection = np.full(len(server), ACCEPTED, dtype=np.int64)
    for reason, applies in reversed(reasons):
        rejection[applies] = rejection_code(reason)
    rejection[accelerator == EMPTY] = ACCEPTED
    return rejection


def _too_weak(arrays: FleetArrays, rules: PlanningRules, profile: IntArray) -> BoolArray:
    """Mask the pairs whose profile is of a kind below the least that plans may rest on."""
    if rules.minimum_kind is None:
        return np.zeros(len(profile), dtype=np.bool_)
    weakest = tuple(EstimateKind).index(rules.minimum_kind)
    return pick(arrays.profiles.estimate, profile, UNKNOWN) > weakest
