"""From pools, limits and objectives to a document, without the values that are defaults."""

from __future__ import annotations

from dataclasses import fields
from itertools import groupby

from stoker.domain.fleet import Fleet
from stoker.domain.limits import COST_ALONE, NO_LIMITS, Combination, Headroom, Limits, Objectives
from stoker.domain.pools import Pool, PoolWishes, PriceKind


def pool_sections(fleet: Fleet) -> dict[str, object]:
    """Return the sections of a document that say what is not plain of a fleet."""
    sections: dict[str, object] = {}
    if fleet.pools:
        sections["pools"] = [_pool(item) for item in fleet.pools]
    if fleet.quotas:
        sections["quotas"] = {item.name: item.cards for item in fleet.quotas}
    if fleet.limits != NO_LIMITS:
        sections["limits"] = _limits(fleet.limits)
    if fleet.objectives != COST_ALONE:
        sections["objectives"] = _objectives(fleet.objectives)
    return sections


def unpooled_capacity(fleet: Fleet) -> dict[str, int]:
    """Return the cards of the types that no pool has."""
    pooled = {item.card_type for item in fleet.pools}
    return {item.card_type: item.count for item in fleet.capacity if item.card_type not in pooled}


def wish_fields(wishes: PoolWishes) -> dict[str, object]:
    """Return the fields of a server that say what it asks of pools."""
    default = PoolWishes()
    found: dict[str, object] = {}
    for item in fields(wishes):
        value = getattr(wishes, item.name)
        if value != getattr(default, item.name):
            found[item.name] = list(value) if isinstance(value, tuple) else _plain(value)
    return found


def _plain(value: object) -> object:
    """Return a number as a person would write it."""
    return int(value) if isinstance(value, float) and value == int(value) else value


def _pool(item: Pool) -> dict[str, object]:
    document: dict[str, object] = {
        "name": item.name,
        "card_type": item.card_type,
        "cards": item.cards,
    }
    optional: dict[str, object] = {
        "region": item.region,
        "zone": item.zone,
        "cluster": item.cluster,
        "price_kind": item.price_kind.value if item.price_kind is not PriceKind.ON_DEMAND else None,
        "price_per_card_hour": item.price_per_card_hour,
        "price_factor": item.price_factor if item.price_factor != 1.0 else None,
        "quota": item.quota,
        "quota_group": item.quota_group,
        "interruptions_per_hour": item.interruptions_per_hour or None,
        "nodes": [
            {"count": len(list(same)), "cards": cards} for cards, same in groupby(item.node_cards)
        ]
        or None,
    }
    return document | {k: _plain(value) for k, value in optional.items() if value is not None}


def _limits(limits: Limits) -> dict[str, object]:
    found: dict[str, object] = {}
    for item in fields(limits):
        value = getattr(limits, item.name)
        if value == getattr(NO_LIMITS, item.name):
            continue
        found[item.name] = _headroom(value) if isinstance(value, Headroom) else _plain(value)
    return found


def _headroom(headroom: Headroom) -> dict[str, object]:
    found: dict[str, object] = {}
    if headroom.surge != 1.0:
        found["surge"] = _plain(headroom.surge)
    if headroom.survive is not None:
        found["survive"] = headroom.survive.value
    return found


def _objectives(objectives: Objectives) -> list[dict[str, object]]:
    weighted = objectives.combine is Combination.WEIGHTED
    found: list[dict[str, object]] = []
    for term in objectives.terms:
        entry: dict[str, object] = {"name": term.name.value}
        if weighted:
            entry["weight"] = _plain(term.weight)
        elif term.tolerance:
            entry["tolerance"] = _plain(term.tolerance)
        found.append(entry)
    return found
