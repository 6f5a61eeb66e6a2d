"""Random small instances with pools, and the fleets and candidate tables that they stand for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from optimizer.pooled.ask import ask
from optimizer.pooled.question import Question
from optimizer.table import CandidateTable, Transitions
from stoker.domain.accelerator import Accelerator, PowerCurve, Slice
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.latency import MEAN_ITL, MEAN_TTFT
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
from stoker.domain.server import Allocation, Server
from stoker.domain.slo import ServiceClass
from stoker.domain.workload import Load
from tests.support.naive_pools import Client, Instance, Now, Offer, combinations, current_cost

MOST_COMBINATIONS = 6000
MOST_SLICED = 4000
TYPES = ("A", "B")


def fleet_of(instance: Instance) -> Fleet:
    """Return a fleet with the pools and rules of an instance; its profiles are nobody's."""
    offers = [offer for client in instance.clients for offer in client.offers]
    names = 1 + max((offer.accelerator for offer in offers), default=0)
    counts: dict[str, int] = {}
    for pool in instance.pools:
        counts[pool.card_type] = counts.get(pool.card_type, 0) + pool.cards
    classes = sorted({(client.priority, client.group) for client in instance.clients})
    return Fleet(
        currency="USD",
        accelerators=tuple(Accelerator(f"a{k}", "A", 1, 1.0) for k in range(names)),
        capacity=tuple(Capacity(name, count) for name, count in counts.items()),
        profiles=(),
        service_classes=tuple(ServiceClass(f"c{p}{g}", p) for p, g in classes),
        servers=tuple(
            Server(
                name=f"s{k}",
                service_class=f"c{client.priority}{client.group}",
                model="m",
                load=Load(client.rate, 100, 100),
                current=(
                    Allocation(
                        f"a{client.now.accelerator}",
                        client.now.replicas,
                        max_batch=client.now.batch,
                        cost_per_hour=current_cost(client),
                        prefill_replicas=client.now.prefill,
                        in_pools=standing_of(instance, client.now),
                    )
                    if client.now
                    else None
                ),
            )
            for k, client in enumerate(instance.clients)
        ),
        pools=instance.pools,
        quotas=instance.quotas,
        wishes={
            f"s{k}": client.wishes
            for k, client in enumerate(instance.clients)
            if client.wishes != NO_WISHES
        },
        limits=instance.limits,
        objectives=instance.objectives,
        nodes=instance.nodes,
    )


def standing_of(instance: Instance, now: Now) -> tuple[tuple[str, int], ...]:
    """Return the replicas that run by name of their pool."""
    counts = zip(instance.pools, now.where or (), strict=now.where is not None)
    return tuple((pool.name, count) for pool, count in counts if count)


def rows_of(instance: Instance) -> list[tuple[int, Offer]]:
    """Return server and offer of each row of the candidate table."""
    return [
        (server, offer)
        for server, client in enumerate(instance.clients)
        for offer in sorted(client.offers, key=lambda offer: offer.key)
    ]


def table_of(instance: Instance) -> CandidateTable:
    """Return the candidate table of an instance."""
    rows = rows_of(instance)
    count = len(rows)
    servers = len(instance.clients)
    types = sorted({offer.card_type for _, offer in rows} | {p.card_type for p in instance.pools})
    server = np.array([k for k, _ in rows], dtype=np.int64)

    def integers(values: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.array(values, dtype=np.int64)

    replicas = integers([offer.replicas for _, offer in rows])
    unit = np.array([offer.unit_cost for _, offer in rows], dtype=np.float64)
    running = [client.now for client in instance.clients]
    configurations = [now.configuration if now else -2 for now in running]
    prefill = integers([offer.prefill for _, offer in rows])
    paid = [current_cost(client) for client in instance.clients]
    value = []
    for k, offer in rows:
        cost = offer.unit_cost * offer.replicas
        now = running[k]
        moved = now is None or not now.stays(offer)
        value.append(cost - paid[k] + (instance.penalty * (cost + paid[k]) if moved else 0.0))
    unknown = np.full(count, np.nan)
    return CandidateTable(
        servers=tuple(f"s{k}" for k in range(servers)),
        accelerators=tuple(
            f"a{k}" for k in range(1 + max((o.accelerator for _, o in rows), default=0))
        ),
        card_types=tuple(types),
        priority=integers([client.priority for client in instance.clients]),
        total_rate_rps=np.array([client.rate for client in instance.clients], dtype=np.float64),
        row_start=np.searchsorted(server, np.arange(servers + 1)).astype(np.int64),
        server=server,
        accelerator=integers([offer.accelerator for _, offer in rows]),
        card_type=integers([types.index(offer.card_type) for _, offer in rows]),
        rejection=np.zeros(count, dtype=np.int64),
        replicas=replicas,
        min_replicas=np.zeros(count, dtype=np.int64),
        max_replicas=integers([instance.clients[k].most for k, _ in rows]),
        max_batch=integers([offer.batch for _, offer in rows]),
        max_queue=np.full(count, -1, dtype=np.int64),
        cards_per_replica=integers([offer.cards for _, offer in rows]),
        unit_cost_per_hour=unit,
        cost_per_hour=unit * replicas,
        value=np.array(value, dtype=np.float64),
        ttft_ms=unknown,
        itl_ms=unknown,
        utilization=unknown,
        blocking=unknown,
        max_rate_rps=np.array([instance.clients[k].rate / o.replicas for k, o in rows]),
        estimate=np.full(count, -1, dtype=np.int64),
        statistics=(MEAN_TTFT, MEAN_ITL),
        best_ms=np.full((2, count), np.nan),
        configurations=("k0", "k1"),
        configuration=integers([offer.configuration for _, offer in rows]),
        prefill_replicas=prefill,
        decode_replicas=integers([offer.decode for _, offer in rows]),
        slices=slices_of(instance),
        transitions=Transitions(
            accelerator=integers([now.accelerator if now else -1 for now in running]),
            cost_per_hour=np.array(paid, dtype=np.float64),
            penalty=instance.penalty,
            configuration=integers(configurations),
            prefill_replicas=integers([now.prefill if now else 0 for now in running]),
        ),
    )


def slices_of(instance: Instance) -> tuple[Slice | None, ...]:
    """Return the slice that each accelerator is; nothing where none is one."""
    found = {o.accelerator: o.slice for client in instance.clients for o in client.offers}
    if not any(found.values()):
        return ()
    return tuple(found.get(k) for k in range(1 + max(found)))


def question_of(instance: Instance) -> Question:
    """Return the question of an instance: power and use of targets are those of its offers."""
    table = table_of(instance)
    fleet = fleet_of(instance)
    offers = [offer for _, offer in rows_of(instance)]
    flat = PowerCurve(1.0, 1.0, 1.0, 0.5)
    # Curves are by accelerator, and an offer's power is its own: ask with any, then say which.
    fleet = replace(
        fleet, accelerators=tuple(replace(item, power=flat) for item in fleet.accelerators)
    )
    unknown = {row for row, offer in enumerate(offers) if offer.watts is None}
    powered = (
        instance.limits.power_w is not None
        or instance.limits.idle_power_w is not None
        or instance.objectives.includes(ObjectiveName.ENERGY)
    )
    question = ask(fleet, table, {}, on_nodes=bool(instance.nodes))
    options = question.options
    keys = options.row.tolist()
    if powered and unknown:
        keep = np.array([k for k, key in enumerate(keys) if key not in unknown], dtype=np.int64)
        question = question.with_options(keep)
        options = question.options
        keys = [keys[k] for k in keep]
    return replace(
        question,
        options=replace(
            options,
            power_w=np.array([offers[key].watts or 0.0 for key in keys], dtype=np.float64),
            idle_power_w=np.array(
                [offers[key].idle_watts or 0.0 for key in keys], dtype=np.float64
            ),
            target_use=np.array([offers[key].target_use for key in keys], dtype=np.float64),
        ),
    )


@st.composite
def instances(
    draw: st.DrawFn, most_cards: int = 5, counts: tuple[int, ...] = (1, 2, 2, 3, 3)
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
    instance = Instance(clients, pools, quotas, limits, objectives, nodes=nodes)
    while combinations(instance, MOST_COMBINATIONS) >= MOST_COMBINATIONS:
        instance = replace(instance, clients=instance.clients[:-1])
        if len(instance.clients) == 1:
            break
    return instance


@st.composite
def sliced_instances(draw: st.DrawFn) -> Instance:
    """Draw an instance some of whose accelerators are slices of cards."""
    instance = draw(instances(most_cards=2, counts=(2, 3, 3)))
    kinds = [None, *(Slice(sevenths=size) for size in (1, 2, 3, 4)), Slice(parts=2), Slice(parts=3)]
    slices = {k: draw(st.sampled_from(kinds)) for k in range(4)}
    slices[draw(st.integers(0, 3))] = draw(st.sampled_from(kinds[1:]))
    clients = []
    for client in instance.clients:
        offers = [
            offer if slices[offer.accelerator] is None else on_slice(offer, slices)
            for offer in client.offers
            if slices[offer.accelerator] is None or not offer.prefill
        ]
        unique = {offer.key: offer for offer in offers}
        now = client.now
        if now is not None and slices[now.accelerator] is not None:
            now = replace(now, prefill=0)
        clients.append(replace(client, offers=tuple(unique.values()), now=now))
    instance = replace(instance, clients=tuple(clients))
    while combinations(instance, MOST_SLICED) >= MOST_SLICED:
        instance = replace(instance, clients=instance.clients[:-1])
        if len(instance.clients) == 1:
            break
    return instance


def on_slice(offer: Offer, slices: dict[int, Slice | None]) -> Offer:
    return replace(offer, cards=1, slice=slices[offer.accelerator])


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
