"""One row a point: what was varied, what the plan says, and how long it took."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from stoker.domain.allocation import MixPart, PlannedAllocation
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency, LatencyStatistics, Statistic
from stoker.domain.plan import Plan
from stoker.domain.slo import LOWEST_PRIORITY
from studies.sweeping.grid import Point, Study

Cell = int | float | str | None
Row = Mapping[str, Cell]
"""Cells by column, in the order of the columns."""

FAILED = "failed"
"""Status of a point without a plan; the others are those of plans."""

TIMINGS = ("candidates", "place", "assemble", "total")
"""Phases of a plan whose milliseconds are told."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of results.

    Attributes:
        name: Its name.
        kind: What its cells are; any may be empty.
    """

    name: str
    kind: Literal["integer", "number", "text"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a study's results, and the rows made of its plans.

    The columns follow from the fleet and from what varies, never from what the plans say.

    Attributes:
        parameters: Columns of the parameters.
        priorities: Priorities of the servers, highest first.
        card_types: Types of card.
    """

    parameters: tuple[Column, ...]
    priorities: tuple[int, ...]
    card_types: tuple[str, ...]

    @classmethod
    def of(cls, study: Study) -> Layout:
        """Return the layout of a study."""
        fleet = study.fleet
        of_class = {item.name: item.priority for item in fleet.service_classes}
        priorities = {of_class.get(item.service_class, LOWEST_PRIORITY) for item in fleet.servers}
        types = {item.card_type for item in fleet.accelerators}
        types |= {item.card_type for item in fleet.capacity}
        return cls(
            tuple(_parameter_column(study, index) for index in range(len(study.parameters))),
            tuple(sorted(priorities)),
            tuple(sorted(types)),
        )

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, in order."""
        return (
            Column("point", "integer"),
            *self.parameters,
            Column("status", "text"),
            Column("reason", "text"),
            Column("cost_per_hour", "number"),
            Column("currency", "text"),
            Column("objective", "number"),
            Column("bound", "number"),
            Column("gap", "number"),
            Column("servers", "integer"),
            Column("served", "integer"),
            *(Column(f"served_priority_{item}", "integer") for item in self.priorities),
            Column("offered_rps", "number"),
            Column("served_rps", "number"),
            Column("replicas", "integer"),
            Column("cards_used", "integer"),
            *(Column(f"cards_{name}", "integer") for name in self.card_types),
            *(Column(_margin_column(latency), "number") for latency in Latency),
            Column("worst_margin_server", "text"),
            *(Column(f"{name}_ms", "number") for name in TIMINGS),
        )

    def plan_row(self, point: Point, fleet: Fleet, plan: Plan) -> Row:
        """Return the row of a plan.

        Args:
            point: The point.
            fleet: The fleet at that point.
            plan: Its plan.
        """
        services = {item.priority: item.served for item in plan.services}
        used = {item.card_type: item.used for item in plan.usage}
        rates = {
            server.name: server.load.arrival_rate_rps for server in fleet.servers if server.load
        }
        full = [item for item in plan.allocations if item.fully_served]
        worst = _worst_margins(full)
        tightest = min(worst.values(), default=None)
        cells: dict[str, Cell] = {
            "status": plan.status.value,
            "cost_per_hour": plan.cost_per_hour,
            "currency": plan.currency,
            "objective": plan.objective,
            "bound": plan.bound,
            "gap": plan.gap,
            "servers": len(fleet.servers),
            "served": len(full),
            "offered_rps": math.fsum(rates.values()),
            "served_rps": math.fsum(rates.get(item.server, 0.0) for item in full),
            "replicas": sum(
                item.replicas for item in plan.allocations if item.counted_with is None
            ),
            "cards_used": sum(used.values()),
            "worst_margin_server": tightest[1] if tightest else None,
        }
        cells |= {f"served_priority_{item}": services.get(item, 0) for item in self.priorities}
        cells |= {f"cards_{name}": used.get(name, 0) for name in self.card_types}
        cells |= {_margin_column(latency): margin for latency, (margin, _) in worst.items()}
        cells |= {f"{name}_ms": plan.timings_ms.get(name) for name in TIMINGS}
        return self._row(point, cells)

    def failed_row(self, point: Point, reason: str, total_ms: float | None = None) -> Row:
        """Return the row of a point that has no plan, for this reason."""
        words = " ".join(reason.split()) or "no reason was given"
        return self._row(point, {"status": FAILED, "reason": words, "total_ms": total_ms})

    def _row(self, point: Point, cells: Mapping[str, Cell]) -> Row:
        own: dict[str, Cell] = {"point": point.index}
        for column, value in zip(self.parameters, point.values, strict=True):
            own[column.name] = str(value) if column.kind == "text" else value.number
        every = {**cells, **own}
        return {column.name: every.get(column.name) for column in self.columns}


def _parameter_column(study: Study, index: int) -> Column:
    """Return the column of a parameter: numbers, or text where some value is none."""
    text = any(isinstance(point.values[index].cell, str) for point in study.points)
    return Column(study.parameters[index].name, "text" if text else "number")


def _margin_column(latency: Latency) -> str:
    return f"worst_{latency.short.lower()}_margin"


def _worst_margins(allocations: list[PlannedAllocation]) -> dict[Latency, tuple[float, str]]:
    """Return the smallest margin of each latency, with its server.

    A margin is the share of a target that is left: 1 - latency / target.
    """
    worst: dict[Latency, tuple[float, str]] = {}
    for item in allocations:
        for statistic, margin in _margins(item):
            known = worst.get(statistic.latency)
            if known is None or margin < known[0]:
                worst[statistic.latency] = (margin, item.server)
    return worst


def _margins(item: PlannedAllocation) -> Iterator[tuple[Statistic, float]]:
    if item.targets is None or not item.replicas:
        return
    parts: tuple[PlannedAllocation | MixPart, ...] = item.mix or (item,)
    for statistic, limit_ms in item.targets.limits():
        for part in parts:
            reached = _latency(part, statistic)
            if reached is not None and limit_ms > 0:
                yield statistic, 1.0 - reached / limit_ms


def _latency(part: PlannedAllocation | MixPart, statistic: Statistic) -> float | None:
    means: dict[Latency, float | None] = {Latency.TTFT: part.ttft_ms, Latency.ITL: part.itl_ms}
    if statistic.percentile is None and means.get(statistic.latency) is not None:
        return means[statistic.latency]
    known = part.latencies.get(statistic.latency, LatencyStatistics(None))
    return known.at(statistic.percentile)
