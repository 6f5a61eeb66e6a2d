"""Checks of what a horizon is planned with, and what commitments cost."""

from __future__ import annotations

import math
from collections.abc import Iterator

from stoker.domain.errors import InvalidInputError, Problem
from stoker.domain.fleet import Fleet
from stoker.domain.horizon import CardTerms, HorizonTerms, HourlyDemand, ReservedTerms

_SHOWN = 3


def horizon_cost_of_commitment(terms: ReservedTerms, hours: int) -> float:
    """Return what a committed card costs over the horizon, in hours of its price on demand."""
    paid = hours
    if terms.term_hours is not None:
        paid = math.ceil(hours / terms.term_hours) * terms.term_hours
    return terms.price_factor * paid


def check_terms(fleet: Fleet, terms: HorizonTerms, hours: int) -> None:
    """Refuse terms that make no sense.

    Raises:
        InvalidInputError: Every problem.
    """
    problems = [
        Problem(path, f"{value:g} is out of bounds", allowed)
        for path, value, right, allowed in (
            ("start_up_hours", terms.start_up_hours, terms.start_up_hours >= 0, "0 or more"),
            ("min_up_hours", terms.min_up_hours, terms.min_up_hours >= 1, "1 or more"),
            ("confidence", terms.confidence, 0 < terms.confidence < 1, "above 0 and below 1"),
            (
                "switch_cost",
                terms.switch_cost or 0.0,
                (terms.switch_cost or 0.0) >= 0,
                "0 or more",
            ),
        )
        if not right
    ]
    problems += _offered("", terms.default, hours)
    types = sorted({item.card_type for item in fleet.accelerators})
    for name, told in terms.by_type.items():
        if name not in types:
            problems.append(
                Problem(f"card_types.{name}", "no accelerator has such cards", ", ".join(types))
            )
        problems += _offered(f"card_types.{name}.", told, hours)
    if problems:
        raise InvalidInputError(problems)


def _offered(path: str, told: CardTerms, hours: int) -> Iterator[Problem]:
    reserved, spot = told.reserved, told.spot
    checks: list[tuple[str, float, bool, str]] = []
    if reserved is not None:
        factor = reserved.price_factor
        checks.append(("reserved.price_factor", factor, 0 <= factor <= 1, "from 0 to 1"))
        term = reserved.term_hours
        checks.append(("reserved.term_hours", term or 1, term is None or term >= 1, "1 or more"))
    if spot is not None:
        rate, share = spot.interruptions_per_hour, spot.most_share
        factor = spot.price_factor
        checks.append(("spot.price_factor", factor, 0 <= factor <= 1, "from 0 to 1"))
        checks.append(("spot.interruptions_per_hour", rate, 0 <= rate < 10, "from 0 to 10"))
        checks.append(("spot.most_share", share, 0 <= share <= 1, "from 0 to 1"))
    for field, value, right, allowed in checks:
        if not right:
            yield Problem(path + field, f"{value:g} is out of bounds", allowed)
    if told.cards is not None and len(told.cards) not in (1, hours):
        yield Problem(
            f"{path}cards",
            f"{len(told.cards)} numbers for {hours} hours",
            f"one number for all hours, or {hours}",
        )


def matched_demand(fleet: Fleet, demand: HourlyDemand) -> HourlyDemand:
    """Return the demand in the order of the fleet's servers.

    Raises:
        InvalidInputError: A server of either is unknown to the other, or a load makes no sense.
    """
    known = {server.name for server in fleet.servers}
    told = dict(zip(demand.servers, demand.loads, strict=True))
    problems = [
        Problem(f"demand.{name}", "the fleet has no server of this name", _some(sorted(known)))
        for name in demand.servers
        if name not in known
    ]
    problems += [
        Problem(f"demand.{server.name}", "no demand is told for this server of the fleet")
        for server in fleet.servers
        if server.name not in told
    ]
    for name, loads in told.items():
        if len(loads) != demand.hours or not loads:
            problems.append(
                Problem(f"demand.{name}", f"{len(loads)} hours", f"{demand.hours}, at least 1")
            )
        for hour, load in enumerate(loads):
            rate = load.arrival_rate_rps
            if not (math.isfinite(rate) and rate >= 0):
                problems.append(
                    Problem(
                        f"demand.{name}.{hour}.arrival_rate_rps",
                        f"{rate:g} is no rate",
                        "a finite number of 0 or more",
                    )
                )
    if problems:
        raise InvalidInputError(problems)
    order = tuple(server.name for server in fleet.servers)
    return HourlyDemand(order, tuple(told[name] for name in order), demand.quantile, demand.source)


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, ... ({len(names)} servers)"
