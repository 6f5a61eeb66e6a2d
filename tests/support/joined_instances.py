"""Random small instances with pools whose cards are cut, and whose servers may share replicas."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from optimizer.sharing.sets import member_sets
from stoker.domain.accelerator import Slice
from tests.support.naive_pools import combinations
from tests.support.pool_instances import instances
from tests.support.pool_terms import Instance, Offer, Together

MOST_SLICED = 4000
MOST_APART, MOST_SHARED = 800, 4000


@st.composite
def sliced_instances(draw: st.DrawFn, most: int = MOST_SLICED) -> Instance:
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
    while combinations(instance, most) >= most:
        instance = replace(instance, clients=instance.clients[:-1])
        if len(instance.clients) == 1:
            break
    return instance


def on_slice(offer: Offer, slices: dict[int, Slice | None]) -> Offer:
    return replace(offer, cards=1, slice=slices[offer.accelerator])


@st.composite
def shared_instances(draw: st.DrawFn) -> Instance:
    """Draw an instance some of whose servers may share replicas."""
    plain = st.booleans().flatmap(
        lambda cut: sliced_instances(MOST_APART) if cut else instances(3, (2, 3, 3), MOST_APART)
    )
    instance = draw(plain.filter(lambda item: len(item.clients) > 1))
    alike: dict[tuple[int, int], Offer] = {}
    clients = []
    for client in instance.clients:
        # A replica of a profile takes the same cards for everybody, at the same price.
        offers = []
        for offer in client.offers:
            first = alike.setdefault((offer.accelerator, offer.configuration), offer)
            if offer.prefill == 0 and first.prefill == 0:
                offer = replace(
                    offer,
                    card_type=first.card_type,
                    cards=first.cards,
                    unit_cost=first.unit_cost,
                )
            offers.append(offer)
        clients.append(replace(client, offers=tuple(offers)))
    instance = replace(instance, clients=tuple(clients))
    offers = [offer for offer in alike.values() if not offer.prefill]
    sets = []
    some = st.lists(st.sampled_from(offers), min_size=1, max_size=2, unique=True)
    for members in member_sets(range(len(clients))) if offers else ():
        for offer in draw(some):
            common = replace(
                offer,
                replicas=draw(st.sampled_from([1, 1, 2])),
                batch=draw(st.sampled_from([1, 2])),
                watts=draw(st.sampled_from([100.0, 150.0, None])),
            )
            uses = tuple(draw(st.sampled_from([0.25, 0.75])) for _ in members)
            sets.append(Together(members, common, uses, draw(st.sampled_from([10_000, 3]))))
    instance = replace(instance, sets=tuple(dict.fromkeys(sets)))
    while combinations(instance, MOST_SHARED) >= MOST_SHARED and instance.sets:
        instance = replace(instance, sets=instance.sets[:-1])
    return instance
