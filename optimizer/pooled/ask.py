"""From a fleet and its candidate table to the question that a model answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from optimizer.configurations.visible import batch_limits_now
from optimizer.evaluate import evaluate
from optimizer.pooled.cut import SliceKinds
from optimizer.pooled.fewest import fewest_replicas
from optimizer.pooled.options import Options, Pairs
from optimizer.pooled.place_rows import pool_places
from optimizer.pooled.pools import PoolArrays, pool_arrays
from optimizer.pooled.power import replica_power
from optimizer.pooled.question import Question, pair_up
from optimizer.pooled.wishes import WishArrays, wish_arrays
from optimizer.table import EMPTY, BoolArray, CandidateTable, FloatArray, IntArray, rejection_code
from optimizer.transition import rows_that_stay, running_by_row
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Limits, ObjectiveName, Survival
from stoker.domain.plan import PlannedAllocation, Rejection


def ask(
    fleet: Fleet,
    table: CandidateTable,
    taken: Mapping[str, int],
    kept: Sequence[PlannedAllocation] = (),
    *,
    on_nodes: bool = False,
) -> Question:
    """Return the question that a fleet and its candidates pose.

    Args:
        fleet: The fleet, its surge already in its loads.
        table: Its candidates.
        taken: Cards that are nobody's to give, by type.
        kept: What is kept as it runs, and counts against the limits.
        on_nodes: Whether every replica must have a place on the nodes of its pool.

    Raises:
        InvalidInputError: A card type in pools has another count than they add up to.
    """
    limits = left_over(fleet, kept)
    pools = pool_arrays(fleet, table.card_types, taken)
    standing = standing_now(fleet, pools)
    wishes = wish_arrays(fleet, pools)
    rejected: dict[int, int] = {}
    options = _full_options(fleet, table, limits, wishes, standing, rejected)
    if limits.max_changes is not None or fleet.objectives.includes(ObjectiveName.CHANGES):
        options = options.joined(_stays(fleet, table, limits, standing, options))
    if fleet.objectives.includes(ObjectiveName.FAIRNESS):
        options = options.joined(_parts(options, table))
    pairs = pair_up(options, pools, wishes, limits, standing)
    fewest, possible = fewest_replicas(options, pairs, pools, wishes, limits.headroom.survive)
    _note_rejections(options, pairs, possible, pools, rejected)
    options = replace(
        options, least=np.where(options.serves & options.ruled, fewest, options.least)
    )
    options = options.take(possible)
    classes = {item.name: index for index, item in enumerate(fleet.service_classes)}
    return Question(
        table=table,
        pools=pools,
        wishes=wishes,
        limits=limits,
        objectives=fleet.objectives,
        options=options,
        pairs=pair_up(options, pools, wishes, limits, standing),
        kinds=SliceKinds.of(table).kinds,
        running=np.array([_runs(fleet, index) for index in range(len(fleet.servers))], np.int64),
        standing=standing,
        rates=np.array(
            [0.0 if item.load is None else item.load.arrival_rate_rps for item in fleet.servers]
        ),
        class_index=np.array(
            [classes.get(item.service_class, len(classes)) for item in fleet.servers], np.int64
        ),
        classes=len(classes) + 1,
        places=pool_places(fleet, table, pools) if on_nodes else None,
        rejected=rejected,
    )


def left_over(fleet: Fleet, kept: Sequence[PlannedAllocation]) -> Limits:
    """Return the limits of a fleet less what is kept, which counts at full power."""
    limits = fleet.limits
    if not kept:
        return limits
    replicas = sum(item.replicas for item in kept)
    loaded, idle = kept_power(fleet, kept)
    return replace(
        limits,
        budget_per_hour=_less(
            limits.budget_per_hour, math.fsum(item.cost_per_hour for item in kept)
        ),
        power_w=_less(limits.power_w, loaded),
        idle_power_w=_less(limits.idle_power_w, idle),
        max_replicas=None
        if limits.max_replicas is None
        else max(0, limits.max_replicas - replicas),
    )


def kept_power(fleet: Fleet, kept: Sequence[PlannedAllocation]) -> tuple[float, float]:
    """Return the power of what is kept, in full and idle, in W; what is unknown is left out."""
    names = {item.name: index for index, item in enumerate(fleet.accelerators)}
    accelerator = np.array([names[item.accelerator or ""] for item in kept], dtype=np.int64)
    cards = np.array([item.cards for item in kept], dtype=np.int64)
    loaded, idle = replica_power(fleet, accelerator, cards, np.ones(len(kept)))
    return float(np.nansum(loaded)), float(np.nansum(idle))


def _less(limit: float | None, amount: float) -> float | None:
    return None if limit is None else max(0.0, limit - amount)


def _runs(fleet: Fleet, index: int) -> int:
    server = fleet.servers[index]
    now = server.current
    return int(
        server.load is not None
        and now is not None
        and now.accelerator is not None
        and now.replicas > 0
    )


def _full_options(
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
    loaded, idle = _power(fleet, table, rows, accelerator)
    survive = limits.headroom.survive
    least = np.where(need > 0, np.maximum(need, wishes.zones[server]), 0)
    if survive is not None:
        least = np.where(need > 0, np.maximum(least, need + 1), 0)
    bound = table.max_replicas[rows]
    if limits.max_replicas_per_server is not None:
        bound = np.minimum(bound, limits.max_replicas_per_server)
    most = np.where(_grows(wishes, survive)[server] & ~empty, bound, least)
    _, replicas_now = _current(fleet, table)
    same = rows_that_stay(table)[rows]
    running = running_by_row(table, replicas_now)[rows]
    fixed = least == most
    anywhere = ~_told(standing)[server]
    still = same & fixed & (least == running) & anywhere & _same_batch(fleet, table)[rows]
    unchanged = still | (empty & (replicas_now[server] == 0))
    weight, constant = _worth(table, rows, same)
    cards = np.where(empty, 0, table.cards_per_replica[rows])
    kind, per_card, share = SliceKinds.of(table).taken_by(accelerator, cards)
    unit = np.where(empty, 0.0, table.unit_cost_per_hour[rows])
    options = Options(
        row=rows,
        server=server,
        card_type=table.card_type[rows],
        cards_per_replica=cards,
        kind=kind,
        per_card=per_card,
        card_share=share,
        least=least,
        most=most,
        remain=np.where((need > 0) & (survive is not None), need, 0),
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
        target_use=_target_use(fleet, table, rows),
        share_per_replica=np.zeros(rows.size),
    )
    fine = np.ones(rows.size, dtype=np.bool_)
    powered = limits.power_w is not None or limits.idle_power_w is not None
    if powered or fleet.objectives.includes(ObjectiveName.ENERGY):
        fine = _reject(rows, fine, ~empty & ~np.isfinite(loaded), Rejection.POWER_UNKNOWN, rejected)
    fine = _reject(rows, fine, ~empty & (least > bound), Rejection.REPLICA_BOUND, rejected)
    return options.take(fine)


def _reject(
    rows: IntArray, fine: BoolArray, where: BoolArray, reason: Rejection, rejected: dict[int, int]
) -> BoolArray:
    code = rejection_code(reason)
    rejected |= dict.fromkeys(rows[fine & where].tolist(), code)
    return fine & ~where


def _grows(wishes: WishArrays, survive: Survival | None) -> BoolArray:
    """Return the servers for which more replicas than the fewest may be needed to spread them."""
    spread = (wishes.zone_share < 1) | ((wishes.zones > 1) & (wishes.spot_share < 1))
    return np.ones_like(spread) if survive in (Survival.NODE, Survival.ZONE) else spread


def _power(
    fleet: Fleet, table: CandidateTable, rows: IntArray, accelerator: IntArray
) -> tuple[FloatArray, FloatArray]:
    loaded, idle = np.zeros(rows.size), np.zeros(rows.size)
    real = np.flatnonzero(accelerator != EMPTY)
    loaded[real], idle[real] = replica_power(
        fleet,
        accelerator[real],
        table.cards_per_replica[rows[real]],
        table.utilization[rows[real]],
    )
    return loaded, idle


def standing_now(fleet: Fleet, pools: PoolArrays) -> IntArray:
    """Return the replicas that run now by pool, -1 throughout where that is not told."""
    index = pools.index()
    found = np.full((len(fleet.servers), pools.count), -1, dtype=np.int64)
    for position, server in enumerate(fleet.servers):
        if not _runs(fleet, position) or server.current is None or not server.current.in_pools:
            continue
        found[position] = 0
        for name, replicas in server.current.in_pools:
            if name in index:
                found[position, index[name]] = replicas
    return found


def _told(standing: IntArray) -> BoolArray:
    """Return the servers of which it is known where their replicas stand."""
    return np.asarray((standing >= 0).all(axis=1), dtype=np.bool_)


def _same_batch(fleet: Fleet, table: CandidateTable) -> BoolArray:
    """Return the rows with the batch limit that runs now, or any where that is not told."""
    now = batch_limits_now(fleet)[table.server]
    return np.asarray((now == 0) | (table.max_batch == now), dtype=np.bool_)


def _current(fleet: Fleet, table: CandidateTable) -> tuple[IntArray, IntArray]:
    """Return accelerator and replicas of what runs now, by server."""
    names = {name: index for index, name in enumerate(table.accelerators)}
    now = np.full(len(fleet.servers), EMPTY, dtype=np.int64)
    replicas = np.zeros(len(fleet.servers), dtype=np.int64)
    for index, server in enumerate(fleet.servers):
        if _runs(fleet, index) and server.current is not None:
            now[index] = names.get(server.current.accelerator or "", EMPTY - 1)
            replicas[index] = server.current.replicas
    return now, replicas


def _worth(table: CandidateTable, rows: IntArray, same: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return the weight of prices, and the part of the value that no price changes.

    With all replicas at the accelerator's price the value is that of the candidate table.
    """
    empty = table.accelerator[rows] == EMPTY
    penalty = table.transitions.penalty if table.transitions is not None else 0.0
    weight = np.where(same | empty, 1.0, 1.0 + penalty)
    unit = np.where(empty, 0.0, table.unit_cost_per_hour[rows])
    return weight, table.value[rows] - np.where(empty, 0, table.replicas[rows]) * unit * weight


def _target_use(fleet: Fleet, table: CandidateTable, rows: IntArray) -> FloatArray:
    """Return how much of its tightest target each row uses; 1 where unknown.

    Computed only where an objective asks for it.
    """
    use = np.zeros(rows.size)
    if not fleet.objectives.includes(ObjectiveName.SLO_SLACK):
        return use
    loaded = np.flatnonzero((table.accelerator[rows] != EMPTY) & (table.replicas[rows] > 0))
    asked = rows[loaded]
    rate = table.total_rate_rps[table.server[asked]] / table.replicas[asked]
    busy = rate > 0
    found = evaluate(fleet, table, asked[busy], rate[busy]).target_use
    use[loaded[busy]] = np.where(np.isfinite(found), found, 1.0)
    return use


def _stays(
    fleet: Fleet, table: CandidateTable, limits: Limits, standing: IntArray, full: Options
) -> Options:
    """Return, for each server with something running, the options to leave that as it is.

    One serves nobody in full. Where what runs is enough of a candidate with its batch limit,
    another one does, one for each such candidate; a candidate with just as many replicas is such an
    option already, unless it is known where the replicas stand.
    """
    now, replicas_now = _current(fleet, table)
    stays = rows_that_stay(table)
    running = running_by_row(table, replicas_now)
    same_batch = _same_batch(fleet, table)
    rows, serving = [], []
    for index in range(len(fleet.servers)):
        if now[index] < 0:
            continue
        span = np.arange(table.row_start[index], table.row_start[index + 1])
        same = span[stays[span] & (running[span] > 0)]
        if not same.size or table.cards_per_replica[same[0]] < 1:
            continue
        nearest = same[np.argsort(~same_batch[same], kind="stable")]
        own = np.flatnonzero((full.server == index) & np.isin(full.row, same[same_batch[same]]))
        enough = own[(full.least[own] <= running[full.row[own]]) & (full.least[own] > 0)]
        accepted = nearest[table.accepted[nearest]]
        rows.append(int(accepted[0] if accepted.size else nearest[0]))
        serving.append(False)
        for option in enough[full.changed[enough]].tolist():
            rows.append(int(full.row[option]))
            serving.append(True)
    chosen = np.array(rows, dtype=np.int64)
    serves = np.array(serving, dtype=np.bool_)
    server_index = table.server[chosen]
    count = running[chosen]
    loaded, idle = _power(fleet, table, chosen, table.accelerator[chosen])
    powered = limits.power_w is not None or limits.idle_power_w is not None
    if powered or fleet.objectives.includes(ObjectiveName.ENERGY):
        known = np.isfinite(loaded)
        loaded, idle, chosen, serves = loaded[known], idle[known], chosen[known], serves[known]
        server_index, count = server_index[known], count[known]
    unit = table.unit_cost_per_hour[chosen]
    cards = table.cards_per_replica[chosen]
    kind, per_card, share = SliceKinds.of(table).taken_by(table.accelerator[chosen], cards)
    need = np.where(table.accepted[chosen], table.replicas[chosen], 0)
    survive = limits.headroom.survive
    return Options(
        row=chosen,
        server=server_index,
        card_type=table.card_type[chosen],
        cards_per_replica=cards,
        kind=kind,
        per_card=per_card,
        card_share=share,
        least=count,
        most=count,
        remain=np.where(serves & (survive is not None), need, 0),
        ruled=serves,
        serves=serves,
        changed=np.zeros(chosen.size, dtype=np.bool_),
        in_place=_told(standing)[server_index],
        constant=-unit * count,
        start_cost=np.zeros(chosen.size),
        running=count,
        weight=np.ones(chosen.size),
        unit_cost=unit,
        power_w=loaded,
        idle_power_w=idle,
        target_use=_target_use(fleet, table, chosen) if chosen.size else np.zeros(0),
        share_per_replica=np.where(
            need > 0, np.minimum(1.0 / np.maximum(need, 1), 1.0 / np.maximum(count, 1)), 0.0
        ),
    )


def _parts(options: Options, table: CandidateTable) -> Options:
    """Return the options to take some of a candidate's replicas, which serve a part of the load."""
    whole = options.serves & options.changed & (options.cards_per_replica > 0)
    part = options.take(whole & (table.replicas[options.row] > 1))
    need = table.replicas[part.row]
    zeros = np.zeros(part.count, dtype=np.int64)
    return replace(
        part,
        least=zeros + 1,
        most=need - 1,
        remain=zeros,
        ruled=np.zeros(part.count, dtype=np.bool_),
        serves=np.zeros(part.count, dtype=np.bool_),
        changed=np.ones(part.count, dtype=np.bool_),
        constant=np.zeros(part.count),
        start_cost=np.zeros(part.count),
        share_per_replica=1.0 / need,
    )


def _note_rejections(
    options: Options,
    pairs: Pairs,
    possible: BoolArray,
    pools: PoolArrays,
    rejected: dict[int, int],
) -> None:
    """Note why options that serve in full are impossible, even alone in the fleet."""
    paired = np.bincount(pairs.option, minlength=options.count) > 0
    room = np.bincount(pairs.option, weights=pairs.room, minlength=options.count)
    any_cards = np.zeros(int(options.card_type.max(initial=-1)) + 1, dtype=np.bool_)
    any_cards[pools.card_type[(pools.cards > 0) & (pools.card_type < any_cards.size)]] = True
    for index in np.flatnonzero(~possible & options.serves & options.changed).tolist():
        if not paired[index]:
            held = bool(any_cards[options.card_type[index]])
            reason = Rejection.NO_POOL if held else Rejection.NO_CARDS
        elif room[index] < options.least[index]:
            reason = Rejection.NO_CARDS
        else:
            reason = Rejection.SPREAD
        rejected.setdefault(int(options.row[index]), rejection_code(reason))
