"""What becomes of servers in a played world: bounds, holds with their reasons, cards, limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.memory import Memory
from controller.transition import ABORT
from stoker.domain.control.changes import ChangeOutcome
from stoker.domain.control.cluster import ReplicaPhase, VariantState, WorkloadRef
from stoker.domain.control.settings import (
    ControlSettings,
    ForecastMethod,
    ForecastSettings,
    LoopSettings,
    MetricSettings,
    Mode,
    ServerControl,
    StabilitySettings,
    TransitionKind,
    TransitionSettings,
)
from stoker.domain.control.signals import Signal, SignalName
from stoker.domain.fleet import Fleet
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload

PERIOD_S = 30.0
STABILITY = StabilitySettings(
    scale_down_window_s=90.0, cooldown_down_s=30.0, cooldown_move_s=300.0, zero_after_s=120.0
)
SETTINGS = ControlSettings(
    loop=LoopSettings(mode=Mode.ACT, period_s=PERIOD_S),
    forecast=ForecastSettings(method=ForecastMethod.LAST, quantile=0.5),
    stability=STABILITY,
)
CHAT, SEARCH, CODE = (workload(name, "H100", 1) for name in ("chat", "search", "code"))
SMALL = workload("chat", "L4", 0)
BUSY = 250.0
"""A rate that takes several replicas of chat on H100."""


def with_rules(**rules: Any) -> ControlSettings:
    return replace(SETTINGS, stability=replace(STABILITY, **rules))


def with_server(**told: Any) -> ControlSettings:
    return replace(SETTINGS, servers={"chat": ServerControl("chat", **told)})


def changed(fleet: Fleet, name: str = "chat", **fields: Any) -> Fleet:
    servers = tuple(
        replace(each, **fields) if each.name == name else each for each in fleet.servers
    )
    return replace(fleet, servers=servers)


def play(
    *variants: VariantState,
    rate: float | Callable[[float], float | None] | None = BUSY,
    settings: ControlSettings = SETTINGS,
    fleet: Fleet | None = None,
    others: Mapping[str, float] | None = None,
    **options: Any,
) -> PlayedWorld:
    law = rate if callable(rate) else lambda _: rate
    rates: dict[str, Any] = {"chat": law}
    for name, steady in (others or {}).items():
        rates[name] = steps([steady])
    return PlayedWorld(fleet or controlled_fleet(), settings, variants, rates, **options)


def go(world: PlayedWorld, cycles: int = 1) -> None:
    loop = world.loop()
    for _ in range(cycles):
        loop.cycle()
        world.advance(PERIOD_S)


def decision(world: PlayedWorld, name: str = "chat") -> dict[str, Any]:
    found: dict[str, Any] = world.records[-1].document["servers"][name]["decision"]
    return found


def needed(rate: float = BUSY) -> int:
    """Replicas of chat on H100 that a rate takes."""
    world = play(replace(CHAT, replicas_wanted=1), rate=rate)
    go(world)
    return world.wanted(CHAT.ref)


# Holds, each with its reason


def test_a_paused_server_is_left_alone() -> None:
    world = play(replace(CHAT, paused=True))
    go(world, 3)
    assert world.wanted(CHAT.ref) == 1
    assert decision(world)["held"] == ["paused"]
    assert decision(world)["targets"] == []


def test_cards_of_a_paused_server_are_not_given_to_others() -> None:
    # Search pauses with 6 of 8 cards and no load at all: chat may have the other two alone.
    paused = replace(workload("search", "H100", 6), paused=True)
    world = play(CHAT, paused, others={"search": 0.0}, cards={"H100": 8})
    go(world, 3)
    assert world.wanted(paused.ref) == 6
    assert world.wanted(CHAT.ref) <= 2
    assert decision(world)["held"] == ["no_capacity"]
    assert decision(world)["wanted_replicas"] is None  # no plan promises it cards of the other


def test_cards_of_workloads_that_cannot_be_managed_are_not_given_away() -> None:
    lost = replace(workload("nobody", "H100", 6), problem="its label names no server")
    world = play(CHAT, lost, cards={"H100": 8})
    go(world)
    assert world.wanted(CHAT.ref) == 1
    assert decision(world)["held"] == ["no_capacity"]


@pytest.mark.parametrize(
    ("variants", "rate", "reason"),
    [
        ((), BUSY, "no_workload"),
        ((CHAT,), None, "load_unknown"),
        ((CHAT,), 20000.0, "no_capacity"),
    ],
)
def test_why_a_server_is_held(
    variants: Sequence[VariantState], rate: float | None, reason: str
) -> None:
    world = play(*variants, rate=rate)
    go(world, 2)
    told = decision(world)
    assert (told["direction"], told["held"], told["targets"]) == ("hold", [reason], [])
    assert told["reason"]


def test_a_model_without_profile_is_held_and_others_go_on() -> None:
    fleet = controlled_fleet()
    profiles = tuple(each for each in fleet.profiles if each.model != "code-14b")
    world = play(CHAT, CODE, fleet=replace(fleet, profiles=profiles), others={"code": 50.0})
    go(world)
    assert decision(world, "code")["held"] == ["no_profile"]
    assert "no profile" in decision(world, "code")["reason"]
    assert world.wanted(CODE.ref) == 1
    assert world.wanted(CHAT.ref) == needed() > 1


def test_targets_that_nothing_meets_are_no_missing_profile() -> None:
    fleet = controlled_fleet()
    classes = tuple(
        replace(each, targets=tuple(replace(t, itl_ms=0.5) for t in each.targets))
        for each in fleet.service_classes
    )
    world = play(CHAT, fleet=replace(fleet, service_classes=classes))
    go(world)
    assert decision(world)["held"] == ["no_capacity"]
    assert world.wanted(CHAT.ref) == 1


def test_a_cluster_that_does_not_tell_holds_all() -> None:
    world = play(CHAT)
    world.blind_cluster = True
    go(world)
    assert decision(world)["held"] == ["state_unknown"]


# Bounds


@pytest.mark.parametrize("where", ["annotation", "control", "document"])
def test_least_and_most_hold_wherever_they_stand(where: str) -> None:
    def bounded(rate: float, **bound: Any) -> int:
        variant, settings, fleet = CHAT, SETTINGS, controlled_fleet()
        if where == "annotation":
            variant = replace(CHAT, **bound)
        elif where == "control":
            settings = with_server(**bound)
        else:
            fleet = changed(fleet, **bound)
        world = play(variant, rate=rate, settings=settings, fleet=fleet)
        go(world, 2)
        return world.wanted(CHAT.ref)

    assert needed() > 2
    assert bounded(BUSY, max_replicas=2) == 2
    assert bounded(1.0, min_replicas=5) == 5


def test_a_most_below_what_is_needed_says_so() -> None:
    world = play(CHAT, settings=with_server(max_replicas=2))
    go(world)
    assert f"{needed()} replicas would be needed, and 2 are allowed" in decision(world)["reason"]


def test_a_most_set_below_what_runs_is_reached_though_the_load_asks_for_more() -> None:
    world = play(replace(CHAT, replicas_wanted=6, max_replicas=2))
    go(world, 8)
    assert world.wanted(CHAT.ref) == 2


def test_a_least_above_the_most_wins() -> None:
    world = play(replace(CHAT, min_replicas=4, max_replicas=2))
    go(world)
    assert world.wanted(CHAT.ref) == 4


# Scale to and from zero


def test_to_zero_and_back_only_where_that_is_allowed() -> None:
    def law(seconds: float) -> float:
        return 20.0 if seconds < 60 or seconds > 900 else 0.0

    for allowed in (False, True):
        world = play(CHAT, rate=law, settings=with_server(scale_to_zero=allowed))
        go(world, 12)
        assert world.wanted(CHAT.ref) == (0 if allowed else 1)
        assert decision(world)["held"] == []
        go(world, 24)
        assert world.wanted(CHAT.ref) == 1


def test_not_to_zero_before_it_was_idle_long_enough() -> None:
    def law(seconds: float) -> float:
        return 20.0 if seconds < 60 else 0.0

    settings = replace(
        with_server(scale_to_zero=True), stability=replace(STABILITY, zero_after_s=600.0)
    )
    world = play(CHAT, rate=law, settings=settings)
    go(world, 18)
    assert world.wanted(CHAT.ref) == 1
    assert decision(world)["held"] == ["stabilizing"]
    go(world, 10)
    assert world.wanted(CHAT.ref) == 0


# Calm


def test_nothing_shrinks_in_quiet_hours_and_growth_goes_on() -> None:
    quiet = with_rules(quiet_hours=((0, 24 * 60),))
    world = play(replace(CHAT, replicas_wanted=6), rate=5.0, settings=quiet)
    go(world, 8)
    assert world.wanted(CHAT.ref) == 6
    assert decision(world)["held"] == ["quiet_hours"]
    world = play(CHAT, settings=quiet)
    go(world)
    assert world.wanted(CHAT.ref) == needed()


def test_no_move_begins_in_quiet_hours_and_the_server_is_sized_where_it_is() -> None:
    world = play(CHAT, SMALL, settings=with_rules(quiet_hours=((0, 24 * 60),)), rate=120.0)
    go(world, 3)
    assert world.wanted(SMALL.ref) == 0
    assert world.wanted(CHAT.ref) == needed(120.0) > 1


def test_a_move_that_a_cooldown_forbids_leaves_the_server_sized_where_it_is() -> None:
    world = play(CHAT, SMALL, rate=120.0)
    memory = Memory().server("chat")
    world.memory = Memory({"chat": replace(memory, moved_at=world.time - 10.0)})
    go(world)
    assert world.wanted(SMALL.ref) == 0
    assert world.wanted(CHAT.ref) == needed(120.0)


def test_a_plan_that_wants_an_accelerator_without_workload_is_made_again() -> None:
    # Search runs on an H100 and a cheaper L4 would do, for which it has no workload.
    world = play(CHAT, SEARCH, others={"search": 30.0})
    go(world)
    assert decision(world, "search")["wanted_accelerator"] == "H100"
    assert decision(world, "search")["held"] == []


# Moves


def test_a_move_without_a_free_card_leaves_the_server_free_to_grow() -> None:
    settings = with_rules(cooldown_move_s=0.0)
    full = workload("search", "L4", 8)  # it is to give seven up, and calms down first
    world = play(
        CHAT,
        SMALL,
        full,
        others={"search": 2.0},
        cards={"H100": 8, "L4": 8},
        rate=120.0,
        settings=settings,
    )
    go(world)
    assert world.wanted(SMALL.ref) == 0
    assert world.wanted(CHAT.ref) == needed(120.0) > 1


def test_a_dip_in_the_midst_of_a_move_does_not_take_replicas() -> None:
    def law(seconds: float) -> float:
        return 4.0 if 30 <= seconds < 100 else 120.0

    waves = replace(SETTINGS, transition=TransitionSettings(surge_replicas=2))
    world = play(replace(CHAT, replicas_wanted=4), SMALL, rate=law, startup_s=60.0, settings=waves)
    loop = world.loop()
    for _ in range(12):
        loop.cycle()
        assert world.ready(CHAT.ref) / 4 + world.ready(SMALL.ref) / 7 >= 1
        world.advance(PERIOD_S)
    assert (world.wanted(CHAT.ref), world.ready(SMALL.ref)) == (0, 7)


def test_a_move_heeds_the_bounds_of_where_it_goes() -> None:
    world = play(replace(CHAT, replicas_wanted=2), replace(SMALL, min_replicas=3), rate=2.0)
    go(world, 8)
    assert (world.wanted(CHAT.ref), world.wanted(SMALL.ref)) == (0, 3)


def test_an_abort_that_stays_on_keeps_the_server_sized_where_it_is() -> None:
    stay = replace(CHAT, annotations={ABORT: "true"})
    world = play(stay, SMALL, rate=120.0, settings=with_rules(cooldown_move_s=0.0))
    go(world, 4)
    assert (world.wanted(CHAT.ref), world.wanted(SMALL.ref)) == (needed(120.0), 0)


@pytest.mark.parametrize("forget", [False, True])
@pytest.mark.parametrize("after", range(1, 7))
def test_an_abort_never_leaves_fewer_than_are_needed(after: int, forget: bool) -> None:
    world = play(replace(CHAT, replicas_wanted=4), SMALL, rate=2.0, startup_s=60.0)
    go(world, after)
    if forget:
        world.memory = Memory()
    work = world.workloads[CHAT.ref]
    work.state = replace(work.state, annotations={ABORT: "true"})
    for _ in range(10):
        before = world.ready(CHAT.ref) + world.ready(SMALL.ref)
        go(world)
        assert world.ready(CHAT.ref) + world.ready(SMALL.ref) >= min(before, 1) > 0


def test_load_that_grows_while_a_canary_is_watched_is_carried() -> None:
    def law(seconds: float) -> float:
        return 30.0 if seconds < 100 else 120.0

    canary = TransitionSettings(
        kind=TransitionKind.CANARY, canary_steps=(0.5, 1.0), canary_hold_s=3600.0
    )
    world = play(
        replace(CHAT, replicas_wanted=4),
        SMALL,
        rate=law,
        settings=replace(SETTINGS, transition=canary),
        startup_s=30.0,
    )
    go(world, 4)
    assert (world.wanted(CHAT.ref), world.wanted(SMALL.ref)) == (2, 1)
    go(world, 4)
    # Two of four old ones carry what one of two new ones would: six of seven new ones are needed.
    assert (world.wanted(CHAT.ref), world.wanted(SMALL.ref)) == (2, 6)


def test_a_move_that_waits_for_cards_for_ever_is_taken_back() -> None:
    moving = TransitionSettings(ready_timeout_s=200.0)
    world = play(
        replace(CHAT, replicas_wanted=2),
        replace(SMALL, min_replicas=4),
        rate=2.0,
        cards={"H100": 4, "L4": 2},
        settings=replace(SETTINGS, transition=moving),
    )
    go(world, 6)
    assert world.wanted(SMALL.ref) == 2
    go(world, 8)
    assert world.wanted(SMALL.ref) == 0
    assert world.wanted(CHAT.ref) >= 1


# Cards and limits


def test_the_more_important_server_takes_the_free_cards() -> None:
    bulk = replace(SEARCH, server="search")
    world = play(CHAT, bulk, others={"search": 400.0}, cards={"H100": 6})
    go(world)
    total = world.wanted(CHAT.ref) + world.wanted(bulk.ref)
    assert world.wanted(CHAT.ref) == needed()
    assert total <= 6


def test_growth_waits_for_cards_that_another_server_is_still_to_give_up() -> None:
    world = play(
        CHAT, workload("search", "H100", 6), others={"search": 5.0}, cards={"H100": 8}, rate=BUSY
    )
    go(world)
    assert world.wanted(CHAT.ref) == 2
    assert decision(world)["held"] == ["no_capacity"]
    assert "wait for free H100" in decision(world)["reason"]
    go(world, 6)
    assert world.wanted(CHAT.ref) == needed()
    assert decision(world)["held"] == []


def test_of_two_that_want_the_same_card_one_moves_and_the_other_is_sized_where_it_is() -> None:
    world = play(
        replace(CHAT, replicas_wanted=2),
        SMALL,
        replace(SEARCH, replicas_wanted=2),
        workload("search", "L4", 0),
        rate=2.0,
        others={"search": 2.0},
        cards={"H100": 8, "L4": 1},
    )
    go(world)
    assert decision(world)["direction"] == "move"
    assert decision(world, "search")["direction"] == "hold"
    assert decision(world, "search")["wanted_accelerator"] == "H100"


def test_a_cycle_changes_no_more_cards_than_allowed_important_servers_first() -> None:
    world = play(
        CHAT,
        workload("search", "H100", 6),
        CODE,
        others={"search": 5.0, "code": BUSY},
        settings=with_rules(max_cards_change=2),
    )
    seen = []
    for _ in range(12):
        sizes = [world.wanted(each.ref) for each in (CHAT, CODE, SEARCH)]
        go(world)
        after = [world.wanted(each.ref) for each in (CHAT, CODE, SEARCH)]
        assert sum(abs(a - b) for a, b in zip(after, sizes, strict=True)) <= 2
        seen.append(after)
    assert seen[0] == [3, 1, 6]  # chat before code, which is as important, and both before search
    assert seen[-1][0] == needed()
    assert seen[-1][2] < 6


def test_what_was_cut_says_so() -> None:
    world = play(CHAT, settings=with_rules(max_cards_change=1))
    go(world)
    assert world.wanted(CHAT.ref) == 2
    assert decision(world)["direction"] == "up"
    assert decision(world)["held"] == ["change_limit"]
    assert "chat" in world.records[-1].document["problems"][-1]


def test_a_cycle_adds_no_more_cost_than_allowed_and_takes_as_much_as_it_likes() -> None:
    cheap = with_rules(max_cost_change_per_hour=3.5)  # one H100 costs 3
    world = play(CHAT, workload("search", "H100", 6), others={"search": 5.0}, settings=cheap)
    go(world)
    assert world.wanted(CHAT.ref) == 2
    go(world, 7)
    assert world.wanted(SEARCH.ref) == 1


def test_a_refused_write_is_decided_again() -> None:
    world = play(CHAT)
    world.refuses[CHAT.ref] = ChangeOutcome.CONFLICT
    go(world, 2)
    assert world.wanted(CHAT.ref) == 1
    world.refuses.clear()
    go(world)
    assert world.wanted(CHAT.ref) == needed()


# Whatever comes

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
        metrics=MetricSettings(fresh_replica_s=0.0),
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


def steps(law: list[float | None]) -> Callable[[float], float | None]:
    return lambda seconds: law[int(seconds // 200) % len(law)]


def ready_of(world: PlayedWorld, name: str) -> int:
    refs: list[WorkloadRef] = [
        ref for ref, work in world.workloads.items() if work.state.server == name
    ]
    return sum(world.variant(ref).count(ReplicaPhase.READY) for ref in refs)


def test_a_load_told_in_part_makes_nothing_smaller() -> None:
    world = play(replace(CHAT, replicas_wanted=6), rate=5.0)
    world.reporting["chat"] = 2.0
    go(world, 8)
    assert world.wanted(CHAT.ref) == 6
    assert decision(world)["held"] == ["partial_reports"]


def test_a_move_rests_while_the_load_is_told_in_part() -> None:
    world = play(replace(CHAT, replicas_wanted=2), SMALL, rate=2.0)
    go(world, 1)
    world.reporting["chat"] = 0.0
    go(world, 6)
    assert world.wanted(CHAT.ref) == 2
    del world.reporting["chat"]
    go(world, 4)
    assert world.wanted(CHAT.ref) == 0


def test_latency_that_breaks_the_target_takes_a_canary_back() -> None:
    canary = TransitionSettings(
        kind=TransitionKind.CANARY, canary_steps=(0.5, 1.0), canary_hold_s=90.0
    )
    settings = replace(SETTINGS, transition=canary)
    world = play(replace(CHAT, replicas_wanted=2), SMALL, rate=2.0, settings=settings)
    go(world, 4)
    assert world.ready(SMALL.ref) == 1
    world.extra_signals["chat"] = {SignalName.TTFT_MEAN: Signal.known(2000.0, 1.0, "q")}
    go(world, 3)
    assert (world.wanted(CHAT.ref), world.wanted(SMALL.ref)) == (2, 0)
