"""Options beside those that serve in full: what runs left as it is, and parts of a candidate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.pooled.cut import SliceKinds
from optimizer.pooled.full_options import most_replicas, power_of_rows, replicas_counted
from optimizer.pooled.options import Options
from optimizer.pooled.running import current, same_batch, told
from optimizer.pooled.slack import target_shares
from optimizer.table import CandidateTable, IntArray
from optimizer.transition import rows_that_stay, running_by_row
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Limits, ObjectiveName


def stay_options(
    fleet: Fleet, table: CandidateTable, limits: Limits, standing: IntArray, full: Options
) -> Options:
    """Return, for each server with something running, the options to leave that as it is.

    One serves nobody in full. Where what runs is enough of a candidate with its batch limit, and no
    more than the server may have, another one does, one for each such candidate; a candidate with
    just as many replicas is such an option already, unless it is known where the replicas stand.
    """
    now, replicas_now = current(fleet, table)
    stays = rows_that_stay(table)
    running = running_by_row(table, replicas_now)
    alike = same_batch(fleet, table)
    rows, serving = [], []
    for index in range(len(fleet.servers)):
        if now[index] < 0:
            continue
        span = np.arange(table.row_start[index], table.row_start[index + 1])
        same = span[stays[span] & (running[span] > 0)]
        if not same.size or table.cards_per_replica[same[0]] < 1:
            continue
        nearest = same[np.argsort(~alike[same], kind="stable")]
        own = np.flatnonzero((full.server == index) & np.isin(full.row, same[alike[same]]))
        count = running[full.row[own]]
        within = count <= most_replicas(table, full.row[own], limits)
        enough = own[(full.least[own] <= count) & within & (full.least[own] > 0)]
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
    loaded, idle = power_of_rows(fleet, table, chosen, table.accelerator[chosen])
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
        group=np.full(chosen.size, -1, dtype=np.int64),
        wisher=server_index,
        card_type=table.card_type[chosen],
        cards_per_replica=cards,
        counts_as=replicas_counted(table, chosen),
        kind=kind,
        per_card=per_card,
        card_share=share,
        least=count,
        most=count,
        remain=np.where(serves & (survive is not None) & (table.spare[chosen] == 0), need, 0),
        ruled=serves,
        serves=serves,
        changed=np.zeros(chosen.size, dtype=np.bool_),
        in_place=told(standing)[server_index],
        constant=-unit * count,
        start_cost=np.zeros(chosen.size),
        running=count,
        weight=np.ones(chosen.size),
        unit_cost=unit,
        power_w=loaded,
        idle_power_w=idle,
        target_use=target_shares(fleet, table, chosen) if chosen.size else np.zeros(0),
        share_per_replica=np.where(
            need > 0, np.minimum(1.0 / np.maximum(need, 1), 1.0 / np.maximum(count, 1)), 0.0
        ),
    )


def part_options(full: Options, table: CandidateTable) -> Options:
    """Return the options to take some of a candidate's replicas, which serve a part of the load.

    Args:
        full: The options that serve in full, and none that leave what runs as it is: a candidate
            that runs now has its parts too.
        table: The candidate table.
    """
    whole = full.cards_per_replica > 0
    part = full.take(whole & (table.replicas[full.row] > 1))
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
