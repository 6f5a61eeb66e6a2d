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
from stoker.domain.fleet import Fleet
from stoker.domain.plan import MixPart, Plan, PlannedAllocation
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
        ttft: Predicted mean TTFT in ms.
        ttft_target: Its target, after its relation to the prediction.
        ttft_kept: Whether the target is kept; None where unknown.
        itl: Predicted mean ITL in ms.
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
        hardware = f"{allocation.replicas} × {allocation.accelerator}"
    return AllocationRow(
        server=allocation.server,
        service_class=allocation.service_class,
        model=allocation.model,
        hardware=hardware,
        max_batch=NOT_APPLICABLE if allocation.mix else str(allocation.max_batch),
        cost=money(allocation.cost_per_hour),
        ttft=duration_ms(allocation.ttft_ms),
        ttft_target=relation(allocation.ttft_ms, allocation.ttft_target_ms),
        ttft_kept=keeps(allocation.ttft_ms, allocation.ttft_target_ms),
        itl=duration_ms(allocation.itl_ms),
        itl_target=relation(allocation.itl_ms, allocation.itl_target_ms),
        itl_kept=keeps(allocation.itl_ms, allocation.itl_target_ms),
        utilization=share(allocation.utilization),
        blocking=small_share(allocation.blocking),
        estimate=allocation.estimate.value if allocation.estimate else NOT_APPLICABLE,
        service="full" if allocation.fully_served else "best effort",
    )


def _part_row(allocation: PlannedAllocation, part: MixPart) -> AllocationRow:
    return AllocationRow(
        server="",
        service_class="",
        model="",
        hardware=f"· {part.replicas} × {part.accelerator}",
        max_batch=str(part.max_batch),
        cost=money(part.cost_per_hour),
        ttft=duration_ms(part.ttft_ms),
        ttft_target=relation(part.ttft_ms, allocation.ttft_target_ms),
        ttft_kept=keeps(part.ttft_ms, allocation.ttft_target_ms),
        itl=duration_ms(part.itl_ms),
        itl_target=relation(part.itl_ms, allocation.itl_target_ms),
        itl_kept=keeps(part.itl_ms, allocation.itl_target_ms),
        utilization=share(part.utilization),
        blocking=small_share(part.blocking),
    )
