"""Measures of plans that several demonstrations report."""

from __future__ import annotations

from dataclasses import replace

from stoker.domain.allocation import PlannedAllocation
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.server import Allocation, Server


def served_vector(plan: Plan) -> tuple[int, ...]:
    """Return the number of servers served in full by priority, highest first."""
    return tuple(item.served for item in plan.services)


def served_words(plan: Plan) -> str:
    """Return how many servers are served in full by priority, e.g. ``9/9 9/9 6/9``."""
    return " ".join(f"{item.served}/{item.servers}" for item in plan.services)


def hardware(item: PlannedAllocation | None) -> str:
    """Return what a server runs on, e.g. ``3 × A100``."""
    if item is None or not item.replicas:
        return "nothing"
    if item.mix:
        return " + ".join(f"{part.replicas} × {part.accelerator}" for part in item.mix)
    return f"{item.replicas} × {item.accelerator}"


def allocation_of(plan: Plan, server: str) -> PlannedAllocation | None:
    """Return what a server gets; None where it gets nothing."""
    return next((item for item in plan.allocations if item.server == server), None)


def with_load(server: Server, factor: float) -> Server:
    """Return a server with its arrival rate multiplied."""
    if server.load is None:
        return server
    rate = server.load.arrival_rate_rps * factor
    return replace(server, load=replace(server.load, arrival_rate_rps=rate))


def running(server: Server, plan: Plan) -> Server:
    """Return a server that runs what a plan gave it; as it is where it gave it nothing."""
    item = allocation_of(plan, server.name)
    if item is None:
        return server
    current = Allocation(
        accelerator=item.accelerator,
        replicas=item.replicas,
        max_batch=item.max_batch,
        cost_per_hour=item.cost_per_hour,
        itl_ms=item.itl_ms,
        ttft_ms=item.ttft_ms,
        load=server.load,
    )
    return replace(server, current=current)


def carried_by_class(fleet: Fleet, plan: Plan) -> dict[str, float]:
    """Return the share of the offered requests that a plan completes, by class.

    A server without an allocation completes nothing; best effort completes what its replicas do
    not turn away.
    """
    offered: dict[str, float] = {}
    carried: dict[str, float] = {}
    for server in fleet.servers:
        rate = server.load.arrival_rate_rps if server.load else 0.0
        name = server.service_class
        offered[name] = offered.get(name, 0.0) + rate
        item = allocation_of(plan, server.name)
        lost = 1.0 if item is None or item.blocking is None else item.blocking
        carried[name] = carried.get(name, 0.0) + rate * (1.0 - lost)
    return {name: carried[name] / total for name, total in offered.items() if total > 0}
