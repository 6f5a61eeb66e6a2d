"""What of a fleet a horizon heeds, and what it refuses because its answer would leave it out.

A horizon plans card types by hour, not pools, nodes and budgets. Whatever of a fleet would change
its answer and is no part of its model is refused by name: a plan that leaves out a rule without a
word is worse than none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.horizon import HorizonTerms, HourlyDemand
from stoker.domain.limits import COST_ALONE, Survival
from stoker.domain.pools import NO_WISHES, PoolWishes
from stoker.domain.serving import Serving
from stoker.domain.settings import SaturationPolicy

_SECONDS = 3600.0
_SOLVE = "stoker solve plans with it, hour by hour"


def refuse_unheeded(fleet: Fleet, terms: HorizonTerms) -> None:
    """Refuse whatever of a fleet would change the plan of a horizon and is not heeded by it.

    Raises:
        InvalidInputError: Naming every field, what is allowed and why.
    """
    problems = [
        *_limits(fleet, terms),
        *_objectives(fleet),
        *_settings(fleet),
        *_wishes(fleet),
        *_sharing(fleet),
        *_serving(fleet),
        *_slices(fleet),
    ]
    if problems:
        raise InvalidInputError(problems)


def as_heeded(fleet: Fleet, demand: HourlyDemand) -> tuple[Fleet, HourlyDemand, tuple[str, ...]]:
    """Return a fleet and its demand with its headroom and limits in them, and what to tell of it.

    Every arrival rate is multiplied by the surge; servers have no more replicas than the limit of
    each server allows. What survives the loss of a replica is one more than needed (`spare_of`).
    """
    limits, notes = fleet.limits, []
    surge = limits.headroom.surge
    if surge != 1.0:
        loads = tuple(
            tuple(replace(load, arrival_rate_rps=load.arrival_rate_rps * surge) for load in own)
            for own in demand.loads
        )
        demand = replace(demand, loads=loads)
        notes.append(f"every arrival rate is taken {surge:g} times (limits.headroom.surge)")
    most = limits.max_replicas_per_server
    if most is not None:
        servers = tuple(
            replace(
                server,
                max_replicas=most
                if server.max_replicas is None
                else min(server.max_replicas, most),
            )
            for server in fleet.servers
        )
        fleet = replace(fleet, servers=servers)
        notes.append(f"no server has more than {most} replicas (limits.max_replicas_per_server)")
    if spare_of(fleet):
        notes.append(
            "the replicas needed are one more than carry the load, `min_replicas` included, in "
            "every hour that needs any "
            "(limits.headroom.survive: replica)"
        )
    policy = fleet.settings.saturation_policy
    if policy is not SaturationPolicy.NONE:
        notes.append(
            f"saturation policy {policy.value} was ignored: in a horizon servers are served in "
            "full or left out"
        )
    return fleet, demand, tuple(notes)


def spare_of(fleet: Fleet) -> int:
    """Return the replicas that each server with load has beyond those that carry it."""
    return int(fleet.limits.headroom.survive is Survival.REPLICA)


def used_accelerators(fleet: Fleet) -> set[str]:
    """Return the names of accelerators that a model of some server is known on."""
    models = {server.model for server in fleet.servers}
    return {item.accelerator for item in fleet.profiles if item.model in models}


def _limits(fleet: Fleet, terms: HorizonTerms) -> Iterator[Problem]:
    limits = fleet.limits
    for name in ("budget_per_hour", "power_w", "idle_power_w", "max_replicas", "max_changes"):
        value = getattr(limits, name)
        if value is not None:
            yield Problem(
                f"limits.{name}",
                f"{value:g}, which the plan of a horizon does not bound",
                f"to be left out of a horizon; {_SOLVE}",
            )
    if limits.max_spot_share is not None:
        yield Problem(
            "limits.max_spot_share",
            f"{limits.max_spot_share:g}: a horizon bounds the share of spot replicas of each "
            "server, not of all cards together",
            "limits.max_server_spot_share",
        )
    survive = limits.headroom.survive
    if survive in (Survival.NODE, Survival.ZONE):
        yield Problem(
            "limits.headroom.survive",
            f"{survive.value}: a horizon does not say on which nodes and in which zones replicas "
            "stand",
            "replica, or a larger surge",
        )
    if limits.replica_start_s > terms.start_up_hours * _SECONDS:
        least = -int(-limits.replica_start_s // _SECONDS)
        yield Problem(
            "limits.replica_start_s",
            f"{limits.replica_start_s:g} s: a horizon counts starts in whole hours, and "
            f"{terms.start_up_hours} are told",
            f"--start-up-hours {least} or more (start_up_hours)",
        )


def _objectives(fleet: Fleet) -> Iterator[Problem]:
    if fleet.objectives != COST_ALONE:
        names = ", ".join(term.name.value for term in fleet.objectives.terms)
        yield Problem(
            "objectives", f"{names}: a horizon is planned for its cost alone", "cost, or left out"
        )


def _settings(fleet: Fleet) -> Iterator[Problem]:
    if fleet.settings.placement:
        yield Problem(
            "optimizer.placement",
            "true: a horizon does not say on which nodes replicas stand",
            "false; stoker place finds places for the replicas of an hour",
        )
    if fleet.settings.heterogeneous:
        yield Problem(
            "optimizer.heterogeneous",
            "true: in a horizon a server is on one accelerator at a time",
            "false; with --switch-cost servers may move between accelerators",
        )


def _wishes(fleet: Fleet) -> Iterator[Problem]:
    plain = PoolWishes()
    for name, wishes in fleet.wishes.items():
        if wishes == NO_WISHES:
            continue
        for field in ("pools", "prefer_pools", "spread_zones", "max_zone_share", "max_spot_share"):
            value = getattr(wishes, field)
            if value != getattr(plain, field):
                told = ", ".join(value) if isinstance(value, tuple) else f"{value:g}"
                yield Problem(
                    f"servers.{name}.{field}",
                    f"{told}: a horizon plans cards by type, and does not say which pools a "
                    "server's replicas stand in",
                    "limits.max_server_spot_share, for all servers alike"
                    if field == "max_spot_share"
                    else f"to be left out of a horizon; {_SOLVE}",
                )


def _sharing(fleet: Fleet) -> Iterator[Problem]:
    for group in fleet.sharing:
        yield Problem(
            f"sharing.{group.name}",
            "servers that share replicas: a horizon plans the replicas of each server apart",
            f"to be left out of a horizon; {_SOLVE}",
        )


def _serving(fleet: Fleet) -> Iterator[Problem]:
    for server in fleet.servers:
        if Serving.DISAGGREGATED in server.serving:
            yield Problem(
                f"servers.{server.name}.serving",
                "disaggregated: a horizon does not plan pools of prefill and of decode replicas "
                "by hour",
                "aggregated",
            )


def _slices(fleet: Fleet) -> Iterator[Problem]:
    used = used_accelerators(fleet)
    for item in fleet.accelerators:
        if item.slice is not None and item.name in used:
            yield Problem(
                f"accelerators.{item.name}.slice",
                f"a slice of a card of {item.card_type}: a horizon counts whole cards by hour, and "
                "does not cut them",
                "accelerators of whole cards for the models that are served",
            )
