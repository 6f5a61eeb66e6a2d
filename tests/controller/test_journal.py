"""Cycles on disk: whole ones, kept for a while, and a memory that outlives a crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.journal import CycleJournal
from controller.memory import Memory
from controller.recall import RecallError, memory_from_text, memory_to_text
from controller.record import CycleRecord
from stoker.domain.control.settings import ControlSettings, LoopSettings, Mode, StabilitySettings
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload


def played_cycles(count: int) -> PlayedWorld:
    """A world in which chat is on its way to another accelerator."""
    settings = ControlSettings(
        loop=LoopSettings(mode=Mode.ACT), stability=StabilitySettings(cooldown_move_s=0.0)
    )
    world = PlayedWorld(
        controlled_fleet(),
        settings,
        [workload("chat", "H100", 2), workload("chat", "L4", 0)],
        {"chat": lambda _: 2.0},
    )
    loop = world.loop()
    for _ in range(count):
        loop.cycle()
        world.advance(30.0)
    return world


def test_a_memory_reads_back_as_it_was() -> None:
    memory = played_cycles(2).memory
    assert memory.server("chat").transition is not None
    assert memory.startups.seconds
    back = memory_from_text(memory_to_text(memory))
    assert back.servers == memory.servers
    assert back.startups == memory.startups
    assert back.cycles == memory.cycles


@pytest.mark.parametrize("text", ["", "[]", '{"version": 7}', '{"version": 1}'])
def test_what_is_no_memory_is_refused(text: str) -> None:
    with pytest.raises(RecallError):
        memory_from_text(text)


def test_records_come_back_newest_first_and_grow_old(tmp_path: Path) -> None:
    world = played_cycles(4)
    journal = CycleJournal(tmp_path / "records", retention_days=75 / 86_400)
    for record in world.records:
        journal.write(record, world.memory)
    found = journal.last(10)
    assert [each["cycle"] for each in found] == [4, 3, 2]  # 90 seconds are more than 75
    assert journal.cycle(3) == world.records[2].document
    assert journal.cycle(1) is None
    lines = (tmp_path / "records" / "cycles.jsonl").read_text().splitlines()
    assert [json.loads(line)["cycle"] for line in lines] == [1, 2, 3, 4]


def test_a_crash_between_plan_and_act_is_seen_by_the_next_loop(tmp_path: Path) -> None:
    world = played_cycles(2)
    journal = CycleJournal(tmp_path, 30.0)
    journal.write(world.records[0], world.memory)
    journal.intend(world.records[1])
    found = CycleJournal(tmp_path, 30.0).recall()
    assert found.interrupted == world.records[1].document
    assert found.memory.servers == world.memory.servers
    journal.write(world.records[1], world.memory)
    assert CycleJournal(tmp_path, 30.0).recall().interrupted is None


def test_a_memory_of_another_version_is_told_and_left(tmp_path: Path) -> None:
    journal = CycleJournal(tmp_path, 30.0)
    record = CycleRecord(1, 0.0, Mode.ACT, True, "1", None, {"cycle": 1})
    journal.write(record, Memory())
    with journal._database() as database:
        database.execute("UPDATE state SET text = 'x' WHERE name = 'memory'")
    found = journal.recall()
    assert found.memory == Memory()
    assert "begins anew" in found.problem
