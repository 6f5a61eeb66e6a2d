"""Which sets of servers are tried on common replicas, and in which ways."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from optimizer.fleet_columns import UNKNOWN, FleetArrays
from optimizer.table import EMPTY
from queueing.chain import MAX_BATCH_LIMIT
from queueing.engine.cases import LARGEST_BATCH
from stoker.domain.fleet import Fleet
from stoker.domain.settings import QueueRule
from stoker.domain.sharing import SharingGroup

ALL_SETS = 3
"""Servers of a set up to which all sets are tried; beyond, those of all and of all but one."""


@dataclass(frozen=True, slots=True)
class SharedWay:
    """A set of servers on common replicas of one profile with one batch limit.

    Attributes:
        group: Index of the sharing group.
        members: Indices of the servers, ascending.
        profile: Index of the profile.
        accelerator: Index of the accelerator.
        max_batch: Batch limit of a replica.
        max_queue: Queue limit of a replica.
        least: Smallest number of replicas.
        most: Largest number of replicas.
    """

    group: int
    members: tuple[int, ...]
    profile: int
    accelerator: int
    max_batch: int
    max_queue: int
    least: int
    most: int


def shared_ways(fleet: Fleet, arrays: FleetArrays) -> tuple[SharedWay, ...]:
    """Return all ways to share replicas that need no prediction to be ruled out."""
    return tuple(
        way
        for index, group in enumerate(fleet.sharing)
        for members in member_sets(_able(group, arrays))
        for way in _ways(fleet, arrays, index, members)
    )


def member_sets(servers: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield the sets of servers that are tried: up to `ALL_SETS`, all but one, and all."""
    for size in _sizes(len(servers)):
        yield from combinations(servers, size)


def untried_sizes(group: SharingGroup, arrays: FleetArrays) -> tuple[int, ...]:
    """Return the sizes of sets of a group that are not tried."""
    count = len(_able(group, arrays))
    tried = _sizes(count)
    return tuple(size for size in range(2, count) if size not in tried)


def _sizes(count: int) -> list[int]:
    """Return the sizes of sets of so many servers that are tried."""
    sizes = {*range(2, min(ALL_SETS, count) + 1), count - 1, count}
    return sorted(size for size in sizes if 2 <= size <= count)


def _able(group: SharingGroup, arrays: FleetArrays) -> list[int]:
    """Return the servers of a group that have a load and targets, in the fleet's order."""
    servers = arrays.servers
    place = {name: index for index, name in enumerate(servers.names)}
    return [
        index
        for index in sorted(place[name] for name in group.servers if name in place)
        if servers.load_known[index] and not servers.zero_load[index] and servers.has_target[index]
    ]


def _ways(
    fleet: Fleet, arrays: FleetArrays, group: int, members: tuple[int, ...]
) -> Iterator[SharedWay]:
    servers, profiles, options = arrays.servers, arrays.profiles, arrays.profiles.options
    rows = np.array(members)
    width = len(arrays.accelerators.names)
    first = options.start[servers.model[rows[0]] * width]
    last = options.start[(servers.model[rows[0]] + 1) * width]
    least = int(servers.min_replicas[rows].max())
    own = servers.max_replicas[rows]
    bounded = own[own != UNKNOWN]
    most = int(bounded.min()) if len(bounded) else max(fleet.rules.max_replicas, least)
    pinned = set(servers.pinned[rows].tolist()) - {EMPTY}
    for option in range(first, last):
        profile, accelerator = int(options.profile[option]), int(options.accelerator[option])
        if profile == UNKNOWN or options.disaggregated[option] or profiles.all_zero[profile]:
            continue
        if pinned - {accelerator} or not _fits(fleet, arrays, rows, profile, accelerator):
            continue
        for limit in _batch_limits(arrays, members, profile):
            yield SharedWay(
                group,
                members,
                profile,
                accelerator,
                limit,
                _queue_limit(fleet, arrays, members, profile, limit),
                least,
                most,
            )


def _fits(
    fleet: Fleet, arrays: FleetArrays, rows: np.ndarray, profile: int, accelerator: int
) -> bool:
    """Return whether memory holds the model, and a request of each server."""
    profiles, servers = arrays.profiles, arrays.servers
    available = arrays.accelerators.memory_gb[accelerator] * profiles.units[profile]
    if profiles.required_memory_gb[profile] > available:
        return False
    tokens = float((servers.input_tokens[rows] + servers.output_tokens[rows]).max())
    return not fleet.rules.reject_short_memory or tokens <= float(profiles.kv_tokens[profile])


def _batch_limits(arrays: FleetArrays, members: tuple[int, ...], profile: int) -> list[int]:
    """Return the batch limits that all members allow, or the one derived where none names any."""
    servers, profiles = arrays.servers, arrays.profiles
    allowed: set[int] | None = None
    for member in members:
        own = servers.batch_limits[servers.limit_start[member] : servers.limit_start[member + 1]]
        named = {int(limit) for limit in own} - {UNKNOWN}
        if named:
            allowed = named if allowed is None else allowed & named
    if allowed is not None:
        return sorted(limit for limit in allowed if limit <= LARGEST_BATCH)
    if np.isfinite(profiles.kv_tokens[profile]):
        return [int(np.clip(profiles.max_batch[profile], 1, LARGEST_BATCH))]
    rows = np.array(members)
    rate = servers.rate_rps[rows]
    tokens = float((rate * servers.output_tokens[rows]).sum() / rate.sum())
    held = np.floor(profiles.batch_tokens[profile] / tokens)
    return [int(np.clip(held, 1, min(MAX_BATCH_LIMIT, LARGEST_BATCH)))] if held >= 1 else []


def _queue_limit(
    fleet: Fleet, arrays: FleetArrays, members: tuple[int, ...], profile: int, batch: int
) -> int:
    """Return the smallest queue limit that a member names, else the one of the rules."""
    own = arrays.servers.max_queue[np.array(members)]
    named = own[own != UNKNOWN]
    ten = 10 * batch
    if fleet.rules.queue_rule is QueueRule.REFERENCE and not len(named):
        return ten if arrays.profiles.linear[profile] else 0
    return int(named.min()) if len(named) else ten
