"""Cycles on disk: whole ones, kept for a while, and a memory that outlives a crash."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from controller.journal import DATABASE, CycleJournal
from controller.lines import NAME as LINES
from controller.lines import Lines
from controller.memory import Memory
from controller.recall import RecallError, memory_from_text, memory_to_text
from stoker.domain.control.choices import Mode
from stoker.domain.control.settings import ControlSettings, LoopSettings, StabilitySettings
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
    memory = played_cycles(3).memory
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
    journal.write(played_cycles(1).records[0], Memory())
    with closing(sqlite3.connect(tmp_path / DATABASE)) as database, database:
        database.execute("UPDATE state SET text = 'x' WHERE name = 'memory'")
    found = journal.recall()
    assert found.memory == Memory()
    assert "begins anew" in found.problem


def test_the_database_and_the_lines_stay_within_their_size(tmp_path: Path) -> None:
    world = played_cycles(1)
    record = world.records[0]
    journal = CycleJournal(tmp_path, retention_days=30.0, retention_mb=0.2)
    for cycle in range(1, 121):
        document = {**record.document, "cycle": cycle, "filling": random_text(cycle)}
        at = record.at + 30.0 * cycle
        journal.write(replace(record, cycle=cycle, at=at, document=document), world.memory)
    kept = journal.archive.page(1000)
    assert 5 < len(kept) < 120  # the oldest went
    assert [each.document["cycle"] for each in kept] == list(range(120, 120 - len(kept), -1))
    assert journal.last()[0]["filling"] == random_text(120)
    assert (tmp_path / DATABASE).stat().st_size < 300_000
    files = sorted(tmp_path.glob("cycles*.jsonl"))
    assert len(files) > 2
    assert sum(each.stat().st_size for each in files) <= 200_000
    lines = [json.loads(line) for each in files for line in each.read_text().splitlines()]
    cycles = [line["cycle"] for line in sorted(lines, key=lambda line: int(line["cycle"]))]
    assert cycles == list(range(cycles[0], 121))  # none is missing but the oldest


def random_text(seed: int) -> str:
    """Text that no compression makes short."""
    return random.Random(seed).randbytes(2000).hex()


def test_full_files_of_lines_grow_old(tmp_path: Path) -> None:
    lines = Lines(tmp_path, retention_s=100.0, most_bytes=80.0)
    for second in range(0, 300, 50):
        lines.add("x" * 9, 1_000_000.0 + second)
    kept = {each.name for each in tmp_path.glob("*.jsonl")}
    # A file of ten bytes is full; what was set aside more than 100 seconds ago is gone.
    assert kept == {
        f"cycles-19700112T{clock}000000Z.jsonl" for clock in ("134910", "135000", "135050")
    }


def test_half_a_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    lines = Lines(tmp_path, retention_s=100.0, most_bytes=1e6)
    lines.add('{"cycle": 1}', 0.0)
    with (tmp_path / LINES).open("a") as file:
        file.write('{"cycle": 2, "cut o')
    lines.add('{"cycle": 3}', 0.0)
    first, _, last = (tmp_path / LINES).read_text().splitlines()
    assert [json.loads(first), json.loads(last)] == [{"cycle": 1}, {"cycle": 3}]


def test_readers_see_whole_cycles_while_the_loop_writes(tmp_path: Path) -> None:
    world = played_cycles(2)
    writer = CycleJournal(tmp_path, 30.0)
    writer.write(world.records[0], world.memory)
    wrong: list[str] = []
    done = threading.Event()

    def read() -> None:
        reader = CycleJournal(tmp_path, 30.0)
        seen = 0
        while not done.is_set():
            try:
                (found,) = reader.last()
                page = reader.archive.page(5)
            except OSError as error:
                wrong.append(str(error))
                return
            if found["servers"] != world.records[0].document["servers"] or not page:
                wrong.append("half a cycle")
            seen += 1

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for cycle in range(2, 25):
        document = {**world.records[0].document, "cycle": cycle}
        writer.write(replace(world.records[0], cycle=cycle, document=document), world.memory)
    done.set()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def test_a_writer_that_is_killed_leaves_whole_cycles(tmp_path: Path) -> None:
    world = played_cycles(1)
    CycleJournal(tmp_path, 30.0).write(world.records[0], world.memory)
    # A transaction that is begun and never ended, by a process that dies of it.
    code = (
        "import os, sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1])\n"
        "database.execute('DELETE FROM cycles')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / DATABASE)]
    assert subprocess.run(command, timeout=120, check=False).returncode == -9
    journal = CycleJournal(tmp_path, 30.0)
    assert journal.last() == (world.records[0].document,)
    journal.write(world.records[0], world.memory)


def test_a_damaged_database_is_set_aside_by_the_loop_and_left_by_readers(tmp_path: Path) -> None:
    world = played_cycles(1)
    CycleJournal(tmp_path, 30.0).write(world.records[0], world.memory)
    path = tmp_path / DATABASE
    path.write_bytes(b"no database at all, but long enough to be one" * 100)
    with pytest.raises(OSError, match="not a database"):
        CycleJournal(tmp_path, 30.0)
    journal = CycleJournal(tmp_path, 30.0, mend=True)
    found = journal.recall()
    assert found.memory == Memory()
    assert "set aside as history.db.damaged-1" in found.problem
    assert (tmp_path / "history.db.damaged-1").exists()
    journal.write(world.records[0], world.memory)
    assert journal.last() == (world.records[0].document,)


def test_records_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    world = played_cycles(1)
    document = {
        key: value
        for key, value in world.records[0].document.items()
        if key not in ("paused", "proposal")
    }
    with closing(sqlite3.connect(tmp_path / DATABASE)) as database, database:
        database.execute(
            "CREATE TABLE cycles (id INTEGER PRIMARY KEY, cycle INTEGER NOT NULL, at REAL NOT NULL,"
            " mode TEXT NOT NULL, leader INTEGER NOT NULL, took_s REAL, document TEXT NOT NULL)"
        )
        database.execute(
            "INSERT INTO cycles (cycle, at, mode, leader, document) VALUES (1, 0, 'act', 1, ?)",
            (json.dumps(document),),
        )
    journal = CycleJournal(tmp_path, 30.0)
    assert journal.last() == (document,)
    (page,) = journal.archive.page(10)
    assert page.document["changes"] == document["changes"]
    journal.write(world.records[0], world.memory)
    assert len(journal.archive.page(10)) == 2
