"""What a plan may choose from: of each server, what its workloads are and their pods can do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from optimizer.configurations.current import PairProfiles
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.control.cluster import VariantState
from stoker.domain.control.configurations import Configurations, configuration_of
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.profile import ModelProfile
from stoker.domain.server import Server
from stoker.domain.settings import DEFAULT_ANALYSIS, Analysis
from stoker.domain.slo import ServiceClass


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server is offered of the profiles of its model.

    Attributes:
        barred: Accelerators and configurations on them that it has no workloads for.
        limited: Profiles with the batch limit that its pods have, in place of those like them.
    """

    barred: frozenset[tuple[str, str]] = frozenset()
    limited: tuple[ModelProfile, ...] = ()


EVERYTHING = Offer()


def offer_to(
    server: Server,
    variants: Sequence[VariantState],
    stays: VariantState | None,
    profiles: PairProfiles,
    configurations: Configurations,
    *,
    fixed: bool,
    analysis: Analysis | None,
) -> Offer:
    """Return what a server is offered.

    Accelerators that it has no workload on are left as they are.

    Args:
        server: The server, with its load.
        variants: Its workloads.
        stays: The workload that it has to stay on; None where it may move.
        profiles: Those of the fleet.
        configurations: Their configurations.
        fixed: Whether its pods keep their batch limits now.
        analysis: The analysis of the fleet.
    """
    barred: set[tuple[str, str]] = set()
    limited = []
    for accelerator in sorted({each.accelerator for each in variants}):
        there = [each for each in variants if each.accelerator == accelerator]
        if stays is not None and stays.accelerator == accelerator:
            there = [stays]
        names = {configuration_of(each, server.model, configurations): each for each in there}
        own = configurations.get((server.model, accelerator), ())
        if len(own) > 1:
            barred |= {(accelerator, name) for name in own if name not in names}
        if fixed:
            limited += [
                _limited(item, each.max_batch, server, analysis)
                for item in profiles.get((server.model, accelerator), ())
                for each in (names.get(item.configuration),)
                if each is not None and each.max_batch
            ]
    return Offer(frozenset(barred), tuple(each for each in limited if each is not None))


def _limited(
    profile: ModelProfile, told: int | None, server: Server, analysis: Analysis | None
) -> ModelProfile | None:
    """Return a profile with the batch limit that pods are told; None where it has no larger one.

    Where memory alone bounds the batch, a profile tells its largest one with the tokens that it
    holds for: here one token, so that the limit is the same whatever the requests are.
    """
    load = server.load
    if not told or load is None or load.is_zero or server.max_batch or server.batch_limits:
        return None
    if profile.kv_tokens is not None and (analysis or DEFAULT_ANALYSIS) is Analysis.FULL:
        return replace(profile, max_batch=told) if told < profile.max_batch else None
    if told >= profile.batch_limit(load.output_tokens):
        return None
    held = math.ceil(told * load.output_tokens)
    while math.floor(held / load.output_tokens) < told:
        held += 1
    return replace(profile, max_batch=held, at_tokens=1)


def with_offers(fleet: Fleet, offers: Mapping[str, Offer]) -> tuple[Fleet, dict[str, str]]:
    """Return the fleet with the profiles that its servers are offered.

    Profiles are those of a model. Where servers of one model are offered different ones, each
    further offer is a model of its own in this fleet; the second value tells whose it is.
    """
    if not any(each != EVERYTHING for each in offers.values()):
        return fleet, {}
    by_model: dict[str, dict[Offer, str]] = {}
    names: dict[str, str] = {}
    servers = []
    for server in fleet.servers:
        own = by_model.setdefault(server.model, {})
        offer = offers.get(server.name, EVERYTHING)
        if offer not in own:
            own[offer] = f"{server.model} ({server.name})" if own else server.model
            if own[offer] != server.model:
                names[own[offer]] = server.model
        name = own[offer]
        servers.append(replace(server, model=name) if name != server.model else server)
    profiles = tuple(
        item if name == item.model else replace(item, model=name)
        for profile in fleet.profiles
        for offer, name in by_model.get(profile.model, {EVERYTHING: profile.model}).items()
        if (profile.accelerator, profile.configuration) not in offer.barred
        for item in (_offered(profile, offer),)
    )
    classes = tuple(_with_targets(each, names) for each in fleet.service_classes)
    fleet = replace(fleet, servers=tuple(servers), profiles=profiles, service_classes=classes)
    return fleet, names


def as_named(plan: Plan, names: Mapping[str, str]) -> Plan:
    """Return a plan of such a fleet with the models as they are named in the documents."""
    if not names:
        return plan
    return replace(
        plan,
        allocations=tuple(_named(each, names) for each in plan.allocations),
        unplaced=tuple(
            replace(each, detail=_said(each.detail, names), remedy=_said(each.remedy, names))
            for each in plan.unplaced
        ),
    )


def _offered(profile: ModelProfile, offer: Offer) -> ModelProfile:
    place = profile.accelerator, profile.configuration
    return next(
        (each for each in offer.limited if (each.accelerator, each.configuration) == place),
        profile,
    )


def _with_targets(one: ServiceClass, names: Mapping[str, str]) -> ServiceClass:
    promised = {each.model: each for each in one.targets}
    more = (
        replace(promised[model], model=name) for name, model in names.items() if model in promised
    )
    return replace(one, targets=(*one.targets, *more))


def _named(one: PlannedAllocation, names: Mapping[str, str]) -> PlannedAllocation:
    model = names.get(one.model)
    if model is None:
        return one
    targets = None if one.targets is None else replace(one.targets, model=model)
    return replace(one, model=model, targets=targets)


def _said(words: str, names: Mapping[str, str]) -> str:
    for name, model in names.items():
        words = words.replace(name, model)
    return words
