"""Options of servers that share replicas: one for each of a set, taken together or not at all.

The option of the first server has the replicas, with all that they take, cost and draw; those of
the others have none. Who asks for zones, or for a share of them, asks it of the common replicas.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from optimizer.pooled.cut import SliceKinds
from optimizer.pooled.full_options import grows
from optimizer.pooled.options import Options
from optimizer.pooled.power import replica_power
from optimizer.pooled.running import told
from optimizer.pooled.wishes import WishArrays
from optimizer.sharing.figured import SharedSet
from optimizer.table import CandidateTable, IntArray
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Limits, ObjectiveName


def joined_wishes(wishes: WishArrays, sets: Sequence[SharedSet]) -> WishArrays:
    """Return the wishes of servers, with those of each set behind them.

    A set stands where all its members may, in as many zones as any of them asks for, with no larger
    shares than any of them allows. A pool is as far down as it is for the member that likes it
    least.
    """
    if not sets:
        return wishes
    members = [np.array(item.members) for item in sets]

    def behind(values: np.ndarray, together: np.ufunc) -> np.ndarray:
        return np.concatenate([values, [together.reduce(values[rows]) for rows in members]])

    return WishArrays(
        allowed=behind(wishes.allowed, np.logical_and),
        rank=behind(wishes.rank, np.maximum),
        zones=behind(wishes.zones, np.maximum),
        zone_share=behind(wishes.zone_share, np.minimum),
        spot_share=behind(wishes.spot_share, np.minimum),
    )


def joined_standing(standing: IntArray, sets: Sequence[SharedSet]) -> IntArray:
    """Return where replicas stand, by server and behind them by set: where its keeper's do."""
    nowhere = np.full(standing.shape[1], -1, dtype=np.int64)
    found: IntArray = np.array(
        [*standing, *(nowhere if s.keeper is None else standing[s.keeper] for s in sets)],
        dtype=np.int64,
    ).reshape(-1, standing.shape[1])
    return found


def set_options(
    fleet: Fleet,
    table: CandidateTable,
    sets: Sequence[SharedSet],
    limits: Limits,
    wishes: WishArrays,
    standing: IntArray,
) -> tuple[Options, tuple[SharedSet, ...]]:
    """Return the options of all sets, and the set of each of their groups.

    A set may be there twice: with the fewest replicas that it needs, and as what runs for it now.

    Args:
        fleet: The fleet.
        table: Candidates of each server alone.
        sets: The sets.
        limits: Limits that are left.
        wishes: Of servers, and of sets behind them.
        standing: Replicas that run now, by server and by set.
    """
    kinds = SliceKinds.of(table)
    groups = list(_groups(fleet, table, sets, limits, wishes, standing))
    parts = [
        row
        for group, (_, host) in enumerate(groups)
        for row in _with_members(host, groups[group][0], group)
    ]
    found: dict[str, Any] = {
        item.name: np.array([getattr(row, item.name) for row in parts], dtype=_TYPES[item.type])
        for item in fields(_Row)
        if item.name != "accelerator"
    }
    cards = found["cards_per_replica"]
    accelerator = np.array([row.accelerator for row in parts], dtype=np.int64)
    kind, per_card, share = kinds.taken_by(accelerator, cards)
    none = cards == 0
    options = Options(
        **found,
        row=np.full(len(parts), -1, dtype=np.int64),
        kind=np.where(none, -1, kind),
        per_card=np.where(none, 0, per_card),
        card_share=np.where(none, 0.0, share),
        serves=np.ones(len(parts), dtype=np.bool_),
        share_per_replica=np.zeros(len(parts)),
    )
    return options, tuple(item for item, _ in groups)


_TYPES: dict[object, type] = {"int": np.int64, "float": np.float64, "bool": np.bool_}


@dataclass(frozen=True, slots=True)
class _Row:
    """One option, in the words of `Options`."""

    server: int
    accelerator: int
    wisher: int
    group: int = 0
    card_type: int = -1
    cards_per_replica: int = 0
    counts_as: int = 1
    least: int = 0
    most: int = 0
    remain: int = 0
    ruled: bool = False
    changed: bool = False
    in_place: bool = False
    constant: float = 0.0
    start_cost: float = 0.0
    running: int = 0
    weight: float = 1.0
    unit_cost: float = 0.0
    power_w: float = 0.0
    idle_power_w: float = 0.0
    target_use: float = 0.0


def _with_members(host: _Row, item: SharedSet, group: int) -> Iterator[_Row]:
    """Yield the option of the first member, then those of the others."""
    first, *others = zip(item.members, item.target_use, strict=True)
    yield replace(host, group=group, target_use=first[1])
    for member, use in others:
        yield _Row(
            server=member,
            accelerator=-1,
            wisher=host.wisher,
            group=group,
            changed=host.changed,
            target_use=use,
        )


def _groups(
    fleet: Fleet,
    table: CandidateTable,
    sets: Sequence[SharedSet],
    limits: Limits,
    wishes: WishArrays,
    standing: IntArray,
) -> Iterator[tuple[SharedSet, _Row]]:
    """Yield each set with the option of its first member, as it is needed and as it runs."""
    servers = len(fleet.servers)
    survive = limits.headroom.survive
    growing, known = grows(wishes, survive), told(standing)
    loaded, idle = _power(fleet, sets)
    needed = (
        limits.power_w is not None
        or limits.idle_power_w is not None
        or fleet.objectives.includes(ObjectiveName.ENERGY)
    )
    counted = limits.max_changes is not None or fleet.objectives.includes(ObjectiveName.CHANGES)
    penalty = table.transitions.penalty if table.transitions is not None else 0.0
    for index, item in enumerate(sets):
        need, wisher = item.candidate.replicas, servers + index
        least = max(need, int(wishes.zones[wisher]), need + (survive is not None))
        bound = item.candidate.way.most
        if limits.max_replicas_per_server is not None:
            bound = min(bound, limits.max_replicas_per_server)
        if least > bound or (needed and not np.isfinite(loaded[index])):
            continue
        unit, most = item.unit_cost_per_hour, bound if growing[wisher] else least
        weight = 1.0 if item.stays else 1.0 + penalty
        runs = item.keeper is not None and item.same_batch
        still = runs and least == most == item.running and not known[wisher]
        host = _Row(
            server=item.members[0],
            accelerator=item.candidate.way.accelerator,
            wisher=wisher,
            card_type=item.candidate.card_type,
            cards_per_replica=item.cards_per_replica,
            least=least,
            most=most,
            remain=need if survive is not None else 0,
            ruled=True,
            changed=not still,
            constant=item.candidate.value - need * unit * weight,
            start_cost=unit * limits.replica_start_s / 3600.0 / limits.plan_hours,
            running=item.running,
            weight=weight,
            unit_cost=unit,
            power_w=float(loaded[index]),
            idle_power_w=float(idle[index]),
        )
        yield item, host
        if counted and runs and not still and least <= item.running <= bound:
            yield (
                item,
                replace(
                    host,
                    least=item.running,
                    most=item.running,
                    changed=False,
                    in_place=bool(known[wisher]),
                    constant=-unit * item.running,
                    start_cost=0.0,
                ),
            )


def _power(fleet: Fleet, sets: Sequence[SharedSet]) -> tuple[np.ndarray, np.ndarray]:
    return replica_power(
        fleet,
        np.array([item.candidate.way.accelerator for item in sets], dtype=np.int64),
        np.array([item.cards_per_replica for item in sets], dtype=np.int64),
        np.array([item.utilization for item in sets], dtype=np.float64),
    )
