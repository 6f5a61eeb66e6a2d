"""A fleet with what each server is offered, planned, and told again in the documents' own names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.names import unused_name
from controller.offered import EVERYTHING, Offer
from controller.whereabouts import Place
from optimizer.configurations.current import profile_of_allocation, profiles_by_pair
from optimizer.planner import plan_fleet
from optimizer.predictors import unheeded_notes
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.profile import ModelProfile
from stoker.domain.server import Server
from stoker.domain.settings import OptimizerSettings
from stoker.domain.slo import ServiceClass


@dataclass(frozen=True, slots=True)
class OfferedFleet:
    """A fleet with the profiles that its servers are offered.

    Profiles are those of a model: where servers of one model are offered different ones, each
    further offer is a model of its own.

    Attributes:
        fleet: The fleet to plan.
        before: The fleet of the documents' models.
        models: Of each model that stands in for another one, which that is.
        classes: Of each service class that stands in for another one, which that is.
    """

    fleet: Fleet
    before: Fleet
    models: Mapping[str, str]
    classes: Mapping[str, str]

    def planned(self, settings: OptimizerSettings) -> Plan:
        """Return the plan, in the names of the documents.

        Raises:
            StokerError: There is none; `said` tells why in the names of the documents.
        """
        plan = plan_fleet(self.fleet, settings)
        if not self.models and not self.classes:
            return plan
        counted = unheeded_notes(self.fleet, plan.analysis)
        notes = (
            *unheeded_notes(self.before, plan.analysis),
            *(self.said(each) for each in plan.notes if each not in counted),
        )
        return replace(
            plan,
            allocations=tuple(self._named(each) for each in plan.allocations),
            unplaced=tuple(
                replace(each, detail=self.said(each.detail), remedy=self.said(each.remedy))
                for each in plan.unplaced
            ),
            notes=tuple(dict.fromkeys(notes)),
        )

    def said(self, words: str) -> str:
        """Return words in the names of the documents, each line once."""
        names = {**self.models, **self.classes}
        for name in sorted(names, key=lambda each: (-len(each), each)):
            words = words.replace(name, names[name])
        return "\n".join(dict.fromkeys(words.split("\n")))

    def server(self, name: str) -> Server:
        """Return a server as it is planned."""
        return next(each for each in self.fleet.servers if each.name == name)

    def alone(self, server: Server) -> OfferedFleet:
        """Return the fleet for one server alone that goes nowhere else.

        Args:
            server: One of the fleet, which may ask for something else here.
        """
        profiles, now = self.fleet.profiles, server.current
        if now is not None:
            server = replace(server, keep_accelerator=True)
        if now is not None and now.replicas:
            runs = profile_of_allocation(profiles_by_pair(self.fleet), server.model, now)
            profiles = () if runs is None else (runs,)
        return replace(self, fleet=replace(self.fleet, servers=(server,), profiles=profiles))

    def _named(self, one: PlannedAllocation) -> PlannedAllocation:
        model = self.models.get(one.model, one.model)
        targets = None if one.targets is None else replace(one.targets, model=model)
        service_class = self.classes.get(one.service_class, one.service_class)
        return replace(one, model=model, service_class=service_class, targets=targets)


def with_offers(
    fleet: Fleet, offers: Mapping[str, Offer], classes: Mapping[str, str] | None = None
) -> OfferedFleet:
    """Return the fleet with what its servers are offered.

    Args:
        fleet: The fleet.
        offers: By server; one that is not named is offered everything.
        classes: Of each service class that stands in for another one, which that is.
    """
    if not any(each != EVERYTHING for each in offers.values()):
        return OfferedFleet(fleet, fleet, {}, classes or {})
    by_model: dict[str, dict[tuple[frozenset[Place], tuple[ModelProfile, ...]], str]] = {}
    taken = _models_of(fleet)
    models: dict[str, str] = {}
    servers = []
    for server in fleet.servers:
        own = by_model.setdefault(server.model, {})
        offer = offers.get(server.name, EVERYTHING)
        key = offer.barred, offer.limited
        if key not in own:
            own[key] = server.model
            if len(own) > 1:
                own[key] = unused_name(f"{server.model} ({server.name})", taken)
                models[own[key]] = server.model
                taken.add(own[key])
        servers.append(_settled(replace(server, model=own[key]), settled=offer.settled))
    nothing: tuple[frozenset[Place], tuple[ModelProfile, ...]] = (frozenset(), ())
    profiles = tuple(
        replace(_offered(profile, limited), model=name)
        for profile in fleet.profiles
        for (barred, limited), name in by_model.get(profile.model, {nothing: profile.model}).items()
        if (profile.accelerator, profile.configuration) not in barred
    )
    promises = tuple(_with_targets(each, models) for each in fleet.service_classes)
    offered = replace(fleet, servers=tuple(servers), profiles=profiles, service_classes=promises)
    return OfferedFleet(offered, fleet, models, classes or {})


def _models_of(fleet: Fleet) -> set[str]:
    """Return every name of a model that a fleet has."""
    return {
        *(each.model for each in fleet.profiles),
        *(each.model for each in fleet.servers),
        *(target.model for each in fleet.service_classes for target in each.targets),
    }


def _settled(server: Server, *, settled: bool) -> Server:
    if not settled:
        return server
    return replace(server, max_batch=None, choose_batch=False, batch_limits=())


def _offered(profile: ModelProfile, limited: tuple[ModelProfile, ...]) -> ModelProfile:
    place = profile.accelerator, profile.configuration
    return next(
        (each for each in limited if (each.accelerator, each.configuration) == place), profile
    )


def _with_targets(one: ServiceClass, models: Mapping[str, str]) -> ServiceClass:
    promised = {each.model: each for each in one.targets}
    more = (
        replace(promised[model], model=name) for name, model in models.items() if model in promised
    )
    return replace(one, targets=(*one.targets, *more))
