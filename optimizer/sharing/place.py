"""The best placement where servers may share replicas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from optimizer.complete import completed, with_best_effort
from optimizer.milp import place_milp
from optimizer.placement import Outcome, Placement
from optimizer.sharing.answer import SharedChoice
from optimizer.sharing.barred import NOTHING_BARRED, Barred
from optimizer.sharing.candidates import (
    SharedCandidate,
    SharedFleet,
    shared_candidates,
)
from optimizer.sharing.extended import extended
from optimizer.sharing.model import SharingModel
from optimizer.table import CandidateTable, IntArray, rejection_code
from stoker.domain.fleet import Fleet
from stoker.domain.reasons import Rejection
from stoker.domain.settings import OptimizerSettings


def place_shared(
    fleet: Fleet,
    table: CandidateTable,
    settings: OptimizerSettings,
    capacity: IntArray,
    clock: Callable[[], float],
    barred: Barred = NOTHING_BARRED,
) -> Outcome:
    """Return what each server gets: replicas of its own, or common ones with others.

    Args:
        fleet: The fleet, whose `sharing` says who may share.
        table: Candidates of each server alone.
        settings: How to plan, nothing left open.
        capacity: Cards available by type, shape (types,); not heeded by an unlimited plan.
        clock: Seconds, for timings and time limits.
        barred: Ways to share that are not tried.

    Raises:
        SolverUnavailableError: The MILP solver asked for cannot be used.
    """
    start = clock()
    shared = SharedFleet(fleet)
    if settings.unlimited:
        capacity = ample_cards(table)
    candidates = shared_candidates(shared, table, capacity, barred)
    whole, own_row, of_candidate = extended(table, candidates, shared.arrays)
    predicted = clock()
    # Best effort, and a plan made in turn, give replicas to a server alone.
    sets = rejection_code(Rejection.NO_CARDS)
    alone = replace(whole, rejection=np.where(of_candidate >= 0, sets, whole.rejection))
    model = SharingModel(of_candidate)
    outcome = place_milp(whole, capacity, settings, build=model, alone=alone, clock=clock)
    if not settings.unlimited:
        outcome = with_best_effort(alone, outcome, capacity, settings.saturation_policy)
    outcome = completed(alone, outcome)
    return replace(
        outcome,
        placement=_own(outcome.placement, own_row),
        shared=_chosen(fleet, outcome.placement, candidates, of_candidate),
        timings_ms={"share": (predicted - start) * 1e3, **outcome.timings_ms},
    )


def ample_cards(table: CandidateTable) -> IntArray:
    """Return cards of each type for all servers at their dearest."""
    counts = np.zeros(len(table.card_types), dtype=np.int64)
    rows = np.flatnonzero(table.accepted & (table.card_type >= 0))
    np.add.at(counts, table.card_type[rows], table.cards[rows])
    return counts


def _own(placement: Placement, own_row: IntArray) -> Placement:
    """Return what is placed alone, as rows of the table of servers alone."""
    row = own_row[placement.row]
    kept = row >= 0
    return Placement(row[kept], placement.replicas[kept], placement.served)


def _chosen(
    fleet: Fleet,
    placement: Placement,
    candidates: tuple[SharedCandidate, ...],
    of_candidate: IntArray,
) -> tuple[SharedChoice, ...]:
    index = np.unique(of_candidate[placement.row])
    return tuple(choice_of(fleet, candidates[int(one)]) for one in index[index >= 0])


def choice_of(fleet: Fleet, item: SharedCandidate) -> SharedChoice:
    """Return a set of servers as what is decided about it."""
    return SharedChoice(
        members=item.way.members,
        profile=item.way.profile,
        accelerator=item.way.accelerator,
        configuration=fleet.profiles[item.way.profile].configuration,
        card_type=fleet.accelerators[item.way.accelerator].card_type,
        group=item.way.group,
        replicas=item.replicas,
        max_batch=item.way.max_batch,
        max_queue=item.way.max_queue,
        cards=item.cards,
        cost_per_hour=item.cost_per_hour,
        value=item.value,
    )
