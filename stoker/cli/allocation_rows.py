"""The allocations of a plan as rows of text, one a server and one a part of a mix."""

from __future__ import annotations

from dataclasses import dataclass

from stoker.cli.figures import (
    UNKNOWN,
    duration_ms,
    keeps,
    money,
    relation,
    share,
    small_share,
)
from stoker.domain.allocation import MixPart, PlannedAllocation, PoolPart
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency, percentile_name
from stoker.domain.plan import Plan
from stoker.domain.server import Server

NOT_APPLICABLE = "–"


@dataclass(frozen=True, slots=True)
class AllocationRow:
    """Cells of a row; empty where a column says nothing about it.

    Attributes:
        server: Name of the server; empty for a part of a mix.
        service_class: Its service class.
        model: Its model.
        hardware: Replicas and accelerator.
        max_batch: Batch limit of a replica.
        cost: Cost per hour.
        ttft: Predicted mean TTFT in ms, or the percentile nearest to its target, with its name.
        ttft_target: Its target, after its relation to the prediction.
        ttft_kept: Whether the target is kept; None where unknown.
        itl: The same of ITL.
        itl_target: Its target, after its relation to the prediction.
        itl_kept: Whether the target is kept; None where unknown.
        utilization: Utilization of a replica.
        blocking: Fraction of requests turned away.
        estimate: Where the figures come from.
        service: How it is served: ``full``, ``best effort``, ``no load``, ``not placed``.
    """

    server: str
    service_class: str
    model: str
    hardware: str
    max_batch: str = NOT_APPLICABLE
    cost: str = NOT_APPLICABLE
    ttft: str = NOT_APPLICABLE
    ttft_target: str = ""
    ttft_kept: bool | None = None
    itl: str = NOT_APPLICABLE
    itl_target: str = ""
    itl_kept: bool | None = None
    utilization: str = NOT_APPLICABLE
    blocking: str = NOT_APPLICABLE
    estimate: str = ""
    service: str = ""

    @property
    def has_unknown(self) -> bool:
        """Whether a figure of the row is not known."""
        return UNKNOWN in (self.ttft, self.itl, self.utilization, self.blocking)


def allocation_rows(fleet: Fleet, plan: Plan) -> tuple[AllocationRow, ...]:
    """Return the rows of a plan in the order of the fleet's servers, unplaced ones included."""
    allocations = {allocation.server: allocation for allocation in plan.allocations}
    rows: list[AllocationRow] = []
    for server in fleet.servers:
        allocation = allocations.get(server.name)
        if allocation is None:
            rows.append(_unplaced_row(server))
        elif allocation.accelerator is None:
            rows.append(_empty_row(allocation))
        else:
            rows.append(_row(allocation))
            rows.extend(_part_row(allocation, part) for part in allocation.mix)
            rows.extend(_pool_row(pool) for pool in allocation.pools)
    return tuple(rows)


def _unplaced_row(server: Server) -> AllocationRow:
    return AllocationRow(
        server=server.name,
        service_class=server.service_class,
        model=server.model,
        hardware="nothing",
        service="not placed",
    )


def _empty_row(allocation: PlannedAllocation) -> AllocationRow:
    return AllocationRow(
        server=allocation.server,
        service_class=allocation.service_class,
        model=allocation.model,
        hardware="nothing",
        cost=money(allocation.cost_per_hour),
        service="no load",
    )


def _row(allocation: PlannedAllocation) -> AllocationRow:
    if allocation.mix:
        hardware = f"{allocation.replicas} × mix of {len(allocation.mix)}"
    else:
        hardware = f"{allocation.replicas} × {configured(allocation)}"
    if allocation.counted_with is not None:
        hardware = f"the {allocation.replicas} of {allocation.counted_with}"
    ttft, itl = _cells(allocation, allocation)
    return AllocationRow(
        server=allocation.server,
        service_class=allocation.service_class,
        model=allocation.model,
        hardware=hardware,
        max_batch=NOT_APPLICABLE if allocation.mix else str(allocation.max_batch),
        cost=money(allocation.cost_per_hour),
        ttft=ttft.text,
        ttft_target=ttft.target,
        ttft_kept=ttft.kept,
        itl=itl.text,
        itl_target=itl.target,
        itl_kept=itl.kept,
        utilization=share(allocation.utilization),
        blocking=small_share(allocation.blocking),
        estimate=allocation.estimate.value if allocation.estimate else NOT_APPLICABLE,
        service="full" if allocation.fully_served else "best effort",
    )


def _part_row(allocation: PlannedAllocation, part: MixPart) -> AllocationRow:
    ttft, itl = _cells(allocation, part)
    return AllocationRow(
        server="",
        service_class="",
        model="",
        hardware=f"· {part.replicas} × {configured(part)}",
        max_batch=str(part.max_batch),
        cost=money(part.cost_per_hour),
        ttft=ttft.text,
        ttft_target=ttft.target,
        ttft_kept=ttft.kept,
        itl=itl.text,
        itl_target=itl.target,
        itl_kept=itl.kept,
        utilization=share(part.utilization),
        blocking=small_share(part.blocking),
        estimate=part.estimate.value if part.estimate else NOT_APPLICABLE,
    )


def configured(figures: PlannedAllocation | MixPart) -> str:
    """Return the accelerator, with the configuration of the model there where it has a name."""
    name = figures.accelerator or ""
    return f"{name} {figures.configuration}" if figures.configuration else name


def _pool_row(pool: PoolPart) -> AllocationRow:
    named = f" {pool.configuration}" if pool.configuration else ""
    return AllocationRow(
        server="",
        service_class="",
        model="",
        hardware=f"· {pool.replicas} × {pool.role}{named}",
        max_batch=str(pool.max_batch),
        cost=money(pool.cost_per_hour),
        ttft="",
        itl="",
        utilization="",
        blocking="",
    )


@dataclass(frozen=True, slots=True)
class _LatencyCell:
    """A latency, the relation to its target, and whether that is kept."""

    text: str
    target: str
    kept: bool | None


def _cells(
    allocation: PlannedAllocation, figures: PlannedAllocation | MixPart
) -> tuple[_LatencyCell, _LatencyCell]:
    """Return the cells of TTFT and ITL."""
    return (
        _cell(allocation, figures, Latency.TTFT, figures.ttft_ms, allocation.ttft_target_ms),
        _cell(allocation, figures, Latency.ITL, figures.itl_ms, allocation.itl_target_ms),
    )


def _cell(
    allocation: PlannedAllocation,
    figures: PlannedAllocation | MixPart,
    latency: Latency,
    mean_ms: float | None,
    target_ms: float | None,
) -> _LatencyCell:
    """Return the mean with its target, or the percentile that uses most of its own target."""
    known = figures.latencies.get(latency)
    shown = (_use(mean_ms, target_ms), "", mean_ms, target_ms)
    for promise in allocation.targets.percentiles if allocation.targets else ():
        if promise.latency is latency:
            value = known.at(promise.percentile) if known else None
            name = percentile_name(promise.percentile)
            tighter = (_use(value, promise.limit_ms), name, value, promise.limit_ms)
            shown = max(shown, tighter, key=lambda item: item[0])
    _, name, value, limit_ms = shown
    return _LatencyCell(
        text=f"{name} {duration_ms(value)}".strip(),
        target=relation(value, limit_ms),
        kept=keeps(value, limit_ms),
    )


def _use(value_ms: float | None, target_ms: float | None) -> float:
    """Return the share of a target that is used: below 0 without one, 0 where it is unknown."""
    if target_ms is None:
        return -1.0
    return 0.0 if value_ms is None else value_ms / target_ms
