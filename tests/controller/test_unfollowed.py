"""Who is told of for not following what is emitted, and who is not."""

from __future__ import annotations

from dataclasses import replace

from controller.recall import memory_from_text, memory_to_text
from stoker.cli.control_report import status_report
from stoker.cli.output import plain_text
from stoker.domain.control.settings import (
    ServerControl,
    StabilitySettings,
)
from stoker.domain.control.signals import Signal, SignalName
from tests.support.hands_off import (
    SETTINGS,
    HandsOff,
    hands_off,
    never,
)


def test_who_does_not_follow_is_told_of() -> None:
    off = hands_off(never)
    (size,) = off.go()
    document = off.world.records[-1].document
    assert document["problem_kinds"]["not_followed"] == 0
    text = plain_text(status_report(document))
    assert f"Deployment models/chat-h100: {size:.0f} replicas; it asks for 1" in text
    off.go(11)
    document = off.world.records[-1].document
    assert document["problem_kinds"]["not_followed"] == 1
    assert any("see whether HPA or KEDA follows" in each for each in document["problems"])


def test_a_difference_that_hpa_leaves_alone_is_no_fault() -> None:
    off = hands_off(never, rate=lambda _: 1800.0)
    (size,) = off.go()
    off.scale(int(size) - 1)
    assert size >= 11
    assert set(off.go(12)) == {size}
    assert off.world.records[-1].document["problem_kinds"]["not_followed"] == 0


def unfollowed(off: HandsOff) -> list[int]:
    """Return how many were told of in each cycle."""
    return [each.document["problem_kinds"]["not_followed"] for each in off.world.records]


def test_who_never_follows_a_size_that_keeps_changing_is_told_of() -> None:
    off = hands_off(never, rate=lambda passed_s: 600.0 + 4.0 * passed_s)
    sizes = off.go(20)
    assert len(set(sizes)) > 5
    assert unfollowed(off) == [0] * 10 + [1] * 10  # 300 s are over in the eleventh cycle
    off.world.memory = memory_from_text(memory_to_text(off.world.memory))
    off.begin()
    off.go()
    assert unfollowed(off)[-1] == 1


def test_who_moves_towards_a_size_is_given_time_again() -> None:
    off = hands_off(never)
    off.go(12)
    off.scale(2)
    off.go(9)
    assert unfollowed(off)[-10:] == [1] + [0] * 9


def test_who_was_left_alone_in_good_order_is_given_time_for_the_next_size() -> None:
    off = hands_off(never, rate=lambda passed_s: 1800.0 if passed_s < 600.0 else 3600.0)
    off.scale(int(off.go()[0]) - 1)
    off.go(22)
    assert off.desired[-1] > off.desired[0]
    assert set(unfollowed(off)) == {0}


def test_an_hpa_that_keeps_a_last_replica_is_no_fault() -> None:
    servers = {"chat": ServerControl("chat", scale_to_zero=True)}
    quick = StabilitySettings(cooldown_down_s=0.0)
    settings = replace(SETTINGS, servers=servers)
    off = hands_off(never, rate=lambda _: 0.0, stability=quick, settings=settings)
    seen = Signal.known(0.0, None, "sum(gateway_queue)")  # requests are seen without replicas
    off.world.extra_signals["chat"] = {SignalName.WAITING: seen}
    sizes = off.go(60)
    assert sizes[-1] == 0
    assert set(unfollowed(off)) == {0}
    assert "an HPA does not go to zero: use KEDA" in plain_text(
        status_report(off.world.records[-1].document)
    )
