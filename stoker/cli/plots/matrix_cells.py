"""What each class gets for each model, in the few words that fit in a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from stoker.cli.allocation_rows import configured
from stoker.cli.figures import count_of, money
from stoker.cli.plots.style import label
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, Unplaced
from stoker.domain.server import Server

_MOST_LINES = 4
_LONGEST_LINE = 28


class CellState(StrEnum):
    """How the servers of a cell fare; the last one that applies to any of them."""

    IDLE = "nothing to serve"
    SERVED = "served in full"
    BEST_EFFORT = "best effort only"
    UNPLACED = "not placed"


@dataclass(frozen=True, slots=True)
class Cell:
    """What the servers of one class and one model get.

    Attributes:
        lines: Text, a line each.
        cost_per_hour: Cost of all of them.
        state: How they fare.
    """

    lines: tuple[str, ...]
    cost_per_hour: float
    state: CellState


def matrix_cells(fleet: Fleet, plan: Plan) -> dict[tuple[str, str], Cell]:
    """Return the cells by class and model, of those pairs that have a server."""
    allocations = {item.server: item for item in plan.allocations}
    unplaced = {item.server: item for item in plan.unplaced}
    members: dict[tuple[str, str], list[Server]] = {}
    for server in fleet.servers:
        members.setdefault((server.service_class, server.model), []).append(server)
    return {key: _cell(servers, allocations, unplaced) for key, servers in members.items()}


def _cell(
    servers: Sequence[Server],
    allocations: Mapping[str, PlannedAllocation],
    unplaced: Mapping[str, Unplaced],
) -> Cell:
    got = [allocations.get(server.name) for server in servers]
    costs = [item.cost_per_hour for item in got if item is not None]
    states = [_state(item) for item in got]
    worst = max(states, key=list(CellState).index)
    if len(servers) == 1:
        lines = _lines_of_one(got[0], unplaced.get(servers[0].name))
    else:
        lines = _lines_of_several(got, states)
    return Cell(tuple(label(line, _LONGEST_LINE) for line in lines), sum(costs), worst)


def _state(item: PlannedAllocation | None) -> CellState:
    if item is None:
        return CellState.UNPLACED
    if not item.fully_served:
        return CellState.BEST_EFFORT
    return CellState.SERVED if item.replicas else CellState.IDLE


def _lines_of_one(item: PlannedAllocation | None, unplaced: Unplaced | None) -> list[str]:
    if item is None:
        reason = unplaced.reason.value.replace("_", " ") if unplaced else "not planned"
        return ["not placed", reason]
    if not item.replicas:
        return ["nothing to serve"]
    lines = _hardware(item)
    if not item.fully_served:
        lines[0] = f"best effort: {lines[0]}"
    if item.mix:
        return [*lines, f"{money(item.cost_per_hour)}/h"]
    return [*lines, f"batch {item.max_batch}, {money(item.cost_per_hour)}/h"]


def _lines_of_several(
    got: Sequence[PlannedAllocation | None], states: Sequence[CellState]
) -> list[str]:
    lines = []
    for item, state in zip(got, states, strict=True):
        if item is None or not item.replicas:
            lines.append(state.value)
        else:
            mark = "best effort: " if state is CellState.BEST_EFFORT else ""
            lines.append(mark + " + ".join(_hardware(item)))
    if len(lines) <= _MOST_LINES:
        return lines
    kept = lines[: _MOST_LINES - 1]
    return [*kept, f"and {count_of(len(lines) - len(kept), 'server')} more"]


def _hardware(item: PlannedAllocation) -> list[str]:
    if item.mix:
        return [f"{part.replicas} × {configured(part)}" for part in item.mix]
    return [f"{item.replicas} × {configured(item)}"]
