"""The fleets, candidate tables and questions that small instances over pools stand for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.pooled.ask import ask
from optimizer.pooled.question import Question
from optimizer.sharing.candidates import SharedCandidate
from optimizer.sharing.figured import SharedSet
from optimizer.sharing.sets import SharedWay
from optimizer.table import CandidateTable, Transitions
from stoker.domain.accelerator import Accelerator, PowerCurve, Slice
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.latency import MEAN_ITL, MEAN_TTFT
from stoker.domain.limits import (
    ObjectiveName,
)
from stoker.domain.pools import NO_WISHES
from stoker.domain.server import Allocation, Server
from stoker.domain.slo import ServiceClass
from stoker.domain.workload import Load
from tests.support.naive_ways import current_cost, power_wanted
from tests.support.pool_terms import Instance, Now, Offer


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
    sets = sets_of(instance, table)
    question = ask(fleet, table, {}, on_nodes=bool(instance.nodes), sets=sets)
    options = question.options
    keys = options.row.tolist()
    if powered and unknown:
        keep = np.array([k for k, key in enumerate(keys) if key not in unknown], dtype=np.int64)
        question = question.with_options(keep)
        options = question.options
        keys = [keys[k] for k in keep]
    # Of those who share replicas the first has them; power and use of targets are those of the set.
    together = [instance.sets[round(item.utilization)] for item in question.sets]
    nothing = Offer(0, "A", 0, 0.0, 0, 0.0, 0.0, 0.0)
    alike = [
        offers[key] if key >= 0 else together[group].offer if cards else nothing
        for key, group, cards in zip(
            keys, options.group.tolist(), options.cards_per_replica.tolist(), strict=True
        )
    ]
    use = [
        offers[key].target_use
        if key >= 0
        else together[group].uses[together[group].members.index(server)]
        for key, group, server in zip(
            keys, options.group.tolist(), options.server.tolist(), strict=True
        )
    ]
    return replace(
        question,
        options=replace(
            options,
            power_w=np.array([offer.watts or 0.0 for offer in alike], dtype=np.float64),
            idle_power_w=np.array([offer.idle_watts or 0.0 for offer in alike], dtype=np.float64),
            target_use=np.array(use, dtype=np.float64),
        ),
    )


def sets_of(instance: Instance, table: CandidateTable) -> tuple[SharedSet, ...]:
    """Return the sets of servers of an instance that may share replicas."""
    found = []
    for index, item in enumerate(instance.sets):
        offer = item.offer
        if offer.watts is None and power_wanted(instance):
            continue
        members = [instance.clients[member] for member in item.members]
        running = [m for m in members if m.now is not None]
        staying = [m for m in running if m.now is not None and m.now.stays(offer)]
        cost, paid = offer.unit_cost * offer.replicas, sum(map(current_cost, members))
        torn = sum(current_cost(m) for m in members if m not in staying)
        value = cost - paid + instance.penalty * (torn + (0.0 if staying else cost))
        keeper = item.members[members.index(running[0])] if len(running) == 1 and staying else None
        way = SharedWay(0, item.members, -1, offer.accelerator, offer.batch, 10, 1, item.most)
        found.append(
            SharedSet(
                SharedCandidate(
                    way,
                    offer.replicas,
                    offer.replicas * offer.cards,
                    table.card_types.index(offer.card_type),
                    cost,
                    value,
                ),
                utilization=float(index),  # power is the offer's own: this tells which it is
                target_use=item.uses,
                stays=bool(staying),
                running=sum(m.now.replicas for m in staying if m.now is not None),
                keeper=keeper,
                same_batch=keeper is not None
                and running[0].now is not None
                and running[0].now.same_batch(offer),
            )
        )
    return tuple(found)
