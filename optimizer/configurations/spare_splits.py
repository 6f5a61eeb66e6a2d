"""Prefill and decode pools that do without any one of their replicas.

A plan that survives the loss of a replica (`headroom.survive: replica`) needs no second deployment
beside one of two pools: a few replicas more in both keep the promises whichever of them is lost.
Such a deployment is a candidate of its own, beside the one that just carries the load, of which it
takes two. Servers that are spread over zones have whole deployments in several already.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.configurations.pools import PoolFleet, PoolRows
from optimizer.configurations.split_figures import split_figures
from optimizer.configurations.splits import best_splits
from optimizer.fleet_columns import MOST_CARDS, FleetArrays, pick
from optimizer.predictions import ReplicaFigures
from optimizer.table import CandidateTable, IntArray
from optimizer.transition import candidate_values
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Survival
from stoker.domain.pools import NO_WISHES


def with_spare_splits(
    table: CandidateTable, fleet: Fleet, arrays: FleetArrays, asked: PoolRows, least: IntArray
) -> CandidateTable:
    """Return a table with a row more for each of two pools: the cheapest that can lose a replica.

    The same table where the fleet is to survive anything else, or nothing.

    Args:
        table: Candidates.
        fleet: The fleet.
        arrays: The same as arrays.
        asked: Pools of each row of the table, whose sizes are not looked at.
        least: Smallest number of replicas of each row, of both pools together.
    """
    if fleet.limits.headroom.survive is not Survival.REPLICA:
        return table
    wishes = [fleet.wishes.get(server.name, NO_WISHES) for server in fleet.servers]
    alone = np.array(
        [w.spread_zones < 2 and w.max_zone_share in (None, 1.0) for w in wishes], dtype=np.bool_
    )
    rows = np.flatnonzero(table.accepted & table.disaggregated & alone[table.server])
    first, second, carried = _sizes(fleet, arrays, table, asked.take(rows), rows, least[rows])
    units = arrays.profiles.units
    profile = asked.profile[rows]
    cards = pick(arrays.accelerators.cards, table.accelerator[rows], 0) * (
        first * units[arrays.profiles.prefill[profile]] + second * units[profile]
    )
    found = (first > 0) & (cards <= MOST_CARDS)
    if not np.any(found):
        return table
    rows, first, second, carried = rows[found], first[found], second[found], carried[found]
    return _with_rows(table, arrays, fleet, asked.take(rows), rows, (first, second), carried)


def _sizes(
    fleet: Fleet,
    arrays: FleetArrays,
    table: CandidateTable,
    asked: PoolRows,
    rows: IntArray,
    least: IntArray,
) -> tuple[IntArray, IntArray, np.ndarray]:
    """Return prefill and decode replicas, 0 where there are none, and what they carry."""
    rate = table.total_rate_rps[table.server[rows]]
    most = table.max_replicas[rows]
    first, second = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
    carried = table.max_rate_rps[rows].copy()
    idle = np.flatnonzero(rate == 0)
    # Without load any replica of each pool will do.
    both = np.maximum(least[idle] + 1 - 2, 2)
    fits = 2 + both <= most[idle]
    first[idle[fits]], second[idle[fits]] = 2, both[fits]
    busy = np.flatnonzero(rate > 0)
    if len(busy):
        pools = PoolFleet(arrays, fleet.rules.max_blocking)
        found = best_splits(
            pools, asked.take(busy), rate[busy], least[busy], most[busy], losing=True
        )
        first[busy], second[busy] = found.prefill, found.decode
        carried[busy] = found.rate_rps
    return first, second, carried


def _with_rows(
    table: CandidateTable,
    arrays: FleetArrays,
    fleet: Fleet,
    asked: PoolRows,
    rows: IntArray,
    sizes: tuple[IntArray, IntArray],
    carried: np.ndarray,
) -> CandidateTable:
    """Return a table with copies of rows that have other sizes, each behind the row that it is of.

    Args:
        table: The table.
        arrays: The fleet as arrays.
        fleet: The fleet.
        asked: Pools of the rows.
        rows: The rows.
        sizes: Their prefill and decode replicas.
        carried: What they carry.
    """
    assert table.prefill_replicas is not None
    assert table.decode_replicas is not None
    first, second = sizes
    figures = ReplicaFigures(
        table.ttft_ms[rows],
        table.itl_ms[rows],
        table.utilization[rows],
        table.blocking[rows],
        np.zeros(len(rows)),
        np.zeros(len(rows), dtype=np.int64),
    )
    rate = table.total_rate_rps[table.server[rows]]
    busy = np.flatnonzero(rate > 0)
    if len(busy):
        pools = PoolFleet(arrays, fleet.rules.max_blocking)
        sized = replace(asked.take(busy), prefill=first[busy], decode=second[busy])
        figures.put(busy, split_figures(pools, table.statistics, sized, rate[busy]))
    units = arrays.profiles.units
    units_each = first * units[arrays.profiles.prefill[asked.profile]]
    units_each = units_each + second * units[asked.profile]
    accelerator = table.accelerator[rows]
    cost = pick(arrays.accelerators.cost_per_hour, accelerator, 0.0) * units_each
    servers = arrays.servers
    value = candidate_values(
        servers.transitions,
        servers.current_replicas,
        table.server[rows],
        accelerator,
        first + second,
        cost,
        configuration=None if table.configuration is None else table.configuration[rows],
        prefill_replicas=first,
    )
    spare = first + second - table.prefill_replicas[rows] - table.decode_replicas[rows]
    order = np.sort(np.concatenate([np.arange(len(table.server)), rows]), kind="stable")
    wider = table.take(order)
    place = np.flatnonzero(np.diff(order, prepend=-1) == 0)

    def put(column: np.ndarray, values: np.ndarray) -> np.ndarray:
        changed = column.copy()
        changed[place] = values
        return changed

    assert wider.prefill_replicas is not None
    assert wider.decode_replicas is not None
    cards = pick(arrays.accelerators.cards, accelerator, 0) * units_each
    return replace(
        wider,
        prefill_replicas=put(wider.prefill_replicas, first),
        decode_replicas=put(wider.decode_replicas, second),
        spare_replicas=put(np.zeros(len(order), dtype=np.int64), spare),
        cards_per_replica=put(wider.cards_per_replica, cards),
        unit_cost_per_hour=put(wider.unit_cost_per_hour, cost),
        cost_per_hour=put(wider.cost_per_hour, cost),
        value=put(wider.value, value),
        ttft_ms=put(wider.ttft_ms, figures.ttft_ms),
        itl_ms=put(wider.itl_ms, figures.itl_ms),
        utilization=put(wider.utilization, figures.utilization),
        blocking=put(wider.blocking, figures.blocking),
        max_rate_rps=put(wider.max_rate_rps, carried),
    )
