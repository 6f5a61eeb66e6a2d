"""From a placement to the plan that a person reads: allocations, reasons, use of cards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from optimizer.batch_choice import batch_choices
from optimizer.configurations.bundles import slice_notes
from optimizer.configurations.cut_cards import counted_cards
from optimizer.configurations.described import Described
from optimizer.entries import Entries, predict_entries
from optimizer.explain import Explainer
from optimizer.gap import bound_and_gap
from optimizer.placement import Outcome
from optimizer.predictions import binding_names
from optimizer.table import EMPTY, CandidateTable, IntArray
from optimizer.transition import mix_value
from optimizer.usage import cards_by_type
from stoker.domain.allocation import MixPart, PlannedAllocation
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency, LatencyStatistics
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.profile import EstimateKind
from stoker.domain.settings import Analysis
from stoker.domain.slo import SloTarget

_ESTIMATE_KINDS = tuple(EstimateKind)
_NO_TARGET = SloTarget(model="")
_GAP_ROUNDING = 1e-7
"""By how much a gap may grow through adding the values up again."""


def assemble_plan(
    fleet: Fleet,
    table: CandidateTable,
    outcome: Outcome,
    *,
    analysis: Analysis,
    unlimited: bool,
    kept: Sequence[PlannedAllocation] = (),
    notes: tuple[str, ...] = (),
    timings_ms: Mapping[str, float] | None = None,
) -> Plan:
    """Return the plan of an outcome, best effort included.

    Args:
        fleet: What was planned for.
        table: The candidate table that the placement refers to.
        outcome: What was decided, and what is proven about it.
        analysis: Performance model behind the table.
        unlimited: Whether capacity was ignored.
        kept: What stays as it runs, of servers that the outcome gives nothing.
        notes: Sentences to put before those of the outcome.
        timings_ms: Milliseconds by phase.
    """
    entries = predict_entries(fleet, table, outcome.placement, detailed=True)
    served = outcome.placement.served
    cards = counted_cards(table, entries.row, entries.replicas)
    allocations = _Allocations(fleet, table, entries, cards, outcome).with_kept(kept)
    usage = cards_by_type(fleet, table, entries, cards, kept, unlimited=unlimited)
    explainer = Explainer(fleet, table, entries, outcome, usage, kept)
    objective = math.fsum(item.value for item in allocations if item.fully_served)
    scale = math.fsum(abs(item.value) + item.cost_per_hour for item in allocations)
    bound, gap = bound_and_gap(objective, outcome.bound, scale)
    return Plan(
        status=_status(outcome, gap),
        objective=objective,
        bound=bound,
        gap=gap,
        cost_per_hour=math.fsum(item.cost_per_hour for item in allocations),
        currency=fleet.currency,
        allocations=allocations,
        unplaced=tuple(explainer.unplaced(int(server)) for server in np.flatnonzero(~served)),
        usage=usage,
        services=outcome.services,
        analysis=analysis,
        method=outcome.method,
        backend=outcome.backend,
        notes=notes + outcome.notes + slice_notes(fleet, allocations),
        timings_ms=dict(timings_ms or {}),
    )


def _status(outcome: Outcome, gap: float | None) -> PlanStatus:
    """Return the status that the finished plan deserves: what was mended is no longer optimal."""
    wider = gap is not None and gap > (outcome.gap or 0.0) + _GAP_ROUNDING
    if outcome.status is PlanStatus.OPTIMAL and wider:
        return PlanStatus.FEASIBLE
    return outcome.status


class _Allocations:
    """Makes the allocations of a plan, one server at a time."""

    def __init__(
        self,
        fleet: Fleet,
        table: CandidateTable,
        entries: Entries,
        cards: IntArray,
        outcome: Outcome,
    ) -> None:
        self._fleet = fleet
        self._table = table
        self._entries = entries
        self._cards: list[int] = cards.tolist()
        self._served = outcome.placement.served
        self._start: list[int] = entries.start.tolist()
        self._bindings = binding_names(table.statistics)
        self._choices = batch_choices(fleet, table, entries.row, entries.replicas)
        self._described = Described(fleet, table)
        self._targets = {
            (item.name, target.model): target
            for item in fleet.service_classes
            for target in item.targets
        }

    def with_kept(self, kept: Sequence[PlannedAllocation]) -> tuple[PlannedAllocation, ...]:
        """Return the allocations of the servers with an entry, and the kept ones, in order."""
        by_name = {item.server: item for item in kept}
        found = (
            self._allocation(index)
            if self._start[index] < self._start[index + 1]
            else by_name.get(server.name)
            for index, server in enumerate(self._fleet.servers)
        )
        return tuple(item for item in found if item is not None)

    def _allocation(self, index: int) -> PlannedAllocation:
        table, entries, server = self._table, self._entries, self._fleet.servers[index]
        span = range(self._start[index], self._start[index + 1])
        rows = [int(entries.row[entry]) for entry in span]
        counts = [int(entries.replicas[entry]) for entry in span]
        costs = [self._cost(row, count) for row, count in zip(rows, counts, strict=True)]
        main = max(range(len(rows)), key=lambda part: (counts[part], -part))
        row = rows[main]
        profile = self._described.profile(row)
        pools = self._described.pools(row, counts[main])
        if pools:
            # A row of two pools is one deployment of both.
            replicas = sum(pool.replicas for pool in pools)
            rate: float | None = float(table.max_rate_rps[row]) * counts[main] / replicas
        mixed = len(rows) > 1
        parts = tuple(self._part(entry) for entry in span) if mixed else ()
        target = self._targets.get((server.service_class, server.model), _NO_TARGET)
        types = {int(table.card_type[part]) for part in rows} - {EMPTY}
        queue = int(table.max_queue[row])
        kind = max(int(table.estimate[part]) for part in rows)  # the least trustworthy
        weights = [
            float(entries.rate_rps[entry]) * count
            for entry, count in zip(span, counts, strict=True)
        ]
        seats = [
            float(table.max_batch[part]) * count for part, count in zip(rows, counts, strict=True)
        ]
        figures = entries.figures
        if not pools:
            each = int(table.all_replicas[row]) if table.whole[row] else 1  # of a bundle
            replicas = sum(counts) * each
            rates = [float(table.max_rate_rps[part]) / each for part in rows]
            rate = _mean(rates, counts)
        return PlannedAllocation(
            server=server.name,
            service_class=server.service_class,
            model=server.model,
            accelerator=self._accelerator(row),
            replicas=replicas,
            max_batch=int(table.max_batch[row]),
            max_queue=queue if queue >= 0 else None,
            cost_per_hour=math.fsum(costs),
            value=self._value(index, rows, counts, costs),
            arrival_rate_rps=float(table.total_rate_rps[index]),
            ttft_ms=_mean([float(figures.ttft_ms[entry]) for entry in span], weights),
            itl_ms=_mean([float(figures.itl_ms[entry]) for entry in span], weights),
            utilization=_mean([float(figures.utilization[entry]) for entry in span], seats),
            blocking=_mean([float(figures.blocking[entry]) for entry in span], weights),
            max_rate_rps=math.nan if rate is None else rate,
            ttft_target_ms=target.ttft_ms,
            itl_target_ms=target.itl_ms,
            tps_target=target.tps,
            cards=sum(self._cards[span.start : span.stop]),
            card_type=table.card_types[types.pop()] if len(types) == 1 else None,
            fully_served=bool(self._served[index]),
            estimate=_ESTIMATE_KINDS[kind] if kind >= 0 else None,
            mix=parts,
            targets=target if target is not _NO_TARGET else None,
            latencies={} if mixed else self._latencies(span[0]),
            binding=None if mixed else self._binding(span[0]),
            kv_use=None if mixed else _known(entries.details.kv_use[span[0]]),
            preemptions_per_request=(
                None if mixed else _known(entries.details.preemptions[span[0]])
            ),
            router=server.router,
            batch_choice=None if mixed else self._choices[span[0]],
            configuration=profile.configuration if profile else "",
            parallel=profile.parallel if profile else None,
            pools=pools,
            sliced=bool(table.on_slices(np.array([row]))[0]),
        )

    def _latencies(self, entry: int) -> dict[Latency, LatencyStatistics]:
        """Return mean and percentiles of each latency; nothing where the analysis has none."""
        details = self._entries.details
        if not details.percentiles:
            return {}
        return {
            latency: LatencyStatistics(
                _known(details.mean_ms[latency][entry]),
                {
                    percentile: _known(details.at_ms[latency][index, entry])
                    for index, percentile in enumerate(details.percentiles)
                },
            )
            for latency in Latency
        }

    def _binding(self, entry: int) -> str | None:
        code = int(self._entries.details.binding[entry])
        return self._bindings[code] if code >= 0 else None

    def _part(self, entry: int) -> MixPart:
        table, figures = self._table, self._entries.figures
        row, count = int(self._entries.row[entry]), int(self._entries.replicas[entry])
        profile = self._described.profile(row)
        kind = int(table.estimate[row])
        return MixPart(
            accelerator=table.accelerators[int(table.accelerator[row])],
            replicas=count,
            max_batch=int(table.max_batch[row]),
            cost_per_hour=self._cost(row, count),
            cards=count * int(table.cards_per_replica[row]),
            card_type=table.card_types[int(table.card_type[row])],
            arrival_rate_rps=float(self._entries.rate_rps[entry]),
            ttft_ms=_known(figures.ttft_ms[entry]),
            itl_ms=_known(figures.itl_ms[entry]),
            utilization=_known(figures.utilization[entry]),
            blocking=_known(figures.blocking[entry]),
            max_rate_rps=float(table.max_rate_rps[row]),
            latencies=self._latencies(entry),
            binding=self._binding(entry),
            kv_use=_known(self._entries.details.kv_use[entry]),
            preemptions_per_request=_known(self._entries.details.preemptions[entry]),
            batch_choice=self._choices[entry],
            configuration=profile.configuration if profile else "",
            parallel=profile.parallel if profile else None,
            estimate=_ESTIMATE_KINDS[kind] if kind >= 0 else None,
        )

    def _accelerator(self, row: int) -> str | None:
        accelerator = int(self._table.accelerator[row])
        return None if accelerator == EMPTY else self._table.accelerators[accelerator]

    def _cost(self, row: int, count: int) -> float:
        if count == self._table.replicas[row]:
            return float(self._table.cost_per_hour[row])
        return float(self._table.unit_cost_per_hour[row]) * count

    def _value(self, server: int, rows: list[int], counts: list[int], costs: list[float]) -> float:
        """Return the value: the candidate's, in proportion for a part of it, or the mix's."""
        table = self._table
        if len(rows) > 1 or (self._served[server] and counts[0] != table.replicas[rows[0]]):
            accelerators = [int(table.accelerator[row]) for row in rows]
            return mix_value(
                table.transitions,
                server,
                accelerators,
                costs,
                configurations=[int(table.configured[row]) for row in rows],
            )
        full = int(table.replicas[rows[0]])
        value = float(table.value[rows[0]])
        return value if counts[0] == full else value * (counts[0] / full)


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _mean(values: list[float], weights: list[float] | list[int]) -> float | None:
    """Return the weighted mean; the plain one without weight; None where a value is unknown."""
    if not all(map(math.isfinite, values)):
        return None
    if len(values) == 1:
        return values[0]
    total = math.fsum(weights)
    if not total > 0:
        return math.fsum(values) / len(values)
    return math.fsum(v * w for v, w in zip(values, weights, strict=True)) / total
