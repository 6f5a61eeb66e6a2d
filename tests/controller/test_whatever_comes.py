"""No harm, whatever comes."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.memory import Memory
from stoker.domain.control.choices import TransitionKind
from stoker.domain.control.settings import MetricSettings, ServerControl, TransitionSettings
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload
from tests.support.playing import (
    CHAT,
    CODE,
    PERIOD_S,
    SEARCH,
    SMALL,
    ready_of,
    steps,
    with_rules,
)

LOADS = st.sampled_from([0.0, 5.0, 40.0, 120.0, 250.0, 500.0, None])
VARIANTS = (
    CHAT,
    SMALL,
    SEARCH,
    workload("search", "L4", 0),
    CODE,
    workload("code", "2xH100", 0, cards=2, card_type="H100"),
)


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(
    laws=st.lists(st.lists(LOADS, min_size=6, max_size=6), min_size=3, max_size=3),
    cards=st.tuples(st.integers(3, 14), st.integers(0, 10)),
    kind=st.sampled_from(list(TransitionKind)),
    startup_s=st.sampled_from([0.0, 45.0, 100.0]),
    blind=st.sets(st.integers(0, 39), max_size=6),
    crashes=st.sets(st.integers(0, 39), max_size=4),
    cooldown_move_s=st.sampled_from([0.0, 240.0]),
)
def test_no_harm_whatever_comes(
    laws: list[list[float | None]],
    cards: tuple[int, int],
    kind: TransitionKind,
    startup_s: float,
    blind: set[int],
    crashes: set[int],
    cooldown_move_s: float,
) -> None:
    rules = replace(
        with_rules(cooldown_move_s=cooldown_move_s),
        transition=TransitionSettings(kind=kind, canary_hold_s=60.0, ready_timeout_s=300.0),
        metrics=MetricSettings(window_s=0.0, fresh_replica_s=0.0),
        servers={
            "chat": ServerControl("chat", min_replicas=1, max_replicas=6),
            "search": ServerControl("search", scale_to_zero=True),
        },
    )
    names = ("chat", "search", "code")
    stock = {"H100": cards[0], "L4": cards[1]}
    world = PlayedWorld(controlled_fleet(), rules, VARIANTS, {}, cards=stock, startup_s=startup_s)
    for name, law in zip(names, laws, strict=True):
        world.rates[name] = steps(law)
    loop = world.loop()
    for cycle in range(40):
        if cycle in crashes:
            world.memory = Memory()
            loop = world.loop()
        world.blind_cluster = cycle in blind
        known = {name: world.rates[name](world.monotonic()) is not None for name in names}
        before = {each.ref: world.wanted(each.ref) for each in VARIANTS}
        ready = {name: ready_of(world, name) for name in names}
        record = loop.cycle()
        for each in VARIANTS:
            if not known[each.server] or world.blind_cluster:
                assert world.wanted(each.ref) == before[each.ref]
        assert world.wanted(CHAT.ref) <= 6
        assert world.wanted(SMALL.ref) <= 6
        for card_type, total in stock.items():
            taken = sum(
                world.wanted(each.ref) * (each.cards_per_replica or 0)
                for each in VARIANTS
                if each.card_type == card_type
            )
            assert taken <= total
        for name in names:
            told = record.document["servers"][name]["decision"]
            if told["held"] and told["direction"] == "hold":
                assert told["targets"] == []
            if ready[name] > 0 and name != "search":
                assert ready_of(world, name) > 0
        world.advance(PERIOD_S)
