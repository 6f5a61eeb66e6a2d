"""The loop in a played world: it follows load, keeps calm, and never shrinks on what is unknown."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

from stoker.domain.control.choices import Mode
from stoker.domain.control.settings import ControlSettings, LoopSettings, StabilitySettings
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload

SETTINGS = ControlSettings(loop=LoopSettings(mode=Mode.ACT, period_s=30.0))
CHAT = workload("chat", "H100", 1)


def world(settings: ControlSettings = SETTINGS, **options: object) -> PlayedWorld:
    fleet = controlled_fleet()
    return PlayedWorld(
        fleet,
        settings,
        [CHAT, workload("search", "H100", 1), workload("code", "H100", 1)],
        {"chat": lambda _: 20.0, "search": lambda _: 5.0, "code": lambda _: 5.0},
        **options,  # type: ignore[arg-type]
    )


def sizes(played: PlayedWorld, cycles: int) -> list[int]:
    loop = played.loop()
    found = []
    for _ in range(cycles):
        loop.cycle()
        played.advance(SETTINGS.loop.period_s)
        found.append(played.wanted(CHAT.ref))
    return found


def test_it_follows_a_ramp_up_and_down_without_a_sawtooth() -> None:
    played = world()

    def ramp(seconds: float) -> float:
        if seconds < 600:
            return 40.0 + 160.0 * seconds / 600
        return max(40.0, 200.0 - 160.0 * max(0.0, seconds - 1200) / 600)

    played.rates["chat"] = ramp
    found = sizes(played, 90)
    turns = [after - before for before, after in itertools.pairwise(found)]
    signs = [1 if each > 0 else -1 for each in turns if each]
    assert max(found) > 2 * found[0]
    assert found[-1] < max(found)
    assert sum(a != b for a, b in itertools.pairwise(signs)) <= 2


def test_an_unknown_load_holds_the_last_size() -> None:
    played = world()
    played.rates["chat"] = lambda seconds: 150.0 if seconds < 300 else None
    found = sizes(played, 60)
    assert found[9] > 1
    assert found[-1] == found[10]
    last = played.records[-1].document["servers"]["chat"]
    assert last["load"] is None
    assert last["decision"]["held"] == ["load_unknown"]


def test_records_are_json_whatever_is_unknown() -> None:
    played = world()
    played.rates["chat"] = lambda _: None
    sizes(played, 2)
    for record in played.records:
        text = json.dumps(record.document, allow_nan=False)
        assert json.loads(text)["plan"]["allocations"]["chat"]["max_rate_rps"] is None


def test_a_blind_cluster_changes_nothing() -> None:
    played = world()
    played.rates["chat"] = lambda _: 150.0
    played.blind_cluster = True
    assert sizes(played, 10) == [1] * 10


def test_observing_changes_nothing_and_advising_waits_for_approval() -> None:
    for mode in (Mode.OBSERVE, Mode.ADVISE):
        settings = replace(SETTINGS, loop=replace(SETTINGS.loop, mode=mode))
        played = world(settings)
        played.rates["chat"] = lambda _: 150.0
        assert sizes(played, 5) == [1] * 5
        assert played.records[-1].document["servers"]["chat"]["decision"]["targets"]
        played.approves = frozenset({"chat"})
        expected = (
            [1]
            if mode is Mode.OBSERVE
            else [
                played.records[-1].document["servers"]["chat"]["decision"]["targets"][0]["replicas"]
            ]
        )
        assert sizes(played, 1) == expected


def test_a_move_makes_before_it_breaks() -> None:
    small = workload("chat", "L4", 0)
    fleet = controlled_fleet()
    settings = replace(SETTINGS, stability=StabilitySettings(cooldown_move_s=0.0))
    played = PlayedWorld(
        fleet,
        settings,
        [replace(CHAT, replicas_wanted=2), small],
        {"chat": lambda _: 2.0, "search": lambda _: None, "code": lambda _: None},
    )
    loop = played.loop()
    for _ in range(20):
        loop.cycle()
        assert played.ready(CHAT.ref) + played.ready(small.ref) >= 1
        played.advance(30.0)
    assert played.wanted(CHAT.ref) == 0
    assert played.wanted(small.ref) >= 1
    assert played.ready(small.ref) == played.wanted(small.ref)
