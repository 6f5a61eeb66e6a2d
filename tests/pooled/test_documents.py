"""Pools, limits and objectives in documents, and in what is written of plans."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.plan_csv import plan_to_csv
from data.plan_format import plan_to_document
from data.stoker_format import document_to_fleet, fleet_to_document
from optimizer.planner import plan_fleet
from stoker.cli.render_plan import plan_report
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.limits import (
    Combination,
    Headroom,
    Limits,
    Objective,
    ObjectiveName,
    Objectives,
    Survival,
)
from stoker.domain.pools import Pool, PoolWishes, PriceKind, QuotaGroup
from stoker.domain.settings import Analysis, OptimizerSettings
from tests.support.small_fleets import make_fleet, make_server

amounts = st.none() | st.sampled_from([0.5, 3.0, 1200.25])
counts = st.none() | st.integers(0, 9)
shares = st.none() | st.sampled_from([0.25, 1.0])


@st.composite
def pool_fleets(draw: st.DrawFn) -> Fleet:
    """Draw a fleet with everything that documents can say of pools."""
    pools = []
    for index in range(draw(st.integers(1, 4))):
        spot = draw(st.booleans())
        price = draw(amounts)
        nodes = draw(st.sampled_from([(), (4,), (2, 2), (1, 1, 2)]))
        pools.append(
            Pool(
                name=f"p{index}",
                card_type=draw(st.sampled_from(["B", "C"])),
                cards=sum(nodes) or draw(st.integers(0, 9)),
                region=draw(st.sampled_from([None, "eu"])),
                zone=draw(st.sampled_from([None, "a"])),
                cluster=draw(st.sampled_from([None, "one"])),
                price_kind=PriceKind.SPOT if spot else draw(st.sampled_from(PriceKind)),
                price_per_card_hour=price,
                price_factor=1.0 if price is not None else draw(st.sampled_from([1.0, 0.4])),
                quota=draw(counts),
                quota_group=draw(st.sampled_from([None, "q"])),
                interruptions_per_hour=draw(st.sampled_from([0.0, 0.1])) if spot else 0.0,
                node_cards=nodes,
            )
        )
    pooled = {pool.card_type for pool in pools}
    fleet = make_fleet(make_server("s"), make_server("t"))
    names = tuple(pool.name for pool in pools)
    terms = draw(st.lists(st.sampled_from(ObjectiveName), min_size=1, unique=True))
    combine = draw(st.sampled_from(Combination))
    weighted = combine is Combination.WEIGHTED
    sums = {kind: sum(p.cards for p in pools if p.card_type == kind) for kind in pooled}
    kept = tuple(item for item in fleet.capacity if item.card_type not in pooled)
    first = dict.fromkeys(pool.card_type for pool in pools)
    return replace(
        fleet,
        capacity=(*kept, *(replace(fleet.capacity[0], card_type=k, count=sums[k]) for k in first)),
        pools=tuple(pools),
        quotas=(QuotaGroup("q", draw(st.integers(0, 9))),),
        wishes={
            "t": PoolWishes(
                pools=draw(st.sampled_from([(), names])),
                prefer_pools=names[:1],
                spread_zones=draw(st.integers(1, 3)),
                max_zone_share=draw(shares),
                max_spot_share=draw(shares),
            )
        },
        limits=Limits(
            budget_per_hour=draw(amounts),
            power_w=draw(amounts),
            idle_power_w=draw(amounts),
            max_replicas=draw(counts),
            max_replicas_per_server=draw(st.none() | st.integers(1, 9)),
            max_changes=draw(counts),
            max_spot_share=draw(shares),
            max_server_spot_share=draw(shares),
            replica_start_s=draw(st.sampled_from([0.0, 90.0])),
            plan_hours=draw(st.sampled_from([1.0, 0.5])),
            headroom=Headroom(
                draw(st.sampled_from([1.0, 1.5])), draw(st.sampled_from([None, *Survival]))
            ),
        ),
        objectives=Objectives(
            tuple(
                Objective(
                    name,
                    draw(st.sampled_from([1.0, 0.25])) if weighted else 1.0,
                    0.0 if weighted else draw(st.sampled_from([0.0, 0.1])),
                )
                for name in terms
            ),
            combine,
        ),
    )


@given(fleet=pool_fleets())
@settings(max_examples=60, deadline=None)
def test_documents_hold_all_of_it(fleet: Fleet) -> None:
    document = json.loads(json.dumps(fleet_to_document(fleet)))
    assert document_to_fleet(document) == fleet


def base_document() -> dict[str, object]:
    fleet = replace(make_fleet(), pools=(Pool("c", "C", 20), Pool("b", "B", 8)))
    return fleet_to_document(fleet)


POOL = {"name": "c", "card_type": "C", "cards": 20}
MISTAKES: tuple[tuple[dict[str, object], str], ...] = (
    ({"pools": [POOL, POOL]}, 'the name "c" is used twice'),
    ({"pools": [POOL | {"card_type": "X"}]}, 'no card type of an accelerator is called "X"'),
    ({"pools": [POOL | {"quota_group": "nowhere"}]}, 'no quota is called "nowhere"'),
    ({"pools": [POOL | {"price_per_card_hour": 1, "price_factor": 2}]}, "decides the price alone"),
    ({"pools": [POOL | {"interruptions_per_hour": 0.1}]}, "not spot"),
    ({"pools": [POOL | {"nodes": [{"count": 2, "cards": 8}]}]}, "the nodes hold 16 cards"),
    ({"pools": [POOL], "capacity": {"C": 7}}, "7 is not the 20 cards that its pools hold"),
    ({"pools": [POOL | {"cards": -1}]}, "pools[0].cards"),
    ({"limits": {"budget_per_hour": -1}}, "limits.budget_per_hour"),
    ({"limits": {"headroom": {"survive": "region"}}}, "limits.headroom.survive"),
    ({"limits": {"headroom": {"surge": 0}}}, "limits.headroom.surge"),
    ({"objectives": [{"name": "cost", "weight": 1}, {"name": "energy"}]}, "is missing, though"),
    ({"objectives": [{"name": "cost", "weight": 1, "tolerance": 0.1}]}, "nothing beside weights"),
    ({"objectives": [{"name": "cost"}, {"name": "cost"}]}, "named twice"),
    ({"objectives": [{"name": "speed"}]}, "objectives[0].name"),
    ({"objectives": [{"name": "changes", "weight": 1e-306}]}, "objectives[0].weight"),
    ({"objectives": [{"name": "changes", "weight": 1e13}]}, "objectives[0].weight"),
)


@pytest.mark.parametrize(("changes", "words"), MISTAKES)
def test_mistakes_are_told_where_they_stand(changes: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        document_to_fleet(base_document() | changes)
    assert words in str(caught.value)


def test_a_server_may_name_only_pools_that_there_are() -> None:
    document = base_document()
    servers = document["servers"]
    assert isinstance(servers, list)
    servers[0]["prefer_pools"] = ["d"]
    with pytest.raises(InvalidInputError, match=r"servers\[0\].prefer_pools\[0\]"):
        document_to_fleet(document)


def test_plans_are_written_with_their_pools() -> None:
    pools = (Pool("c", "C", 20, "eu", "a"), Pool("b", "B", 8, "eu", "b"))
    limits = Limits(budget_per_hour=50.0)
    fleet = replace(make_fleet(make_server("s")), pools=pools, limits=limits)
    plan = plan_fleet(fleet, OptimizerSettings(analysis=Analysis.REFERENCE))
    document = json.loads(json.dumps(plan_to_document(plan)))
    allocation = document["allocations"]["s"]
    assert sum(p["replicas"] for p in allocation["placements"]) == allocation["replicas"]
    assert document["pools"]["c"]["zone"] == "a"
    assert document["limits"]["budget_per_hour"]["limit"] == 50.0
    assert document["objectives"][0]["name"] == "cost"
    (row,) = csv.DictReader(io.StringIO(plan_to_csv(plan)))
    assert row["placements"] == "; ".join(
        f"{p['pool']}={p['replicas']}" for p in allocation["placements"]
    )
    assert plan_report(fleet, plan).width > 0


def test_plain_plans_say_nothing_of_pools() -> None:
    plan = plan_fleet(make_fleet(), OptimizerSettings(analysis=Analysis.REFERENCE))
    assert "pools" not in plan_to_document(plan)
    assert "placements" not in plan_to_csv(plan)
