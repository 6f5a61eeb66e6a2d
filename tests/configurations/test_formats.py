"""Configurations in documents: round trips, what is refused, what another format loses."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.fleets import parse_fleet
from data.inferno import fleet_to_system
from data.stoker_format import document_to_fleet, fleet_to_document
from stoker.cli.losses import losses
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.routing import Router
from stoker.domain.serving import Disaggregation, Parallelism, Serving
from tests.support.configured_fleets import (
    DP2,
    TP1,
    TP2,
    Document,
    configured_document,
    configured_fleet,
    profile,
)
from tests.support.configured_fleets import server as server_document
from tests.support.fleets import own_fleets

HOW: Document = {"prefill_configuration": "tp1", "transfer_ms": 5}


@st.composite
def configured_fleets(draw: st.DrawFn) -> Fleet:
    """Draw a fleet whose profiles have twins in other configurations."""
    fleet = draw(own_fleets())
    cards = {item.name: item.cards for item in fleet.accelerators}
    degrees = st.integers(1, 3)
    profiles = list(fleet.profiles)
    for item in fleet.profiles:
        twin = replace(item, configuration=draw(st.sampled_from(["tp2", "fp8", "NO", "1e3"])))
        if draw(st.booleans()):
            tensor, data = draw(degrees), draw(degrees)
            pipeline = cards[item.accelerator] * draw(degrees)
            parallel = Parallelism(tensor, pipeline, draw(st.sampled_from([1, tensor])), data)
            units = parallel.cards // cards[item.accelerator]
            twin = replace(twin, parallel=parallel, accelerators_per_replica=units)
        twin = replace(
            twin,
            disaggregated=Disaggregation(
                draw(st.sampled_from([None, twin.configuration])),
                draw(st.sampled_from(Router)),
                draw(st.sampled_from(Router)),
                draw(st.sampled_from([0.0, 5.0, 0.25])),
                draw(st.sampled_from([0.0, 0.002])),
            ),
        )
        profiles.append(twin)
    limits = st.lists(st.integers(1, 512), min_size=1, max_size=3, unique=True)
    ways = st.lists(st.sampled_from(Serving), min_size=1, max_size=2, unique=True)
    named = {(item.model, item.accelerator): item.configuration for item in profiles}
    servers = []
    for own in fleet.servers:
        several = draw(st.booleans())
        now = own.current
        if now is not None and draw(st.booleans()):
            name = named.get((own.model, now.accelerator or ""))
            now = replace(now, configuration=name, prefill_replicas=now.replicas // 2)
        servers.append(
            replace(
                own,
                current=now,
                batch_limits=tuple(draw(limits)) if several else (),
                max_batch=None if several else own.max_batch,
                choose_batch=own.choose_batch and not several,
                serving=tuple(draw(ways)),
            )
        )
    return replace(fleet, profiles=tuple(profiles), servers=tuple(servers))


@settings(max_examples=60, deadline=None)
@given(configured_fleets())
def test_a_fleet_comes_back_as_it_was(fleet: Fleet) -> None:
    assert document_to_fleet(fleet_to_document(fleet)) == fleet


def test_degrees_tell_the_units() -> None:
    document = configured_document([profile(TP2), profile(DP2)])
    tp2, dp2 = document_to_fleet(document).profiles
    assert (tp2.accelerators_per_replica, tp2.engines) == (2, 1)
    assert (dp2.accelerators_per_replica, dp2.engines) == (2, 2)
    document["accelerators"][0] |= {"card_type": "H100", "cards": 2}
    tp2, dp2 = document_to_fleet(document).profiles
    assert (tp2.accelerators_per_replica, dp2.accelerators_per_replica) == (1, 1)


def test_what_runs_costs_what_its_configuration_takes() -> None:
    def cost(**now: object) -> float:
        own = server_document(current={"accelerator": "H100", "replicas": 3} | now)
        profiles = [profile(TP1), profile({**TP2, "disaggregated": HOW})]
        found = configured_fleet(profiles, own).servers[0].current
        assert found is not None
        return found.cost_per_hour

    assert cost(configuration="tp1") == 7.5
    assert cost(configuration="tp2") == 15
    assert cost(configuration="tp2", prefill_replicas=1) == 12.5


def mistaken(document: Document) -> str:
    with pytest.raises(InvalidInputError) as caught:
        document_to_fleet(document)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"accelerators_per_replica": 4},
            "profiles[0].accelerators_per_replica: 4 is not what parallel takes: tensor 2, 2 of "
            "the cards of which a unit has 1 (allowed: 2, or leave it out)",
        ),
        (
            {"parallel": {"tensor": 2, "expert": 3}},
            "profiles[0].parallel.expert: 3 does not divide the 2 cards of tensor × data "
            "(allowed: a divisor of 2)",
        ),
        (
            {"parallel": {"tensor": 0}},
            "profiles[0].parallel.tensor: 0",
        ),
        (
            {"disaggregated": {"prefill_configuration": "tp3"}},
            "profiles[0].disaggregated.prefill_configuration: no profile of the model on this "
            'accelerator is called "tp3"',
        ),
        (
            {"disaggregated": {"decode_router": "fastest"}},
            "profiles[0].disaggregated.decode_router",
        ),
    ],
)
def test_mistakes_in_profiles_are_told(changes: Document, told: str) -> None:
    assert told in mistaken(configured_document([profile(TP2 | changes), profile(TP1)]))


def test_degrees_must_take_whole_units() -> None:
    document = configured_document([profile(TP2)])
    document["accelerators"][0] |= {"cards": 4}
    assert (
        "profiles[0].parallel: tensor 2 takes 2 cards, and a unit of the accelerator has 4 "
        "(allowed: degrees that take a multiple of 4 cards)"
    ) in mistaken(document)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"max_batch": [16, 16]}, "servers[0].max_batch[1]: the batch limit 16 stands twice"),
        ({"max_batch": []}, "servers[0].max_batch"),
        ({"max_batch": [0]}, "servers[0].max_batch[0]: 0"),
        ({"serving": []}, "servers[0].serving"),
        (
            {"serving": ["disaggregated"]},
            'servers[0].serving[0]: disaggregated, but no profile of "m" says how (disaggregated)',
        ),
        (
            {"current": {"accelerator": "H100", "replicas": 2}},
            "servers[0].current.configuration: is missing, and the model has several on this "
            "accelerator",
        ),
        (
            {"current": {"accelerator": "H100", "replicas": 2, "configuration": "tp3"}},
            "servers[0].current.configuration: no configuration of the model on this accelerator "
            'is called "tp3"',
        ),
        (
            {
                "current": {
                    "accelerator": "H100",
                    "replicas": 2,
                    "configuration": "tp1",
                    "prefill_replicas": 1,
                }
            },
            "servers[0].current.prefill_replicas: replicas prefill for others, but the profile "
            "does not say how (disaggregated)",
        ),
        (
            {
                "current": {
                    "accelerator": "H100",
                    "replicas": 2,
                    "configuration": "tp1",
                    "prefill_replicas": 2,
                }
            },
            "servers[0].current.prefill_replicas: 2 leaves none of the 2 replicas to decode",
        ),
    ],
)
def test_mistakes_in_servers_are_told(changes: Document, told: str) -> None:
    document = configured_document([profile(TP1), profile(TP2)], server_document(**changes))
    assert told in mistaken(document)


def test_a_configuration_stands_once() -> None:
    told = mistaken(configured_document([profile(TP1), profile(TP1)]))
    assert 'the profile of "m" on "H100" in configuration "tp1" is used twice' in told


def test_converting_tells_what_is_lost() -> None:
    fleet = configured_fleet(
        [profile(TP1), profile({**TP2, "disaggregated": HOW})],
        server_document(max_batch=[8, 16], serving=["aggregated", "disaggregated"]),
    )
    after = parse_fleet(fleet_to_system(fleet))
    found = losses(fleet, after)
    assert "profiles: m on H100 (tp2): left out" in found
    assert "profiles.configuration: m on H100: tp1 becomes none" in found
    assert "servers.batch_limits: s: 8, 16 becomes none" in found
    assert "servers.serving: s: aggregated, disaggregated becomes aggregated" in found
