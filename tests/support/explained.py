"""Fleets whose explanations can be checked by planning an edited document, and a plan of each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from optimizer.explaining.decision import Decision
from optimizer.explaining.matching import matched_decision
from optimizer.explaining.problem import PlanningProblem, problem_of
from optimizer.explaining.situation import Situation, situation_of
from optimizer.planner import plan_fleet
from optimizer.preparation import prepare
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.plan import Plan
from stoker.domain.settings import Analysis, OptimizerSettings
from stoker.domain.slo import ServiceClass

REFERENCE = OptimizerSettings(analysis=Analysis.REFERENCE)
"""The faster of the two analyses; what is tested here is the same with both."""


@dataclass(frozen=True)
class Planned:
    """A fleet, its plan, and the plan in rows of the fleet's table."""

    fleet: Fleet
    plan: Plan
    situation: Situation

    @property
    def problem(self) -> PlanningProblem:
        return self.situation.problem

    @property
    def base(self) -> Decision:
        return self.situation.base


def planned(fleet: Fleet) -> Planned:
    plan = plan_fleet(fleet)
    problem = problem_of(prepare(fleet), lambda: 0.0)
    return Planned(fleet, plan, situation_of(problem, matched_decision(fleet, problem.table, plan)))


def with_own_models(fleet: Fleet) -> Fleet:
    """Return the same fleet in which every server has a model, and profiles, of its own."""
    profiles = [
        replace(profile, model=f"{profile.model} of {server.name}")
        for server in fleet.servers
        for profile in fleet.profiles
        if profile.model == server.model
    ]
    classes = [
        ServiceClass(
            item.name,
            item.priority,
            tuple(
                replace(target, model=f"{target.model} of {server.name}")
                for server in fleet.servers
                for target in item.targets
                if target.model == server.model and server.service_class == item.name
            ),
        )
        for item in fleet.service_classes
    ]
    return replace(
        fleet,
        servers=tuple(
            replace(server, model=f"{server.model} of {server.name}") for server in fleet.servers
        ),
        profiles=tuple(profiles),
        service_classes=tuple(classes),
    )


def without_profile(fleet: Fleet, server: str, accelerator: str) -> Fleet:
    """Return a fleet of own models in which a server's has no profile on an accelerator."""
    model = next(item.model for item in fleet.servers if item.name == server)
    return replace(
        fleet,
        profiles=tuple(
            item
            for item in fleet.profiles
            if (item.model, item.accelerator) != (model, accelerator)
        ),
    )


def with_one_more(fleet: Fleet, card_type: str) -> Fleet:
    """Return a fleet with one more card of a type."""
    return replace(
        fleet,
        capacity=tuple(
            Capacity(item.card_type, item.count + (item.card_type == card_type))
            for item in fleet.capacity
        ),
    )


def only(fleet: Fleet, names: set[str]) -> Fleet:
    """Return a fleet with some of its servers, and those of unknown load, which hold cards."""
    return replace(
        fleet,
        servers=tuple(item for item in fleet.servers if item.name in names or item.load is None),
    )


def served(plan: Plan) -> dict[int, int]:
    """Return the servers served in full by priority."""
    return {item.priority: item.served for item in plan.services}


def names_served(plan: Plan) -> set[str]:
    return {item.server for item in plan.allocations if item.fully_served}
