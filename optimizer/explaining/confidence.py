"""What becomes of a plan if the profiles that it was made from are off by their own error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from optimizer.evaluate import evaluate, evaluate_details
from optimizer.explaining.alternatives import accepted_rows
from optimizer.explaining.decision import (
    change_between,
    configuration_name,
    decision_of,
    part_of,
    pools_of,
)
from optimizer.explaining.edits import ProfileKey, profile_key, with_slower_profiles
from optimizer.explaining.problem import PlanningProblem
from optimizer.explaining.rule_totals import RuleTotals
from optimizer.explaining.shared_confidence import MISSED, SharedConfidence
from optimizer.explaining.situation import Situation
from optimizer.predictions import ReplicaDetails, ReplicaFigures
from optimizer.preparation import candidate_table
from optimizer.sharing.answer import SharedChoice
from optimizer.table import EMPTY, CandidateTable, FloatArray, IntArray
from stoker.domain.explanation import LatencyMargin, Regret, ReplicaRange
from stoker.domain.fleet import Fleet
from stoker.domain.plan_change import Evidence, PlanChange


@dataclass(frozen=True, slots=True)
class ProfileError:
    """How far off a profile is.

    Attributes:
        error: Relative error of its times, above 0 and below 1.
        source: Where that is from, in words.
    """

    error: float
    source: str


ProfileErrors = Mapping[ProfileKey, ProfileError]
"""Errors by model, accelerator and configuration; what is not there is unknown."""


class Confidence:
    """Answers what the replicas of a plan would do, and what would be planned, with other times."""

    def __init__(self, situation: Situation, errors: ProfileErrors) -> None:
        """Predict the fleet with all profiles slower by their errors, and faster."""
        self._situation = situation
        self._errors = errors
        problem = situation.problem
        slower = {key: 1.0 + item.error for key, item in errors.items()}
        faster = {key: 1.0 - item.error for key, item in errors.items()}
        self._slower = _with_profiles(problem, with_slower_profiles(problem.fleet, slower))
        self._faster = _with_profiles(problem, with_slower_profiles(problem.fleet, faster))
        self._rows, self._counts = _entries(situation)
        rate = _rates(situation.table, self._rows, self._counts)
        table, fleet = situation.table, self._slower.fleet
        self._figures = evaluate(fleet, table, self._rows, rate)
        self._details = evaluate_details(fleet, table, self._rows, rate)
        self._entry = {
            int(table.server[row]): index for index, row in enumerate(self._rows.tolist())
        }
        shared = situation.base.shared
        self._rules = RuleTotals.of(problem, shared=bool(shared))
        self._shared = SharedConfidence(shared, self._slower.fleet, self._faster.fleet, self._rules)

    def replica_range(self, server: int) -> ReplicaRange | None:
        """Return the replicas of a server's accelerator with other times.

        None where the error of its profile is unknown, for a mix, for best effort and without load.
        """
        if not self._situation.base.own[server].served:
            return None
        choice = self._shared.choice(server)
        if choice is not None:
            error = self._errors.get(self._shared_key(choice))
            if error is None:
                return None
            return self._shared.replica_range(server, error.error, error.source)
        entries = self._situation.base.entries[server]
        table = self._situation.table
        if len(entries) != 1 or table.accelerator[entries[0][0]] == EMPTY:
            return None
        row, count = entries[0]
        part = part_of(table, row, count)
        planned = part.replicas
        known = self._errors.get(self._key(server, row))
        if known is None or not table.total_rate_rps[server] > 0:
            return None
        fewest = self._replicas(self._faster.table, server, row)
        most = self._replicas(self._slower.table, server, row)
        # What runs already, or stands apart for the sake of shares, is no profile's doing.
        asked = min(planned, self._rules.of_row(server, row, table, row) or planned)
        unit = self._situation.base.own[server].cost_per_hour / planned
        entry = self._entry[server]
        return ReplicaRange(
            error=known.error,
            source=known.source,
            fewest=fewest,
            most=most,
            missed=self._missed(server, entry),
            blocking=_known(float(self._figures.blocking[entry])),
            short_cost_per_hour=None if most is None else unit * max(0, most - planned),
            spare_cost_per_hour=None if fewest is None else unit * max(0, asked - fewest),
        )

    def regret(self) -> Regret:
        """Return what the plan fails or overpays, and what would be planned knowing better."""
        base = self._situation.base
        used = {self._key(int(self._situation.table.server[row]), int(row)) for row in self._rows}
        used |= {self._shared_key(choice) for choice in base.shared}
        known = used & set(self._errors)
        served = [server for server, own in enumerate(base.own) if own.served]
        missed = tuple(base.servers[server] for server in served if self._misses(server))
        return Regret(
            profiles=len(known),
            unknown=len(used) - len(known),
            missed=missed,
            slower=self._replanned(self._slower),
            faster=self._replanned(self._faster),
        )

    def _replicas(self, other: CandidateTable, server: int, row: int) -> int | None:
        """Return the replicas that another table asks for in place of a row of this one."""
        like = _like(other, server, row, self._situation.table)
        return None if like is None else self._rules.of_row(server, row, other, like)

    def _replanned(self, problem: PlanningProblem) -> PlanChange:
        after = decision_of(problem.table, problem.placed())
        return change_between(self._situation.base, after, Evidence.RESOLVED)

    def _misses(self, server: int) -> bool:
        if self._shared.choice(server) is not None:
            return bool(self._shared.missed(server))
        return server in self._entry and bool(self._missed(server, self._entry[server]))

    def _shared_key(self, choice: SharedChoice) -> ProfileKey:
        return profile_key(self._situation.problem.fleet.profiles[choice.profile])

    def _key(self, server: int, row: int) -> ProfileKey:
        table = self._situation.table
        model = self._situation.problem.fleet.servers[server].model
        accelerator = table.accelerators[int(table.accelerator[row])]
        return model, accelerator, configuration_name(table, row)

    def _missed(self, server: int, entry: int) -> tuple[LatencyMargin, ...]:
        """Return the targets that a replica misses at its share of the load, if all is slower."""
        fleet = self._situation.problem.fleet
        asked = fleet.servers[server]
        own = next(item for item in fleet.service_classes if item.name == asked.service_class)
        target = own.target_for(asked.model)
        found = []
        for statistic, limit_ms in target.limits() if target is not None else ():
            predicted_ms = _predicted(
                self._figures, self._details, entry, statistic.path, statistic.percentile
            )
            if predicted_ms is not None and predicted_ms > limit_ms * MISSED:
                found.append(LatencyMargin(statistic.path, predicted_ms, limit_ms))
        return tuple(found)


def _with_profiles(problem: PlanningProblem, fleet: Fleet) -> PlanningProblem:
    alone = replace(fleet, sharing=())
    return replace(problem, fleet=fleet, table=candidate_table(alone, problem.settings))


def _entries(situation: Situation) -> tuple[IntArray, IntArray]:
    """Return rows and replicas of the servers that have one entry, with replicas."""
    table = situation.table
    found = [
        entries[0]
        for entries in situation.base.entries
        if len(entries) == 1 and table.accelerator[entries[0][0]] != EMPTY
    ]
    return (
        np.array([row for row, _ in found], dtype=np.int64),
        np.array([count for _, count in found], dtype=np.int64),
    )


def _rates(table: CandidateTable, rows: IntArray, counts: IntArray) -> FloatArray:
    rates: FloatArray = table.total_rate_rps[table.server[rows]] / np.maximum(counts, 1)
    return rates


def _like(other: CandidateTable, server: int, row: int, table: CandidateTable) -> int | None:
    """Return the row of another table that is most like a row of this one."""
    like = [
        candidate
        for candidate in accepted_rows(other, server)
        if other.accelerator[candidate] == table.accelerator[row]
    ]
    wanted = part_of(table, row, 1)
    same = [
        item
        for item in like
        if configuration_name(other, item) == wanted.configuration
        and bool(pools_of(other, item)[0]) == bool(wanted.prefill_replicas)
        and (other.spare[item] > 0) == (table.spare[row] > 0)
    ]
    alike = [item for item in same if other.max_batch[item] == table.max_batch[row]]
    return next(iter(alike or same), None)


def _predicted(
    figures: ReplicaFigures,
    details: ReplicaDetails,
    entry: int,
    path: str,
    percentile: float | None,
) -> float | None:
    latency = next(item for item in details.mean_ms if path.startswith(item.value))
    if percentile is not None:
        if percentile not in details.percentiles:
            return None
        index = details.percentiles.index(percentile)
        return _known(float(details.at_ms[latency][index, entry]))
    mean = float(details.mean_ms[latency][entry])
    if math.isnan(mean) and path == "ttft_ms.mean":
        mean = float(figures.ttft_ms[entry])
    elif math.isnan(mean) and path == "itl_ms.mean":
        mean = float(figures.itl_ms[entry])
    return _known(mean)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
