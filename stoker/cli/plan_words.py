"""A plan in words: what is proven, how it was made, who is served."""

from __future__ import annotations

from collections.abc import Iterator

from stoker.cli.figures import count_of, elapsed, money
from stoker.domain.allocation import BatchChoice
from stoker.domain.latency import MEAN, Latency
from stoker.domain.plan import ClassService, Plan, PlanStatus
from stoker.domain.routing import Router

_SHOWN = 8
"""Servers told one by one; of more the number is told."""

_METHODS = {
    "unlimited": "unlimited: the cheapest candidate of each server, capacity ignored",
    "greedy": "greedy, priority by priority",
    "milp-exact": "MILP, priority by priority (milp-exact)",
    "milp-weighted": "MILP, priorities as weights (milp-weighted)",
}


def status_words(plan: Plan) -> str:
    """Return how good the plan is known to be, in a sentence."""
    if plan.status is PlanStatus.TIME_LIMIT:
        return "time limit: it passed before any plan was found"
    if plan.status is PlanStatus.INFEASIBLE:
        return "infeasible: no server can be served within its targets"
    if plan.status is PlanStatus.OPTIMAL:
        return f"optimal: proven, {_gap_words(plan)}"
    if plan.gap is None:
        return "feasible: a valid plan; how far it is from the best is not known"
    return f"feasible: a valid plan, {_gap_words(plan)}"


def _gap_words(plan: Plan) -> str:
    if plan.gap is None:
        return "no gap to report"
    if plan.gap <= 0:
        return "gap 0"
    gap = "below 0.0001%" if plan.gap < 1e-6 else f"at most {100 * plan.gap:.3g}%"
    bound = "" if plan.bound is None else f" (bound {money(plan.bound)} {plan.currency}/h)"
    return f"gap {gap}{bound}"


def method_words(plan: Plan) -> str:
    """Return how the plan was made: method, solver library, analysis."""
    parts = [_METHODS.get(plan.method, plan.method)]
    if plan.backend:
        parts.append(f"solver {plan.backend}")
    parts.append(f"analysis {plan.analysis.value}")
    return ", ".join(parts)


def served_words(service: ClassService) -> str:
    """Return how many servers of a priority are served, and what is proven about it."""
    text = f"priority {service.priority}: {service.served} of {service.servers}"
    if service.served >= service.servers or service.bound is None:
        return text
    if service.bound <= service.served:
        return f"{text} (proven the most possible)"
    return f"{text} (at most {service.bound} possible)"


def objective_words(plan: Plan) -> str:
    """Return the quantity that was minimized, with what it counts."""
    return (
        f"{money(plan.objective)} {plan.currency}/h: the servers served in full, "
        "with the penalty for what changes"
    )


def router_words(plan: Plan) -> tuple[str, ...]:
    """Return which servers have another router than a random split, one sentence a router."""
    sentences = []
    for router in Router:
        names = [
            item.server for item in plan.allocations if item.router is router and item.replicas
        ]
        if names and router is not Router.RANDOM:
            more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
            sentences.append(f"{router.label}: {', '.join(names[:_SHOWN])}{more}")
    return tuple(sentences)


def batch_words(plan: Plan) -> tuple[str, ...]:
    """Return the batch limits that were chosen and what they were preferred to."""
    sentences = list(_batch_sentences(plan))
    more = len(sentences) - _SHOWN
    return (*sentences[:_SHOWN], *([f"and {more:,} more"] if more > 0 else []))


def _batch_sentences(plan: Plan) -> Iterator[str]:
    for item in plan.allocations:
        for part in item.mix or (item,):
            if part.batch_choice is not None:
                on = f" on {part.accelerator}" if item.mix else ""
                yield f"{item.server}{on}: {_preferred(part.max_batch, part.batch_choice)}"


def _preferred(chosen: int, choice: BatchChoice) -> str:
    """Return a choice in words: ``64 rather than 256: p95 ITL``."""
    if chosen == choice.largest:
        return f"{chosen}, the largest"
    rather = f"{chosen} rather than {choice.largest}"
    if choice.binding is None:
        return f"{rather}, which carries no more"
    return f"{rather}: {_binding_words(choice.binding)}"


def _binding_words(binding: str) -> str:
    """Return what binds in words: ``p95 ITL`` for ``itl_ms.p95``."""
    shorts = {latency.value: latency.short for latency in Latency}
    key, _, statistic = binding.partition(".")
    if key not in shorts:
        return binding
    return f"{'mean' if statistic == MEAN else statistic} {shorts[key]}"


def timing_words(plan: Plan) -> str:
    """Return the milliseconds by phase, in one line."""
    return " · ".join(f"{phase} {elapsed(value)}" for phase, value in plan.timings_ms.items())


def summary_line(plan: Plan) -> str:
    """Return the plan in one line, for messages beside a plan written to a file."""
    served = sum(service.served for service in plan.services)
    servers = sum(service.servers for service in plan.services)
    return (
        f"{plan.status.value}: {served} of {count_of(servers, 'server')} served, "
        f"{money(plan.cost_per_hour)} {plan.currency}/h"
    )
