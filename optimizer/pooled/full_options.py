"""Options that serve a server in full: a candidate with as many replicas as rules ask for."""

from __future__ import annotations

import numpy as np

from optimizer.pooled.cut import SliceKinds
from optimizer.pooled.options import Options
from optimizer.pooled.power import replica_power
from optimizer.pooled.running import current, same_batch, told
from optimizer.pooled.slack import target_shares
from optimizer.pooled.wishes import WishArrays
from optimizer.table import EMPTY, BoolArray, CandidateTable, FloatArray, IntArray, rejection_code
from optimizer.transition import rows_that_stay, running_by_row
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Limits, ObjectiveName, Survival
from stoker.domain.reasons import Rejection


def full_options(
    fleet: Fleet,
    table: CandidateTable,
    limits: Limits,
    wishes: WishArrays,
    standing: IntArray,
    rejected: dict[int, int],
) -> Options:
    """Return the options that serve a server in full."""
    rows = np.flatnonzero(table.accepted)
    server, accelerator = table.server[rows], table.accelerator[rows]
    empty = accelerator == EMPTY
    need = np.where(empty, 0, table.replicas[rows])
    loaded, idle = power_of_rows(fleet, table, rows, accelerator)
    survive = limits.headroom.survive
    least = np.where(need > 0, np.maximum(need, wishes.zones[server]), 0)
    if survive is not None:
        # A deployment with spare replicas does without any one of them.
        more = np.where(table.spare[rows] > 0, 0, 1)
        least = np.where(need > 0, np.maximum(least, need + more), 0)
    counts_as = replicas_counted(table, rows)
    bound = most_replicas(table, rows, limits)
    most = np.where(grows(wishes, survive)[server] & ~empty, bound, least)
    _, replicas_now = current(fleet, table)
    same = rows_that_stay(table)[rows]
    running = running_by_row(table, replicas_now)[rows]
    fixed = least == most
    anywhere = ~told(standing)[server]
    still = same & fixed & (least == running) & anywhere & same_batch(fleet, table)[rows]
    unchanged = still | (empty & (replicas_now[server] == 0))
    weight, constant = worth(table, rows, same)
    cards = np.where(empty, 0, table.cards_per_replica[rows])
    kind, per_card, share = SliceKinds.of(table).taken_by(accelerator, cards)
    unit = np.where(empty, 0.0, table.unit_cost_per_hour[rows])
    options = Options(
        row=rows,
        server=server,
        group=np.full(rows.size, -1, dtype=np.int64),
        wisher=server,
        card_type=table.card_type[rows],
        cards_per_replica=cards,
        counts_as=counts_as,
        kind=kind,
        per_card=per_card,
        card_share=share,
        least=least,
        most=most,
        remain=np.where((need > 0) & (survive is not None) & (table.spare[rows] == 0), need, 0),
        ruled=~empty,
        serves=np.ones(rows.size, dtype=np.bool_),
        changed=~unchanged,
        in_place=np.zeros(rows.size, dtype=np.bool_),
        constant=constant,
        start_cost=unit * limits.replica_start_s / 3600.0 / limits.plan_hours,
        running=running,
        weight=weight,
        unit_cost=unit,
        power_w=loaded,
        idle_power_w=idle,
        target_use=target_shares(fleet, table, rows),
        share_per_replica=np.zeros(rows.size),
    )
    fine = np.ones(rows.size, dtype=np.bool_)
    powered = limits.power_w is not None or limits.idle_power_w is not None
    if powered or fleet.objectives.includes(ObjectiveName.ENERGY):
        fine = _reject(rows, fine, ~empty & ~np.isfinite(loaded), Rejection.POWER_UNKNOWN, rejected)
    apart = table.disaggregated[rows] & (survive is Survival.NODE)
    fine = _reject(rows, fine, apart, Rejection.SPREAD, rejected)
    fine = _reject(rows, fine, ~empty & (least > bound), Rejection.REPLICA_BOUND, rejected)
    return options.take(fine)


def _reject(
    rows: IntArray, fine: BoolArray, where: BoolArray, reason: Rejection, rejected: dict[int, int]
) -> BoolArray:
    code = rejection_code(reason)
    rejected |= dict.fromkeys(rows[fine & where].tolist(), code)
    return fine & ~where


def replicas_counted(table: CandidateTable, rows: IntArray) -> IntArray:
    """Return the replicas that one of each row is: of two pools those of both."""
    each: IntArray = table.all_replicas[rows] // np.maximum(table.replicas[rows], 1)
    return np.where(table.disaggregated[rows], np.maximum(each, 1), 1)


def most_replicas(table: CandidateTable, rows: IntArray, limits: Limits) -> IntArray:
    """Return how many of each row its server may have at most: of two pools, deployments."""
    bound = table.max_replicas[rows]
    if limits.max_replicas_per_server is not None:
        bound = np.minimum(bound, limits.max_replicas_per_server)
    most: IntArray = bound // replicas_counted(table, rows)
    return most


def grows(wishes: WishArrays, survive: Survival | None) -> BoolArray:
    """Return the servers for which more replicas than the fewest may be needed to spread them."""
    spread = (wishes.zone_share < 1) | ((wishes.zones > 1) & (wishes.spot_share < 1))
    return np.ones_like(spread) if survive in (Survival.NODE, Survival.ZONE) else spread


def power_of_rows(
    fleet: Fleet, table: CandidateTable, rows: IntArray, accelerator: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return the power of one replica of each row, loaded and idle, in W; NaN where unknown."""
    loaded, idle = np.zeros(rows.size), np.zeros(rows.size)
    real = np.flatnonzero(accelerator != EMPTY)
    loaded[real], idle[real] = replica_power(
        fleet,
        accelerator[real],
        table.cards_per_replica[rows[real]],
        table.utilization[rows[real]],
    )
    return loaded, idle


def worth(table: CandidateTable, rows: IntArray, same: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return the weight of prices, and the part of the value that no price changes.

    With all replicas at the accelerator's price the value is that of the candidate table.
    """
    empty = table.accelerator[rows] == EMPTY
    penalty = table.transitions.penalty if table.transitions is not None else 0.0
    weight = np.where(same | empty, 1.0, 1.0 + penalty)
    unit = np.where(empty, 0.0, table.unit_cost_per_hour[rows])
    return weight, table.value[rows] - np.where(empty, 0, table.replicas[rows]) * unit * weight
