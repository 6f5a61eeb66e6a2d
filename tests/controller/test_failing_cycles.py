"""A loop whose cycles fail: it is no healthy one, and lets another one lead."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from controller.exposition import Heartbeat
from controller.journal import CycleJournal
from controller.loop import Loop, Ports
from controller.memory import Memory
from controller.metrics import ControlMetrics
from controller.record import CycleRecord
from stoker.cli.control_wiring import Running, WallClock
from stoker.domain.control.choices import Mode
from stoker.domain.control.settings import ControlSettings, LoopSettings
from tests.support.cli import stoker
from tests.support.control_setup import fleet_document
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload


class FullDisk(PlayedWorld):
    """Records cannot be written while `full`; the loop may lead while it takes part."""

    full = False
    gave_up = 0

    def write(self, record: CycleRecord, memory: Memory) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        super().write(record, memory)

    def step_down(self) -> None:
        self.gave_up += 1

    def loop(self) -> Loop:
        ports = Ports(self, self, self, self, self, self, self, self, step_down=self.step_down)
        return Loop(ports, self.document, self.memory)


@pytest.fixture
def world() -> FullDisk:
    return FullDisk(
        controlled_fleet(),
        ControlSettings(loop=LoopSettings(mode=Mode.ACT)),
        [workload("chat", "H100", 1), workload("code", "H100", 2)],
        {"chat": lambda _: 150.0},
    )


def test_a_leader_whose_cycles_fail_lets_another_one_lead(
    world: FullDisk, caplog: pytest.LogCaptureFixture
) -> None:
    loop = world.loop()
    world.full = True
    with caplog.at_level(logging.CRITICAL):
        loop.run(lambda: False, 4)
        assert (loop.failures, loop.withdrawn, world.gave_up) == (4, False, 0)
        loop.run(lambda: False, 3)
    assert (loop.failures, loop.withdrawn, world.gave_up) == (7, True, 1)
    # It takes part again once a cycle was over well; that one was not its own to act in.
    world.full = False
    loop.run(lambda: False, 1)
    assert not world.records[-1].leader
    assert "No space left" in " ".join(world.records[-1].document["problems"])
    assert (loop.failures, loop.withdrawn) == (0, False)
    loop.run(lambda: False, 1)
    assert world.records[-1].leader


def test_a_lease_that_cannot_be_given_up_ends_no_loop(
    world: FullDisk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused() -> None:
        raise RuntimeError("no answer")

    monkeypatch.setattr(world, "step_down", refused)
    loop = world.loop()
    world.full = True
    loop.run(lambda: False, 6)
    assert loop.failures == 6
    assert "the Lease was not given up" in caplog.text


def test_a_loop_that_observes_alone_has_no_lease_to_give_up(world: FullDisk) -> None:
    """Who takes part in no election goes on to be told as before."""
    world.document = type(world.document)(controlled_fleet(), ControlSettings(), "1")
    loop = world.loop()
    world.full = True
    loop.run(lambda: False, 6)
    world.full = False
    loop.run(lambda: False, 1)
    assert world.records[-1].leader


def test_a_cycle_that_failed_is_no_beat() -> None:
    seconds = [0.0]
    heart = Heartbeat(lambda: seconds[0], 30.0)
    for failures in (0, 0, *range(1, 12)):
        heart.beat(30.0, failed=failures > 0)
        seconds[0] += 30.0
    assert heart.stalled()
    heart.beat(30.0)
    assert not heart.stalled()


class Recorded:
    """What the command tells of each turn: whether its cycle failed."""

    beats: ClassVar[list[bool]] = []

    def __init__(self, *_: object) -> None:
        self.beats.clear()

    def beat(self, period_s: float, *, failed: bool = False) -> None:
        self.beats.append(failed)

    def stalled(self) -> str:
        return ""


def test_the_command_tells_of_cycles_that_fail(
    world: FullDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fleet.yaml").write_text(json.dumps(fleet_document()))
    document = {"version": 1, "kind": "control", "fleet": "fleet.yaml"}
    (tmp_path / "control.yaml").write_text(json.dumps(document))
    told: list[tuple[int, bool]] = []

    def failing(_: ControlMetrics, failures: int, *, withdrawn: bool) -> None:
        told.append((failures, withdrawn))

    @contextmanager
    def wired(*_: object, **__: object) -> Iterator[Running]:
        yield Running(world.loop(), WallClock(), CycleJournal(tmp_path / "records", 1, 1), ())

    monkeypatch.setattr("stoker.cli.control_wiring.wired", wired)
    monkeypatch.setattr("controller.exposition.Heartbeat", Recorded)
    monkeypatch.setattr(ControlMetrics, "failing", failing)
    world.full = True
    result = stoker("control", "run", tmp_path / "control.yaml", "--cycles", 6)
    assert result.exit_code == 0, result.stderr
    assert Recorded.beats[0] is False
    assert set(Recorded.beats[1:]) == {True}
    assert told[0] == (0, False)
    assert told[-1] == (6, True)
