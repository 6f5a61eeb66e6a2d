"""The news of what keeps servers from being decided on: told once, with its end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from controller.loop import Loop, Ports
from stoker.domain.control.changes import ChangeOutcome
from stoker.domain.control.choices import Mode
from stoker.domain.control.settings import ControlSettings, LoopSettings, StabilitySettings
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload

SETTINGS = ControlSettings(loop=LoopSettings(mode=Mode.ACT, period_s=30.0))
CHAT = workload("chat", "H100", 1)


def world(**options: object) -> PlayedWorld:
    return PlayedWorld(
        controlled_fleet(),
        SETTINGS,
        [CHAT, workload("search", "H100", 1), workload("code", "H100", 1)],
        {"chat": lambda _: 20.0, "search": lambda _: 5.0, "code": lambda _: 5.0},
        **options,  # type: ignore[arg-type]
    )


def told(played: PlayedWorld) -> list[str]:
    """The reasons of the notices since the last call, of the one server."""
    found = [each.reason for each in played.notices if each.ref == CHAT.ref]
    played.notices.clear()
    return found


def test_an_unknown_load_is_told_once_and_so_is_its_end() -> None:
    played = world()
    loop = played.loop()
    loop.cycle()
    assert told(played) == []
    rate = played.rates["chat"]
    played.rates["chat"] = lambda _: None
    for expected in (["Degraded"], [], []):
        played.advance(30.0)
        loop.cycle()
        assert told(played) == expected
    played.rates["chat"] = rate
    for expected in (["Recovered"], []):
        played.advance(30.0)
        loop.cycle()
        notices = [each for each in played.notices if each.ref == CHAT.ref]
        assert told(played) == expected
        if expected:
            assert notices[0].well
            assert "load_unknown for 90 s" in notices[0].words


def test_a_blind_cluster_is_told_of_when_it_answers_again() -> None:
    played = world()
    loop = played.loop()
    loop.cycle()
    played.notices.clear()
    played.blind_cluster = True
    for _ in range(3):
        played.advance(30.0)
        loop.cycle()
        assert told(played) == []
    played.blind_cluster = False
    played.advance(30.0)
    loop.cycle()
    assert told(played) == ["Recovered"]


def test_one_that_cannot_be_elected_says_so_and_tells_it_when_it_leads_again() -> None:
    played = world()
    loop = played.loop()
    loop.cycle()
    played.notices.clear()
    played.leads, played.problem = False, "Lease: no answer"
    played.advance(30.0)
    assert "Lease: no answer" in loop.cycle().document["problems"]
    assert told(played) == []
    played.leads, played.problem = True, ""
    played.advance(30.0)
    loop.cycle()
    assert told(played) == ["Recovered"]


def test_who_only_waits_for_the_lease_is_well() -> None:
    played = world()
    played.leads = False
    loop = played.loop()
    loop.cycle()
    played.leads = True
    played.advance(30.0)
    loop.cycle()
    assert told(played) == []


def test_replicas_without_a_node_are_told_with_the_words_of_the_scheduler() -> None:
    played = world(cards={"H100": 3, "L4": 0})
    loop = played.loop()
    loop.cycle()
    played.notices.clear()
    work = played.workloads[CHAT.ref]
    work.state = replace(work.state, replicas_wanted=3)
    played.advance(30.0)
    record = loop.cycle().document
    assert any("found no node: no node has the cards" in each for each in record["problems"])
    assert told(played) == ["Degraded"]


def test_nothing_is_written_once_the_lease_is_lost_or_the_time_is_up() -> None:
    played = world()
    played.rates["chat"] = lambda _: 200.0
    leads = iter([True, False, False, False, False])
    played.holds = lambda: next(leads)  # type: ignore[method-assign]
    record = played.loop().cycle().document
    assert record["leader"]
    outcomes = {each["outcome"] for each in record["changes"]}
    assert outcomes == {ChangeOutcome.FAILED.value}
    assert all("leads no more" in each["detail"] for each in record["changes"])
    assert played.wanted(CHAT.ref) == 1


def test_a_cycle_that_was_cut_off_is_told_of_in_the_next_one_alone() -> None:
    played = world()
    played.rates["chat"] = lambda _: 200.0
    played.loop().cycle()
    cut = played.intended[-1].document
    played.notices.clear()
    ports = Ports(played, played, played, played, played, played, played, played)
    loop = Loop(ports, played.document, played.memory, cut)
    for count in (1, 0):
        record = loop.cycle().document
        assert sum("was cut off" in each for each in record["problems"]) == count
        assert told(played).count("CutOff") == count
        played.advance(30.0)


def test_a_cycle_that_comes_a_little_late_is_no_gap() -> None:
    played = world()
    settings = replace(SETTINGS, loop=replace(SETTINGS.loop, period_s=60.0))
    played.document = replace(played.document, settings=settings)
    loop = played.loop()
    for _ in range(4):
        record = loop.cycle().document
        played.advance(settings.loop.period_s + 0.2)
    assert record["servers"]["chat"]["load_reason"] == ""


def test_a_cycle_that_failed_is_told_of_in_the_next_one() -> None:
    played = world()
    loop = played.loop()
    write, broken = played.write, iter([True])

    def once_without_a_disk(*args: Any) -> None:
        if next(broken, False):
            raise OSError("no space left on device")
        write(*args)

    played.write = once_without_a_disk  # type: ignore[assignment, method-assign]
    loop.run(lambda: False, 3)
    told_in = [record.document["problems"] for record in played.records]
    assert len(told_in) == 2
    assert "no space left on device" in told_in[0][0]
    assert told_in[1] == []


def test_replicas_that_were_silent_count_only_when_their_rates_are_whole() -> None:
    played = world()
    played.rates["chat"] = lambda _: 400.0
    settings = replace(SETTINGS, stability=StabilitySettings(scale_down_window_s=60.0))
    played.document = replace(played.document, settings=settings)
    loop = played.loop()
    for _ in range(8):
        loop.cycle()
        played.advance(30.0)
    needed = played.wanted(CHAT.ref)
    assert needed > 2
    told, played.reporting["chat"] = played.rates["chat"], 1.0
    played.rates["chat"] = lambda _: 20.0  # what the one that reports serves
    for _ in range(5):
        loop.cycle()
        played.advance(30.0)
    del played.reporting["chat"]  # all are back, and their rates are not yet
    loop.cycle()
    assert played.wanted(CHAT.ref) == needed
    played.rates["chat"] = told
    for _ in range(5):
        played.advance(30.0)
        loop.cycle()
        assert played.wanted(CHAT.ref) == needed
