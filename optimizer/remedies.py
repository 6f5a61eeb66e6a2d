"""What would make a server feasible that no accelerator can serve."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from optimizer.configurations.reasons import named_row
from optimizer.table import REJECTIONS, CandidateTable
from stoker.domain.fleet import Fleet
from stoker.domain.profile import EstimateKind
from stoker.domain.reasons import Rejection
from stoker.domain.server import Server
from stoker.domain.slo import SloTarget

_OUT_OF_REACH = (
    Rejection.TTFT_UNREACHABLE,
    Rejection.ITL_UNREACHABLE,
    Rejection.E2E_UNREACHABLE,
    Rejection.TARGETS_CONFLICT,
)
_NAMES_SHOWN = 3


def count_of(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 card``, ``1,200 cards``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def some_names(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    shown = ", ".join(names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown


class RejectionRemedies:
    """Finds, among a server's rejected pairs, those that are nearest to being candidates."""

    def __init__(self, fleet: Fleet, table: CandidateTable) -> None:
        """Take what was planned for, and the predictions."""
        self._fleet = fleet
        self._table = table
        self._targets = {
            (item.name, target.model): target
            for item in fleet.service_classes
            for target in item.targets
        }

    def for_server(self, index: int) -> str:
        """Return what would mend a server without candidates, the nearest first."""
        server = self._fleet.servers[index]
        rows = range(int(self._table.row_start[index]), int(self._table.row_start[index + 1]))
        by_reason: dict[Rejection, list[int]] = {}
        for row in rows:
            by_reason.setdefault(REJECTIONS[int(self._table.rejection[row]) - 1], []).append(row)
        remedies = list(self._remedies(server, by_reason))
        if not remedies:
            return f"give a prediction for {server.name} on at least one accelerator"
        return "; or ".join(remedies[:2])

    def _remedies(self, server: Server, by_reason: dict[Rejection, list[int]]) -> Iterator[str]:
        if Rejection.NO_TARGET in by_reason:
            yield f"give service class {server.service_class} a target for model {server.model}"
            return
        out_of_reach = [row for reason in _OUT_OF_REACH for row in by_reason.get(reason, [])]
        if loosened := self._loosened(server, out_of_reach):
            yield loosened
        if rows := by_reason.get(Rejection.REPLICA_BOUND):
            yield self._more_replicas(rows)
        if rows := by_reason.get(Rejection.BLOCKING_UNREACHABLE):
            queue = max(int(self._table.max_queue[row]) for row in rows)
            yield f"allow more requests to wait at a replica (max_queue is {queue:,})"
        if rows := by_reason.get(Rejection.MEMORY):
            yield (
                f"add an accelerator with more memory than {self._names(rows)}, or more units of "
                "it to a replica"
            )
        if Rejection.NOT_CURRENT in by_reason and server.current is not None:
            yield f"release the server from accelerator {server.current.accelerator}"
        if rows := by_reason.get(Rejection.ZERO_PARAMETERS):
            yield f"measure the profile of {server.model} on {self._names(rows)}"
        if rows := by_reason.get(Rejection.KIND_TOO_WEAK):
            yield self._better_profile(server, rows)
        if rows := by_reason.get(Rejection.NUMERIC):
            yield f"check the parameters of {server.model} on {self._names(rows)} and the load"
        if rows := by_reason.get(Rejection.NO_PROFILE):
            yield f"add a profile of {server.model} on {self._names(rows)}"

    def _better_profile(self, server: Server, rows: list[int]) -> str:
        """Return which profile is nearest to the kind that is asked for."""
        kinds = tuple(EstimateKind)
        best = min(rows, key=lambda row: (int(self._table.estimate[row]), row))
        kind = kinds[int(self._table.estimate[best])]
        wanted = self._fleet.rules.minimum_kind
        return (
            f"measure {server.model} on {self._names([best])}, whose profile is {kind.value}, or "
            f"plan with that kind too (minimum_kind is {wanted.value if wanted else 'not set'})"
        )

    def _loosened(self, server: Server, rows: list[int]) -> str | None:
        """Return by how much targets must be loosened on the accelerator that is nearest."""
        target = self._targets.get((server.service_class, server.model))
        if target is None or not rows:
            return None
        best = min(rows, key=lambda row: (self._excess(target, row), row))
        if not math.isfinite(self._excess(target, best)):
            return None
        name = self._names([best])
        parts = [
            f"{kind} at best {reached:.4g} ms against a target of {limit:.4g} ms"
            for kind, reached, limit in self._latencies(target, best)
            if reached > limit
        ]
        if not parts:
            return f"loosen a target: {name} is nearest, and keeps each of them, but at no one rate"
        return f"loosen the target: {name} is nearest, with {' and '.join(parts)}"

    def _latencies(self, target: SloTarget, row: int) -> Iterator[tuple[str, float, float]]:
        """Yield each latency that has a target, the lowest that is reached, and the target."""
        for statistic, limit_ms in target.limits():
            index = self._table.statistics.index(statistic)
            name = statistic.latency.short if statistic.percentile is None else str(statistic)
            yield name, float(self._table.best_ms[index, row]), limit_ms

    def _excess(self, target: SloTarget, row: int) -> float:
        """Return the largest ratio of a reachable latency to its target; infinite if unknown."""
        ratios = [
            reached / limit if limit > 0 else math.inf
            for _, reached, limit in self._latencies(target, row)
        ]
        known = [ratio for ratio in ratios if not math.isnan(ratio)]
        return max(known, default=math.inf)

    def _more_replicas(self, rows: list[int]) -> str:
        """Return how many replicas would have to be allowed."""
        table = self._table
        row = max(rows, key=lambda row: (table.max_rate_rps[row], -row))
        bound = int(table.max_replicas[row])
        rate, total = float(table.max_rate_rps[row]), float(table.total_rate_rps[table.server[row]])
        if not rate > 0 or math.isnan(total):
            return f"allow more replicas of {self._names([row])} than {bound:,} (max_replicas)"
        needed = max(int(table.min_replicas[row]), math.ceil(min(total / rate, 1e18)))
        return (
            f"allow {count_of(needed, 'replica')} of {self._names([row])}, where the bound is "
            f"{bound:,} (max_replicas), or lower the load"
        )

    def _names(self, rows: list[int]) -> str:
        names = list(dict.fromkeys(named_row(self._table, row) for row in rows))
        return names[0] if len(names) == 1 else f"{names[0]} or another"
