"""Pools, quotas, limits and objectives in documents: their schema, and the values of the domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from data.fields import Amount, Count, Fraction, Name, PositiveAmount, PositiveCount, StrictModel
from stoker.domain.limits import (
    COST_ALONE,
    LEAST_WEIGHT,
    MOST_WEIGHT,
    Combination,
    Headroom,
    Limits,
    Objective,
    ObjectiveName,
    Objectives,
    Survival,
)
from stoker.domain.pools import NO_WISHES, Pool, PoolWishes, PriceKind, QuotaGroup

MOST_NODES = 100_000
"""Nodes that one entry of a pool may stand for."""

_SpotShare = Annotated[float, Field(ge=0, le=1)]
_Weight = Annotated[float, Field(ge=LEAST_WEIGHT, le=MOST_WEIGHT)]


class PoolNodesEntry(StrictModel):
    """Nodes of a pool that are alike."""

    count: Annotated[int, Field(ge=1, le=MOST_NODES)] = Field(1, description="Number of nodes.")
    cards: PositiveCount = Field(description="Cards on each.")


class PoolEntry(StrictModel):
    """Cards of one type in one place at one price."""

    name: Name = Field(description="Unique name.", examples=["h100-eu-a"])
    card_type: Name = Field(description="Type of its cards, as in `accelerators`.")
    cards: Count = Field(description="Number of cards.")
    region: Name | None = Field(None, description="Region.", examples=["eu-west"])
    zone: Name | None = Field(
        None,
        description="Zone of the region, which fails as one. Pools of a region without a zone are "
        "one zone.",
    )
    cluster: Name | None = Field(None, description="Cluster, for reports.")
    price_kind: Literal["on-demand", "reserved", "spot"] = Field(
        "on-demand", description="How its cards are paid for."
    )
    price_per_card_hour: Amount | None = Field(
        None, description="Price of a card per hour; by `price_factor`, where left out."
    )
    price_factor: Annotated[float, Field(ge=0, le=1e6)] | None = Field(
        None, description="Factor on the accelerators' own prices; 1, where left out."
    )
    quota: Count | None = Field(None, description="Cards that may be used at most.")
    quota_group: Name | None = Field(
        None, description="Name of an entry of `quotas`, which it shares with other pools."
    )
    interruptions_per_hour: Annotated[float, Field(ge=0, le=3600)] | None = Field(
        None, description="How often a replica is interrupted, on average; spot only."
    )
    nodes: list[PoolNodesEntry] | None = Field(
        None, description="Its nodes; one node that holds all its cards, where left out."
    )


class HeadroomEntry(StrictModel):
    """What a plan keeps in reserve."""

    surge: Annotated[float, Field(gt=0, le=1e6)] = Field(
        1.0, description="Factor on every arrival rate, before anything is sized."
    )
    survive: Literal["replica", "node", "zone"] | None = Field(
        None,
        description="The largest single loss after which every server served in full still has "
        "the replicas that carry its load.",
    )


class LimitsEntry(StrictModel):
    """Bounds on the plan as a whole. What is left out is not bounded."""

    budget_per_hour: Amount | None = Field(
        None, description="Largest cost of the plan per hour, in `currency`."
    )
    power_w: Amount | None = Field(
        None, description="Largest power of all replicas at their planned utilization, in W."
    )
    idle_power_w: Amount | None = Field(
        None, description="Largest power of the same replicas without load, in W."
    )
    max_replicas: Count | None = Field(None, description="Largest number of replicas in all.")
    max_replicas_per_server: PositiveCount | None = Field(
        None, description="Largest number of replicas of a server."
    )
    max_changes: Count | None = Field(
        None, description="Largest number of servers for which something else runs than `current`."
    )
    max_spot_share: _SpotShare | None = Field(
        None, description="Largest share of all cards used that may be spot."
    )
    max_server_spot_share: _SpotShare | None = Field(
        None, description="Largest share of a server's replicas on spot cards, unless it says."
    )
    replica_start_s: Annotated[float, Field(ge=0, le=86_400)] = Field(
        0.0, description="Time from ordering a replica to its first request, in seconds."
    )
    plan_hours: PositiveAmount = Field(
        1.0, description="Hours that a plan is expected to stay, over which starts are spread."
    )
    headroom: HeadroomEntry | None = Field(None, description="What is kept in reserve.")


class ObjectiveEntry(StrictModel):
    """One thing that a plan is to be best at: all with a weight, or none."""

    model_config = ConfigDict(
        json_schema_extra={"not": {"required": ["weight", "tolerance"]}},
    )

    name: Literal["cost", "energy", "slo_slack", "changes", "fairness"] = Field(
        description="Which: value an hour, power, use of targets, servers changed, or the largest "
        "share of a class's load that is not served."
    )
    weight: _Weight | None = Field(None, description="Factor on it; the sum of all is minimized.")
    tolerance: Fraction | None = Field(
        None, description="Share of its best value that later objectives may give away."
    )


def pool_from_entry(entry: PoolEntry) -> Pool:
    """Return the pool of an entry."""
    return Pool(
        name=entry.name,
        card_type=entry.card_type,
        cards=entry.cards,
        region=entry.region,
        zone=entry.zone,
        cluster=entry.cluster,
        price_kind=PriceKind(entry.price_kind),
        price_per_card_hour=entry.price_per_card_hour,
        price_factor=1.0 if entry.price_factor is None else entry.price_factor,
        quota=entry.quota,
        quota_group=entry.quota_group,
        interruptions_per_hour=entry.interruptions_per_hour or 0.0,
        node_cards=tuple(node.cards for node in entry.nodes or [] for _ in range(node.count)),
    )


def quotas_from_entry(entry: Mapping[str, int] | None) -> tuple[QuotaGroup, ...]:
    """Return the quotas of a document."""
    return tuple(QuotaGroup(name, cards) for name, cards in (entry or {}).items())


def limits_from_entry(entry: LimitsEntry | None) -> Limits:
    """Return the limits of a document."""
    if entry is None:
        return Limits()
    own = entry.model_dump(exclude={"headroom"})
    kept = entry.headroom or HeadroomEntry()
    survive = None if kept.survive is None else Survival(kept.survive)
    return Limits(**own, headroom=Headroom(kept.surge, survive))


def objectives_from_entry(entry: list[ObjectiveEntry] | None) -> Objectives:
    """Return the objectives of a document: weighted where they have weights."""
    if not entry:
        return COST_ALONE
    weighted = any(term.weight is not None for term in entry)
    terms = tuple(
        Objective(
            ObjectiveName(term.name),
            1.0 if term.weight is None else term.weight,
            term.tolerance or 0.0,
        )
        for term in entry
    )
    return Objectives(terms, Combination.WEIGHTED if weighted else Combination.LEXICOGRAPHIC)


def wishes_from_fields(
    pools: list[str] | None,
    prefer_pools: list[str] | None,
    spread_zones: int | None,
    max_zone_share: float | None,
    max_spot_share: float | None,
) -> PoolWishes:
    """Return what the fields of a server ask of pools."""
    wishes = PoolWishes(
        pools=tuple(pools or ()),
        prefer_pools=tuple(prefer_pools or ()),
        spread_zones=spread_zones or 1,
        max_zone_share=max_zone_share,
        max_spot_share=max_spot_share,
    )
    return NO_WISHES if wishes == NO_WISHES else wishes
