"""Seasons at scale: parameters used again, found in turns, on histories that stay small."""

from __future__ import annotations

import itertools
import math
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.demand import rates_to_plan, with_seasons
from controller.forecast import forecast
from controller.history import LoadHistory, LoadSample
from controller.journal import CycleJournal
from controller.load import MeasuredLoad
from controller.memory import Memory, ServerMemory
from controller.recall import memory_from_text, memory_to_text
from controller.samples import LoadSamples
from controller.season import period_of
from stoker.domain.control.choices import ForecastMethod
from stoker.domain.control.settings import ControlSettings, ForecastSettings
from stoker.domain.server import Server
from stoker.domain.workload import Load
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload

SEASON_S = 2400.0
SETTINGS = ForecastSettings(ForecastMethod.HOLT_WINTERS, season_s=SEASON_S, quantile=0.9)


def rate(at: float) -> float:
    return 50.0 + 30.0 * math.sin(2 * math.pi * at / SEASON_S)


def history(seconds: float, step_s: float = 30.0) -> LoadHistory:
    count = int(seconds / step_s) + 1
    return LoadHistory(tuple(LoadSample(n * step_s, rate(n * step_s)) for n in range(count)))


def test_parameters_used_again_foretell_the_same() -> None:
    seen = history(3 * SEASON_S)
    first = forecast(seen, 300.0, SETTINGS)
    assert first is not None
    assert first.season is not None
    assert first.season.at == seen.samples[-1].at
    again = forecast(seen, 300.0, SETTINGS, first.season)
    assert again is not None
    assert again.season == first.season
    assert again.middle_rps == pytest.approx(first.middle_rps, rel=1e-9)
    assert again.rate_rps == pytest.approx(first.rate_rps, rel=1e-6)
    assert first.middle_rps == pytest.approx(rate(3 * SEASON_S + 300.0), rel=0.1)


def test_parameters_of_another_season_are_not_used() -> None:
    first = forecast(history(3 * SEASON_S), 300.0, SETTINGS)
    assert first is not None
    assert first.season is not None
    other = forecast(history(3 * SEASON_S, 60.0), 300.0, SETTINGS, first.season)
    assert other is not None
    assert other.season is not None
    assert other.season.period != first.season.period


def test_parameters_are_old_after_a_while_and_when_clocks_go_back() -> None:
    told = forecast(history(2 * SEASON_S), 300.0, SETTINGS)
    assert told is not None
    assert told.season is not None
    at = told.season.at
    assert not told.season.old(at + 60.0, SETTINGS)
    assert told.season.old(at + SEASON_S / 24, SETTINGS)
    assert told.season.old(at - 1.0, SETTINGS)


def test_seasons_are_looked_for_in_turns() -> None:
    names = [f"server-{index:02d}" for index in range(40)]
    fleet = replace(
        controlled_fleet(), servers=tuple(Server(name, "bulk", "org/chat-8b") for name in names)
    )
    # Few steps a season: what is tried is whose turn it is.
    seen = history(3 * SEASON_S, 300.0)
    at = seen.samples[-1].at
    memory = Memory({name: ServerMemory(history=seen) for name in names})
    loads = {name: MeasuredLoad(Load(rate(at), 400.0, 100.0)) for name in names}
    settings = ControlSettings(forecast=SETTINGS)
    found: list[int] = []
    for _ in range(3):
        told = rates_to_plan(fleet, loads, memory, settings, {}, at)
        assert set(told) == set(names)
        waiting = [each for each in told.values() if each.season is None]
        assert all(each.method is not ForecastMethod.HOLT_WINTERS for each in waiting)
        assert all("in one of the next cycles" in each.reason for each in waiting)
        memory = with_seasons(memory, told)
        found.append(sum(memory.server(name).season is not None for name in names))
    assert found[0] < found[1] < found[2] == 40
    # All of them are of the same age: another round looks for a few again, and forgets none.
    later = at + SEASON_S
    told = rates_to_plan(fleet, loads, memory, settings, {}, later)
    assert all(each.season is not None for each in told.values())
    assert memory_from_text(memory_to_text(memory)).servers == memory.servers


@given(
    st.lists(st.floats(1.0, 400.0), min_size=1, max_size=300),
    st.floats(10.0, 900.0),
    st.floats(0.0, 3600.0),
)
def test_what_is_long_ago_is_kept_thin(gaps: list[float], step_s: float, whole_s: float) -> None:
    keep_s = 20_000.0
    seen, at = LoadHistory(), 0.0
    every: list[LoadSample] = []
    for gap in gaps:
        at += gap
        every.append(LoadSample(at, 1.0))
        seen = seen.with_sample(every[-1], keep_s, whole_s, step_s)
    recent = [each for each in every if each.at >= at - whole_s]
    assert list(seen.samples[-len(recent) :]) == recent
    old = [each.at for each in seen.samples[: -len(recent)]]
    assert all(after - before >= step_s for before, after in itertools.pairwise(old))
    assert seen.samples[0].at >= at - keep_s
    # No more is lost than a step, and a gap of the samples beside.
    if at - every[0].at <= keep_s:
        assert seen.samples[0] == every[0]
        longest = step_s + 2 * max(gaps)
        times = [each.at for each in seen.samples]
        assert all(b - a <= longest for a, b in itertools.pairwise(times))


def test_two_seasons_of_too_few_samples_make_a_simpler_method_tell_it() -> None:
    seen = history(2 * SEASON_S, 300.0)
    told = forecast(seen, 300.0, SETTINGS)
    assert told is not None
    assert told.method is not ForecastMethod.HOLT_WINTERS
    assert period_of(seen, SETTINGS) == "4800 s of history; a season of 8 steps needs 18 of them"


def test_a_loaded_history_is_thinned_at_once() -> None:
    whole = history(6 * SEASON_S)
    after = whole.with_sample(LoadSample(6 * SEASON_S + 30.0, 1.0), 1e9, 600.0, 300.0)
    assert len(after.samples) < 80


def test_histories_on_disk_are_those_in_memory_whatever_was_written_when(tmp_path: Path) -> None:
    world = PlayedWorld(
        controlled_fleet(),
        ControlSettings(),
        [workload("chat", "H100", 2)],
        {"chat": lambda _: 2.0},
    )
    loop = world.loop()
    journal = CycleJournal(tmp_path, 30.0)
    for cycle in range(8):
        loop.cycle()
        world.advance(30.0)
        if cycle != 3:  # one that was never written: the next one makes up for it
            journal.write(world.records[-1], world.memory)
        if cycle == 5:
            journal = CycleJournal(tmp_path, 30.0)
    found = journal.recall()
    assert found.problem == ""
    assert found.memory.servers == world.memory.servers
    assert len(found.memory.server("chat").history.samples) > 4


def test_what_a_history_let_go_of_goes_from_disk_too(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "any.db")) as database:
        samples = LoadSamples(database)
        whole = history(100 * 30.0)
        samples.add(database, Memory({"chat": ServerMemory(history=whole)}))
        samples.kept(Memory({"chat": ServerMemory(history=whole)}))
        count = "SELECT count(*) FROM loads"
        assert database.execute(count).fetchone() == (101,)
        short = Memory({"chat": ServerMemory(history=LoadHistory(whole.samples[-10:]))})
        for _ in range(120):
            samples.add(database, short)
            samples.kept(short)
        assert database.execute(count).fetchone() == (10,)
