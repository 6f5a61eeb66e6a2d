"""Every way to treat one server, or those who share replicas, over pools: from the rules alone."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

from stoker.domain.limits import ObjectiveName, Survival
from stoker.domain.pools import Pool, PoolWishes, PriceKind
from tests.support.pool_terms import EPS, Client, Instance, Offer, Together, Way


def pool_price(pool: Pool, offer: Offer) -> float:
    if pool.price_per_card_hour is not None:
        return pool.price_per_card_hour * offer.share
    return pool.price_factor * offer.unit_cost


def way_cost(instance: Instance, way: Way) -> float:
    if way.offer is None:
        return 0.0
    return sum(
        n * pool_price(pool, way.offer) for n, pool in zip(way.where, instance.pools, strict=True)
    )


def value_of(
    instance: Instance, client: Client, offer: Offer, where: tuple[int, ...], *, part: bool
) -> float:
    """Cost of the change, with penalty, starts of replicas and expected interruptions."""
    moved = client.now is None or not client.now.stays(offer)
    hours = instance.limits.replica_start_s / 3600.0
    running = 0.0 if part else current_cost(client)
    value = -running + (instance.penalty * running if moved else 0.0)
    if not part:
        before = 0 if client.now is None else client.now.units(offer)
        started = max(0, sum(where) - before)
        value += started * offer.unit_cost * hours / instance.limits.plan_hours
    for n, pool in zip(where, instance.pools, strict=True):
        price = pool_price(pool, offer)
        value += n * price * (1.0 + (instance.penalty if moved else 0.0))
        value += n * price * pool.interruptions_per_hour * hours
    return value


def current_cost(client: Client) -> float:
    """Cost of what runs, at the accelerator's own price."""
    if client.now is None:
        return 0.0
    for offer in client.offers:
        if client.now.units(offer):
            return offer.unit_cost * client.now.units(offer)
    return 0.0


def spreads(
    instance: Instance, client: Client, offer: Offer, most: int
) -> Iterator[tuple[int, ...]]:
    """Yield every way to put up to so many replicas in the pools that the server may use."""
    rooms = []
    for pool in instance.pools:
        fine = pool.card_type == offer.card_type
        fine = fine and (not client.wishes.pools or pool.name in client.wishes.pools)
        rooms.append(min(offer.held_by(pool.usable), most) if fine else 0)
    for where in itertools.product(*(range(room + 1) for room in rooms)):
        if 1 <= sum(where) <= most:
            yield where


def spot_fine(instance: Instance, client: Client, where: tuple[int, ...]) -> bool:
    share = client.wishes.max_spot_share
    if share is None:
        share = instance.limits.max_server_spot_share
    if share is None:
        return True
    spot = sum(
        n
        for n, pool in zip(where, instance.pools, strict=True)
        if pool.price_kind is PriceKind.SPOT
    )
    return spot <= share * sum(where) + EPS


def rules_kept(instance: Instance, client: Client, offer: Offer, where: tuple[int, ...]) -> bool:
    """Whether zones, shares and survival are as asked for a server served in full."""
    total = sum(where)
    zones: Counter[tuple[str | None, str | None]] = Counter()
    for n, pool in zip(where, instance.pools, strict=True):
        if n:
            zones[pool.region, pool.zone] += n
    if len(zones) < client.wishes.spread_zones:
        return False
    share = client.wishes.max_zone_share
    if share is not None and any(n > share * total + EPS for n in zones.values()):
        return False
    survive = instance.limits.headroom.survive
    if survive is Survival.REPLICA:
        return total - 1 >= offer.replicas
    if survive is Survival.ZONE:
        return total - max(zones.values()) >= offer.replicas
    if survive is Survival.NODE:
        for n, pool in zip(where, instance.pools, strict=True):
            told = [*pool.node_cards, *(n.cards for n in instance.nodes if n.pool == pool.name)]
            node = max(told, default=pool.cards)
            lost = min(n, max(1, offer.held_by(node)))
            if total - lost < offer.replicas:
                return False
    return True


def power_wanted(instance: Instance) -> bool:
    limits = instance.limits
    return (
        limits.power_w is not None
        or limits.idle_power_w is not None
        or instance.objectives.includes(ObjectiveName.ENERGY)
    )


def minimal_total(instance: Instance, client: Client, offer: Offer) -> int:
    survive = instance.limits.headroom.survive
    return max(offer.replicas + (1 if survive else 0), client.wishes.spread_zones)


def may_grow(instance: Instance, client: Client) -> bool:
    wishes = client.wishes
    share = wishes.max_spot_share
    if share is None:
        share = instance.limits.max_server_spot_share
    return (
        instance.limits.headroom.survive in (Survival.NODE, Survival.ZONE)
        or (wishes.max_zone_share is not None and wishes.max_zone_share < 1)
        or (wishes.spread_zones > 1 and share is not None and share < 1)
    )


def ways(instance: Instance, index: int) -> list[Way]:
    """Return every way to treat a server."""
    client = instance.clients[index]
    empty = tuple(0 for _ in instance.pools)
    found = [Way(None, empty, False, client.now is not None, 0.0, 0.0)]
    limits = instance.limits
    most = client.most
    if limits.max_replicas_per_server is not None:
        most = min(most, limits.max_replicas_per_server)
    partly = instance.objectives.includes(ObjectiveName.FAIRNESS)
    staying = limits.max_changes is not None or instance.objectives.includes(ObjectiveName.CHANGES)
    for offer in client.offers:
        if power_wanted(instance) and offer.watts is None:
            continue
        if offer.prefill and limits.headroom.survive is Survival.NODE:
            continue  # no number of deployments is known to survive
        allowed = most // offer.counts_as
        least = minimal_total(instance, client, offer)
        if least > allowed:
            continue
        top = allowed if may_grow(instance, client) else least
        for where in spreads(instance, client, offer, max(top, least)):
            total = sum(where)
            sound = spot_fine(instance, client, where)
            if least <= total and sound and rules_kept(instance, client, offer, where):
                same = as_it_runs(client, offer, where)
                value = value_of(instance, client, offer, where, part=False)
                found.append(Way(offer, where, True, not same, 1.0, value, offer.target_use))
            if partly and total < offer.replicas and sound:
                value = value_of(instance, client, offer, where, part=True)
                found.append(Way(offer, where, False, True, total / offer.replicas, value))
    if staying and client.now is not None:
        found += list(staying_ways(instance, client))
    return found


def as_it_runs(client: Client, offer: Offer, where: tuple[int, ...]) -> bool:
    """Whether that is what runs now, as far as it is told: to the batch limit and the pools."""
    now = client.now
    if now is None or not now.units(offer):
        return False
    return sum(where) == now.units(offer) and now.same_batch(offer) and now.same_place(offer, where)


def staying_ways(instance: Instance, client: Client) -> Iterator[Way]:
    """Yield what runs left as it is, which serves nobody in full unless it is enough."""
    assert client.now is not None
    now = client.now
    found = sorted((offer for offer in client.offers if now.units(offer)), key=lambda o: o.key)
    # With a batch limit that no offer has, it is told by the first of them.
    nearest = next((offer for offer in found if now.same_batch(offer)), found[0] if found else None)
    for offer in found:
        if power_wanted(instance) and offer.watts is None:
            continue
        count = now.units(offer)
        for where in spreads(instance, client, offer, count):
            if sum(where) != count or not now.same_place(offer, where):
                continue
            value = value_of(instance, client, offer, where, part=False)
            share = min(1.0, count / offer.replicas)
            if offer == nearest:
                yield Way(offer, where, False, False, share, value)
            if not now.same_batch(offer):
                continue
            if offer.prefill and instance.limits.headroom.survive is Survival.NODE:
                continue
            most = client.most
            if instance.limits.max_replicas_per_server is not None:
                most = min(most, instance.limits.max_replicas_per_server)
            if (
                minimal_total(instance, client, offer) <= count <= most // offer.counts_as
                and spot_fine(instance, client, where)
                and rules_kept(instance, client, offer, where)
            ):
                yield Way(offer, where, True, False, 1.0, value, offer.target_use)


def joint(instance: Instance, together: Together) -> Client:
    """Return the server that those who share replicas are together, but for what runs now."""
    members = [instance.clients[member] for member in together.members]
    default = instance.limits.max_server_spot_share
    names = [pool.name for pool in instance.pools]
    for client in members:
        names = [n for n in names if not client.wishes.pools or n in client.wishes.pools]
    zone = [m.wishes.max_zone_share for m in members if m.wishes.max_zone_share is not None]
    spot = [
        default if m.wishes.max_spot_share is None else m.wishes.max_spot_share for m in members
    ]
    wishes = PoolWishes(
        pools=tuple(names) or ("none",),
        spread_zones=max(client.wishes.spread_zones for client in members),
        max_zone_share=min(zone, default=None),
        max_spot_share=min((share for share in spot if share is not None), default=None),
    )
    return Client(1, 1.0, (together.offer,), most=together.most, wishes=wishes)


def set_ways(instance: Instance, together: Together) -> list[tuple[Way, ...]]:
    """Return every way to serve servers on common replicas: what each of them has then."""
    client, offer, limits = joint(instance, together), together.offer, instance.limits
    running = [m for m in together.members if instance.clients[m].now is not None]
    keeper = instance.clients[running[0]] if len(running) == 1 else None
    most = client.most
    if limits.max_replicas_per_server is not None:
        most = min(most, limits.max_replicas_per_server)
    least = minimal_total(instance, client, offer)
    if least > most or (power_wanted(instance) and offer.watts is None):
        return []
    top = max(most if may_grow(instance, client) else least, least)
    staying = limits.max_changes is not None or instance.objectives.includes(ObjectiveName.CHANGES)
    kept = keeper.now.units(offer) if keeper is not None and keeper.now is not None else 0
    found = []
    for where in spreads(instance, client, offer, max(top, kept if staying else 0)):
        total = sum(where)
        sound = spot_fine(instance, client, where) and rules_kept(instance, client, offer, where)
        same = keeper is not None and as_it_runs(keeper, offer, where)
        if least <= total <= most and sound and (total <= top or same):
            value = value_together(instance, together, where)
            found.append(
                tuple(
                    Way(
                        offer if place == 0 else None,
                        where if place == 0 else tuple(0 for _ in where),
                        True,
                        not same,
                        1.0,
                        value if place == 0 else 0.0,
                        use,
                        together.members if place == 0 else (),
                    )
                    for place, use in enumerate(together.uses)
                )
            )
    return found


def value_together(instance: Instance, together: Together, where: tuple[int, ...]) -> float:
    """Cost of the change from what runs for all members, with penalty, starts, interruptions."""
    offer, limits = together.offer, instance.limits
    members = [instance.clients[member] for member in together.members]
    staying = [m for m in members if m.now is not None and m.now.stays(offer)]
    hours = limits.replica_start_s / 3600.0
    torn_down = sum(current_cost(client) for client in members if client not in staying)
    value = instance.penalty * torn_down - sum(current_cost(client) for client in members)
    before = sum(client.now.replicas for client in staying if client.now is not None)
    value += max(0, sum(where) - before) * offer.unit_cost * hours / limits.plan_hours
    for n, pool in zip(where, instance.pools, strict=True):
        price = pool_price(pool, offer)
        value += n * price * (1.0 if staying else 1.0 + instance.penalty)
        value += n * price * pool.interruptions_per_hour * hours
    return value
