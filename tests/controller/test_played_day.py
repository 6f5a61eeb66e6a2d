"""A compressed day through the decisions alone: whatever its rules, they are kept each cycle."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stoker.domain.control.choices import ForecastMethod, Mode
from stoker.domain.control.quiet import QuietHours
from stoker.domain.control.settings import (
    ControlSettings,
    ForecastSettings,
    LoopSettings,
    MetricSettings,
    ServerControl,
    StabilitySettings,
)
from tests.support.controlled_fleets import controlled_fleet
from tests.support.gateway_world import GatewayWorld
from tests.support.playing import CHAT

PERIOD_S = 30.0
CYCLES = 60
DAY_S = CYCLES * PERIOD_S
FLEET = replace(
    controlled_fleet(),
    servers=tuple(each for each in controlled_fleet().servers if each.name == "chat"),
)
PLAYED = settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),  # a day is long: a failure is shown as it was found
)


@dataclass(frozen=True)
class Change:
    """A change of the replicas asked for."""

    at: float
    before: int
    after: int


def world_of(
    rules: StabilitySettings,
    rate: Callable[[float], float | None],
    control: ServerControl,
    *,
    forecast: ForecastSettings | None = None,
    cards: int = 24,
    startup_s: float = 45.0,
) -> GatewayWorld:
    control_settings = ControlSettings(
        loop=LoopSettings(mode=Mode.ACT, period_s=PERIOD_S),
        metrics=MetricSettings(window_s=PERIOD_S),
        forecast=forecast or ForecastSettings(method=ForecastMethod.LAST, startup_s=startup_s),
        stability=rules,
        servers={"chat": control},
    )
    return GatewayWorld(
        FLEET,
        control_settings,
        [replace(CHAT, replicas_wanted=2)],
        {"chat": rate},
        cards={"H100": cards, "L4": 0},
        startup_s=startup_s,
    )


rules = st.builds(
    StabilitySettings,
    scale_down_window_s=st.sampled_from([0.0, 90.0, 240.0]),
    hysteresis=st.sampled_from([0.0, 0.1, 0.3]),
    max_step_up=st.none() | st.integers(1, 3),
    max_step_down=st.none() | st.integers(1, 2),
    cooldown_up_s=st.sampled_from([0.0, 100.0]),
    cooldown_down_s=st.sampled_from([0.0, 60.0, 150.0]),
    zero_after_s=st.sampled_from([60.0, 300.0]),
    max_cards_change=st.none() | st.integers(1, 4),
    max_cost_change_per_hour=st.none() | st.sampled_from([3.0, 7.5]),
)


@PLAYED
@given(
    rules=rules,
    peak=st.sampled_from([60.0, 250.0, 600.0]),
    bursts=st.sets(st.integers(0, CYCLES - 1), max_size=6),
    gaps=st.sets(st.integers(2, CYCLES - 1), max_size=12),
    blind=st.sets(st.integers(2, CYCLES - 1), max_size=6),
    bounds=st.sampled_from([(0, None), (1, 5), (2, 9)]),
    cards=st.sampled_from([6, 24]),
    to_zero=st.booleans(),
)
def test_every_rule_is_kept_all_day(
    rules: StabilitySettings,
    peak: float,
    bursts: set[int],
    gaps: set[int],
    blind: set[int],
    bounds: tuple[int, int | None],
    cards: int,
    to_zero: bool,
) -> None:
    def rate(seconds: float) -> float | None:
        cycle = int(seconds // PERIOD_S)
        if cycle in gaps:
            return None
        day = max(0.0, peak * math.sin(2 * math.pi * seconds / DAY_S))  # idle at night
        return day + (peak if cycle in bursts else 0.0)

    least, most = bounds
    # Minutes since midnight in which nothing shrinks: the beginning of the afternoon.
    control = ServerControl("chat", min_replicas=least, max_replicas=most, scale_to_zero=to_zero)
    world = world_of(rules, rate, control, cards=cards)
    quiet_from = int((world.time + 0.4 * DAY_S) // 60) % 1440
    quiet = (QuietHours(quiet_from, (quiet_from + 5) % 1440),)
    kept = replace(world.document.settings, stability=replace(rules, quiet_hours=quiet))
    world.document = replace(world.document, settings=kept)
    loop = world.loop()
    changes: list[Change] = []
    for cycle in range(CYCLES):
        world.blind_cluster = cycle in blind
        before, now = world.wanted(CHAT.ref), world.monotonic()
        loop.cycle()
        after = world.wanted(CHAT.ref)
        told = world.records[-1].document["servers"]["chat"]
        if rate(now) is None or world.blind_cluster:
            assert after == before
        if told["partial"]:
            assert after >= before
        assert after <= cards
        if most is not None:
            assert after <= max(most, before)
        if after < before:
            _judge_shrinking(rules, changes, now, before, after)
            minute = int(world.time // 60) % 1440
            assert minute not in {(quiet_from + each) % 1440 for each in range(5)}
            assert after >= max(least, 0 if to_zero else 1)
        elif after > before:
            _judge_growing(rules, changes, now, before, after)
        if after != before:
            changes.append(Change(now, before, after))
            assert told["decision"]["direction"] in ("up", "down")
        elif (told["decision"]["wanted_replicas"] or 0) not in (0, *range(least), before):
            assert told["decision"]["held"] or told["decision"]["reason"]
        world.advance(PERIOD_S)


def _judge_shrinking(
    rules: StabilitySettings, changes: list[Change], now: float, before: int, after: int
) -> None:
    for each in changes:
        if each.after > each.before:
            assert now - each.at >= rules.scale_down_window_s
        assert now - each.at >= rules.cooldown_down_s
    assert before - after <= (rules.max_step_down or before)
    assert before - after <= (rules.max_cards_change or before)


def _judge_growing(
    rules: StabilitySettings, changes: list[Change], now: float, before: int, after: int
) -> None:
    for each in changes:
        if each.after > each.before:
            assert now - each.at >= rules.cooldown_up_s
    assert after - before <= (rules.max_step_up or after)
    assert after - before <= (rules.max_cards_change or after)
    assert (after - before) * 3.0 <= (rules.max_cost_change_per_hour or math.inf)


@PLAYED
@given(
    slope=st.floats(-0.15, 0.15),
    start=st.floats(120.0, 260.0),
    startup_s=st.sampled_from([0.0, 60.0, 150.0, 290.0]),
    method=st.sampled_from([ForecastMethod.LINEAR]),
)
def test_promises_are_kept_while_the_forecast_is_right(
    slope: float, start: float, startup_s: float, method: ForecastMethod
) -> None:
    """On a line, which the forecast knows, ready replicas carry the load at every moment."""

    def rate(seconds: float) -> float:
        return max(1.0, start + slope * seconds)

    forecast = ForecastSettings(method=method, quantile=0.5, startup_s=startup_s)
    world = world_of(
        StabilitySettings(scale_down_window_s=60.0, hysteresis=0.0),
        rate,
        ServerControl("chat"),
        forecast=forecast,
        startup_s=startup_s,
    )
    learned_s = 7 * PERIOD_S + startup_s
    loop = world.loop()
    while world.monotonic() < learned_s + 40 * PERIOD_S:
        loop.cycle()
        one = world.records[-1].document["plan"]["allocations"]["chat"]["max_rate_rps"]
        for _ in range(3):
            if world.monotonic() > learned_s:
                assert world.ready(CHAT.ref) * one >= rate(world.monotonic()) * (1 - 1e-6)
            world.advance(PERIOD_S / 3)


@PLAYED
@given(noise=st.lists(st.floats(-0.04, 0.04), min_size=CYCLES, max_size=CYCLES))
def test_load_that_only_trembles_never_turns_the_replicas_round(noise: list[float]) -> None:
    def rate(seconds: float) -> float:
        return 200.0 * (1 + noise[int(seconds // PERIOD_S) % CYCLES])

    world = world_of(StabilitySettings(scale_down_window_s=120.0), rate, ServerControl("chat"))
    loop = world.loop()
    sizes = []
    for _ in range(CYCLES):
        loop.cycle()
        sizes.append(world.wanted(CHAT.ref))
        world.advance(PERIOD_S)
    turns = [after - before for before, after in itertools.pairwise(sizes)]
    signs = [each > 0 for each in turns if each]
    assert sum(a != b for a, b in itertools.pairwise(signs)) <= 1
