"""From the size asked for to the size to go to: at once up, calmly down."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.batch import BatchProgress
from controller.history import LoadHistory, LoadSample
from controller.memory import ServerMemory, WantedSize
from controller.stability import Sizing, in_quiet_hours, may_move, remembered, settle
from stoker.domain.control.changes import HoldReason
from stoker.domain.control.quiet import QuietHours
from stoker.domain.control.settings import StabilitySettings

AT = 1_000_000_000.0  # 01:46:40 UTC
RULES = StabilitySettings(
    scale_down_window_s=300.0, hysteresis=0.1, cooldown_down_s=60.0, zero_after_s=600.0
)


def watched(*sizes: int, since_s: float = 300.0) -> ServerMemory:
    """A memory in which these sizes were asked for, evenly over the last `since_s` seconds."""
    count = len(sizes)
    wanted = tuple(
        WantedSize(AT - since_s * (count - 1 - index) / max(1, count - 1), "H100", size)
        for index, size in enumerate(sizes)
    )
    return ServerMemory(wanted=wanted, watched_since=AT - since_s)


def sizing(running: int, wanted: int, **options: object) -> Sizing:
    found = Sizing(running, wanted, rate_rps=wanted * 9.0, rate_of_one_rps=10.0, accelerator="H100")
    return replace(found, **options)  # type: ignore[arg-type]


def test_up_at_once() -> None:
    assert settle(sizing(2, 9), ServerMemory(), AT, RULES).replicas == 9


def test_up_within_the_step_and_the_cooldown() -> None:
    rules = replace(RULES, max_step_up=3, cooldown_up_s=120.0)
    settled = settle(sizing(2, 9), ServerMemory(), AT, rules)
    assert (settled.replicas, settled.held) == (5, (HoldReason.STEP_LIMIT,))
    lately = ServerMemory(grown_at=AT - 100)
    assert settle(sizing(2, 9), lately, AT, rules).held == (HoldReason.COOLDOWN,)
    assert settle(sizing(2, 9), replace(lately, grown_at=AT - 121), AT, rules).replicas == 5


def test_down_only_when_it_was_enough_for_the_whole_window() -> None:
    short = watched(4, 4, 4, since_s=200.0)
    settled = settle(sizing(6, 4), short, AT, RULES)
    assert (settled.replicas, settled.held) == (6, (HoldReason.STABILIZING,))
    assert "100 s more" in settled.reason
    assert settle(sizing(6, 4), watched(4, 4, 4), AT, RULES).replicas == 4


def test_nothing_shrinks_while_replicas_are_young() -> None:
    settled = settle(sizing(6, 4, young=True), watched(4, 4, 4), AT, RULES)
    assert (settled.replicas, settled.held) == (6, (HoldReason.STABILIZING,))
    assert "a moment ago" in settled.reason
    assert settle(sizing(6, 8, young=True), watched(4, 4, 8), AT, RULES).replicas == 8


def test_down_to_the_largest_size_of_the_window() -> None:
    settled = settle(sizing(9, 3), watched(7, 5, 3), AT, RULES)
    assert (settled.replicas, settled.held) == (7, (HoldReason.STABILIZING,))


def test_sizes_on_another_accelerator_do_not_count() -> None:
    memory = watched(3, 3, 3)
    other = WantedSize(AT - 100, "L4", 50)
    memory = replace(memory, wanted=(*memory.wanted, other))
    assert settle(sizing(9, 3), memory, AT, RULES).replicas == 3


def test_a_load_just_below_the_smaller_size_does_not_shrink() -> None:
    tight = sizing(5, 4, rate_rps=39.0)  # 39 of 40 requests/s that four carry
    settled = settle(tight, watched(4, 4, 4), AT, RULES)
    assert (settled.replicas, settled.held) == (5, (HoldReason.HYSTERESIS,))
    assert settle(sizing(5, 4, rate_rps=36.0), watched(4, 4, 4), AT, RULES).replicas == 4


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"partial": True}, HoldReason.PARTIAL_REPORTS),
    ],
)
def test_what_is_told_in_part_never_shrinks(change: dict[str, object], reason: HoldReason) -> None:
    settled = settle(sizing(6, 2, **change), watched(2, 2, 2), AT, RULES)
    assert (settled.replicas, settled.held) == (6, (reason,))


def test_quiet_hours_pass_midnight() -> None:
    rules = replace(RULES, quiet_hours=(QuietHours(22 * 60, 2 * 60),))
    assert in_quiet_hours(AT, rules)
    assert not in_quiet_hours(AT + 3600, rules)
    settled = settle(sizing(6, 2), watched(2, 2, 2), AT, rules)
    assert (settled.replicas, settled.held) == (6, (HoldReason.QUIET_HOURS,))
    assert settle(sizing(2, 6), ServerMemory(), AT, rules).replicas == 6


def test_cooldown_after_any_change() -> None:
    memory = replace(watched(2, 2, 2), changed_at=AT - 30)
    assert settle(sizing(6, 2), memory, AT, RULES).held == (HoldReason.COOLDOWN,)
    memory = replace(memory, changed_at=AT - 61)
    assert settle(sizing(6, 2), memory, AT, RULES).replicas == 2


def test_to_zero_only_when_allowed_and_idle_for_long() -> None:
    idle = sizing(1, 0, rate_rps=0.0, idle_s=700.0, zero_allowed=True)
    memory = watched(0, 0, 0)
    assert settle(idle, memory, AT, RULES).replicas == 0
    assert settle(replace(idle, idle_s=500.0), memory, AT, RULES).replicas == 1
    assert settle(replace(idle, idle_s=None), memory, AT, RULES).replicas == 1
    assert settle(replace(idle, zero_allowed=False), memory, AT, RULES).replicas == 1
    assert settle(sizing(0, 1), ServerMemory(), AT, RULES).replicas == 1  # from zero at once


def test_moves_wait_for_their_cooldown() -> None:
    assert may_move(ServerMemory(), AT, RULES) is None
    forbidden = may_move(ServerMemory(moved_at=AT - 10), AT, RULES)
    assert forbidden is not None
    assert forbidden.held == (HoldReason.COOLDOWN,)


def known(*rates: float, until_s: float) -> LoadHistory:
    """Rates of a minute each, the last one so long ago."""
    count = len(rates)
    return LoadHistory(
        tuple(
            LoadSample(AT - until_s - 60.0 * (count - 1 - index), rate)
            for index, rate in enumerate(rates)
        )
    )


@pytest.mark.parametrize("gap_s", [60.0, 3600.0, 86_400.0])
def test_a_move_for_less_than_was_known_before_a_gap_waits_for_the_whole_window(
    gap_s: float,
) -> None:
    before = ServerMemory(known(*[120.0] * 30, until_s=gap_s))
    forbidden = may_move(before, AT, RULES, 4.0)
    assert forbidden is not None
    assert forbidden.held == (HoldReason.STABILIZING,)
    assert "120 requests/s" in forbidden.reason
    for rate in (115.0, 120.0, 500.0, None):
        assert may_move(before, AT, RULES, rate) is None
    assert may_move(replace(before, watched_since=AT - 200.0), AT, RULES, 4.0) is not None
    assert may_move(replace(before, watched_since=AT - 300.0), AT, RULES, 4.0) is None


def test_what_was_long_before_a_gap_forbids_no_move() -> None:
    rates = [120.0] * 20 + [4.0] * 10
    assert may_move(ServerMemory(known(*rates, until_s=60.0)), AT, RULES, 4.0) is None
    late = ServerMemory(known(*rates, until_s=86_400.0))
    assert may_move(late, AT, RULES, 4.0) is None


def test_a_deadline_sizes_a_move_whatever_came() -> None:
    work = BatchProgress(1e6, AT + 3600.0, AT)
    before = ServerMemory(known(120.0, until_s=60.0), batch=work)
    assert may_move(before, AT, RULES, 4.0) is None
    assert may_move(replace(before, batch=replace(work, done_tokens=1e6)), AT, RULES, 4.0)


def test_what_nobody_sees_is_no_idleness() -> None:
    idle = sizing(1, 0, rate_rps=0.0, zero_allowed=True, unseen="the signal running is unknown")
    settled = settle(idle, watched(0, 0, 0), AT, RULES)
    assert (settled.replicas, settled.held) == (1, (HoldReason.PARTIAL_REPORTS,))
    assert "the signal running is unknown" in settled.reason


def test_what_changed_is_remembered() -> None:
    assert remembered(ServerMemory(), 3, 3, AT) == ServerMemory()
    assert remembered(ServerMemory(), 3, 5, AT) == ServerMemory(changed_at=AT, grown_at=AT)
    assert remembered(ServerMemory(), 5, 3, AT) == ServerMemory(changed_at=AT)


sizes = st.integers(0, 40)


@given(
    running=sizes,
    wanted=sizes,
    least=st.integers(0, 10),
    most=st.none() | st.integers(1, 30),
    partial=st.booleans(),
    before=st.lists(sizes, min_size=1, max_size=6),
    since_s=st.floats(0, 900),
    changed_s=st.none() | st.floats(0, 900),
    step=st.none() | st.integers(1, 5),
    zero_allowed=st.booleans(),
    idle_s=st.none() | st.floats(0, 2000),
)
def test_the_size_lies_between_what_runs_and_what_is_asked_for(
    running: int,
    wanted: int,
    least: int,
    most: int | None,
    partial: bool,
    before: list[int],
    since_s: float,
    changed_s: float | None,
    step: int | None,
    zero_allowed: bool,
    idle_s: float | None,
) -> None:
    rules = replace(RULES, max_step_up=step, max_step_down=step)
    memory = watched(*before, wanted, since_s=since_s)
    memory = replace(memory, changed_at=None if changed_s is None else AT - changed_s)
    asked = sizing(
        running,
        wanted,
        least=least,
        most=most,
        partial=partial,
        zero_allowed=zero_allowed,
        idle_s=idle_s,
    )
    settled = settle(asked, memory, AT, rules)
    bounded = max(wanted, least)
    bounded = bounded if most is None else min(bounded, max(most, least))
    low, high = sorted((running, bounded))
    assert low <= settled.replicas <= high
    if partial:
        assert settled.replicas >= running
    if settled.replicas < running:
        assert since_s >= rules.scale_down_window_s - 1e-6
        assert changed_s is None or changed_s >= rules.cooldown_down_s
    if settled.replicas != bounded:
        assert settled.held
        assert settled.reason
    if step is not None:
        assert abs(settled.replicas - running) <= step
    if settled.replicas == 0 < running:
        assert zero_allowed
