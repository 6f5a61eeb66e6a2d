"""Random small instances with pools."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from stoker.domain.limits import (
    Combination,
    Headroom,
    Limits,
    Objective,
    ObjectiveName,
    Objectives,
    Survival,
)
from stoker.domain.nodes import LinkGroup, Node
from stoker.domain.pools import NO_WISHES, Pool, PoolWishes, PriceKind, QuotaGroup
from tests.support.naive_pools import combinations
from tests.support.pool_terms import Client, Instance, Now, Offer

MOST_COMBINATIONS = 6000
TYPES = ("A", "B")


@st.composite
def instances(
    draw: st.DrawFn,
    most_cards: int = 5,
    counts: tuple[int, ...] = (1, 2, 2, 3, 3),
    most: int = MOST_COMBINATIONS,
) -> Instance:
    """Draw an instance over any of the rules, small enough to try everything."""
    pools = draw(pool_lists(most_cards))
    names = [pool.name for pool in pools]
    limits, objectives = draw(limit_sets()), draw(objective_sets())
    servers = draw(st.sampled_from(counts))
    clients = tuple(draw(clients_of(names)) for _ in range(servers))
    quotas = (QuotaGroup("q", draw(st.integers(0, 5))),)
    apart = any(offer.prefill for client in clients for offer in client.offers)
    # What two pools of replicas are made of is told by profiles, which these have none of.
    nodes = () if apart else draw(node_lists(pools))
    return _small(Instance(clients, pools, quotas, limits, objectives, nodes=nodes), most)


@st.composite
def instances_at_need(draw: st.DrawFn, most: int = 1500) -> Instance:
    """Draw servers that run exactly what they need, in pools that are not told, to share fairly."""
    instance = draw(instances(most_cards=3, counts=(1, 2), most=most))
    clients = []
    for client in instance.clients:
        offer = draw(st.sampled_from(client.offers))
        now = Now(
            offer.accelerator,
            offer.replicas if not offer.prefill else offer.counts_as,
            configuration=offer.configuration,
            prefill=offer.prefill,
        )
        clients.append(replace(client, now=now))
    fair = instance.objectives
    if not fair.includes(ObjectiveName.FAIRNESS):
        fair = replace(fair, terms=(Objective(ObjectiveName.FAIRNESS), *fair.terms))
    return _small(replace(instance, clients=tuple(clients), objectives=fair), most)


def _small(instance: Instance, most: int) -> Instance:
    """Return an instance with no more servers than can be tried in every way."""
    while combinations(instance, most) >= most and len(instance.clients) > 1:
        instance = replace(instance, clients=instance.clients[:-1])
    return instance


@st.composite
def pool_lists(draw: st.DrawFn, most_cards: int) -> tuple[Pool, ...]:
    found = []
    for index in range(draw(st.sampled_from([1, 2, 3, 3, 3]))):
        kind = draw(st.sampled_from([PriceKind.ON_DEMAND, PriceKind.SPOT, PriceKind.RESERVED]))
        cards = draw(st.integers(1, most_cards))
        found.append(
            Pool(
                name=f"p{index}",
                card_type=draw(st.sampled_from(["A", "A", "A", "B"])),
                cards=cards,
                region=draw(st.sampled_from(["r", "r", None])),
                zone=draw(st.sampled_from(["x", "y", "z", None])),
                price_kind=kind,
                price_per_card_hour=draw(st.sampled_from([None, None, 0.5, 2.0])),
                price_factor=draw(st.sampled_from([1.0, 0.5, 1.25])),
                quota=draw(st.sampled_from([*[None] * 6, 2])),
                quota_group=draw(st.sampled_from([None, None, "q"])),
                interruptions_per_hour=(
                    draw(st.sampled_from([0.0, 0.5])) if kind is PriceKind.SPOT else 0.0
                ),
                node_cards=draw(st.sampled_from([(), (1,) * cards, (2, 2)])),
            )
        )
    return tuple(found)


@st.composite
def node_lists(draw: st.DrawFn, pools: tuple[Pool, ...]) -> tuple[Node, ...]:
    """Draw no nodes at all, or some for each pool that hold its cards or nearly so."""
    if draw(st.sampled_from([True, True, False])):
        return ()
    found: list[Node] = []
    for pool in pools:
        left = pool.cards
        while left > 0:
            cards = min(left, draw(st.integers(1, 3)))
            groups: tuple[LinkGroup, ...] = (LinkGroup(cards, draw(st.sampled_from([0, 0, 0, 1]))),)
            if cards > 1 and draw(st.booleans()):
                groups = (LinkGroup(1), LinkGroup(cards - 1))
            found.append(Node(f"n{len(found)}", pool.card_type, groups, pool=pool.name))
            left -= cards
    return tuple(found)


@st.composite
def clients_of(draw: st.DrawFn, names: list[str]) -> Client:
    offers = draw(
        st.lists(
            st.builds(
                Offer,
                accelerator=st.integers(0, 3),
                card_type=st.sampled_from(["A", "A", "A", "B"]),
                cards=st.sampled_from([1, 1, 2, 2, 3]),
                unit_cost=st.sampled_from([0.5, 1.0, 1.25, 2.0]),
                replicas=st.integers(1, 3),
                watts=st.sampled_from([100.0, 150.0, 50.0, None]),
                idle_watts=st.sampled_from([10.0, 20.0]),
                target_use=st.sampled_from([0.25, 0.5, 0.75]),
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda offer: offer.accelerator,
        )
    )
    offers += draw(variants(offers[0]))
    wishes = draw(
        st.one_of(
            st.just(NO_WISHES),
            st.builds(
                PoolWishes,
                pools=st.sampled_from([(), (), tuple(names[:1]), tuple(names[-2:])]),
                prefer_pools=st.sampled_from([(), (names[-1],), tuple(reversed(names))]),
                spread_zones=st.sampled_from([1, 1, 2]),
                max_zone_share=st.sampled_from([None, None, 0.5, 0.75]),
                max_spot_share=st.sampled_from([None, None, 0.0, 0.5]),
            ),
        )
    )
    now = draw(st.none() | running(offers, len(names)))
    return Client(
        priority=draw(st.integers(1, 2)),
        rate=draw(st.sampled_from([1.0, 2.0, 4.0])),
        offers=tuple(offers),
        group=draw(st.integers(0, 1)),
        most=draw(st.sampled_from([10_000, 10_000, 3])),
        wishes=wishes,
        now=now,
    )


@st.composite
def variants(draw: st.DrawFn, offer: Offer) -> list[Offer]:
    """Draw another batch limit, another configuration or two pools of an offer's accelerator."""
    replicas = draw(st.integers(1, 3))
    watts = draw(st.sampled_from([100.0, 50.0]))
    other = replace(offer, replicas=replicas, watts=watts)
    return draw(
        st.sampled_from(
            [
                [],
                [],
                [replace(other, batch=2)],
                [replace(other, configuration=1, cards=offer.cards + 1, unit_cost=1.5)],
                [replace(other, replicas=1, prefill=1, decode=replicas, cards=2, unit_cost=1.75)],
            ]
        )
    )


@st.composite
def running(draw: st.DrawFn, offers: list[Offer], pools: int) -> Now:
    """Draw what runs: an offer or nearly so, in places that are told or not."""
    offer = draw(st.sampled_from(offers))
    count = draw(st.integers(1, 3))
    if offer.prefill:
        count = offer.prefill + draw(st.sampled_from([offer.decode, 1]))
    where = None
    if draw(st.booleans()):
        split = draw(st.integers(0, count)) if pools > 1 else 0
        first = draw(st.integers(0, pools - 1))
        counts = [0] * pools
        counts[first] += count - split
        counts[(first + 1) % pools] += split
        where = tuple(counts)
    return Now(
        accelerator=offer.accelerator,
        replicas=count,
        configuration=draw(st.sampled_from([offer.configuration] * 3 + [1])),
        prefill=offer.prefill,
        batch=draw(st.sampled_from([None, offer.batch, 2])),
        where=where,
    )


@st.composite
def limit_sets(draw: st.DrawFn) -> Limits:
    def maybe(*values: float) -> float | None:
        return draw(st.sampled_from([*[None] * 6, *values]))

    def maybe_count(*values: int) -> int | None:
        return draw(st.sampled_from([*[None] * 6, *values]))

    return Limits(
        budget_per_hour=maybe(1.0, 2.5, 4.0),
        power_w=maybe(150.0, 300.0),
        idle_power_w=maybe(30.0, 60.0),
        max_replicas=maybe_count(2, 4),
        max_replicas_per_server=maybe_count(2, 3),
        max_changes=maybe_count(0, 1, 2),
        max_spot_share=maybe(0.0, 0.5),
        max_server_spot_share=maybe(0.5),
        replica_start_s=draw(st.sampled_from([0.0, 0.0, 450.0])),
        plan_hours=draw(st.sampled_from([1.0, 4.0])),
        headroom=Headroom(
            survive=draw(
                st.sampled_from([*[None] * 4, Survival.REPLICA, Survival.NODE, Survival.ZONE])
            )
        ),
    )


@st.composite
def objective_sets(draw: st.DrawFn) -> Objectives:
    alone = [Objective(ObjectiveName.COST)]
    terms = draw(
        st.just(alone)
        | st.lists(
            st.builds(
                Objective,
                name=st.sampled_from(ObjectiveName),
                weight=st.sampled_from([1.0, 0.5, 2.0]),
                tolerance=st.sampled_from([0.0, 0.0, 0.1]),
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda term: term.name,
        )
    )
    return Objectives(tuple(terms), draw(st.sampled_from(Combination)))
