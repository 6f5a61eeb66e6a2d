"""A loop in memory with records on disk, and the REST service of its desk on a real address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from api.control.app import create_control_app
from controller.desk import Desk
from controller.exposition import exposition_of
from controller.journal import CycleJournal
from controller.loop import Loop, Ports
from controller.metrics import ControlMetrics
from controller.record import CycleRecord
from stoker.cli.serve import serving
from stoker.domain.control.choices import Mode
from stoker.domain.control.settings import ControlSettings, LoopSettings, StabilitySettings
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload

CHAT, CODE = "chat", "code"
CHAT_WORKLOAD = workload(CHAT, "H100", 1)
CODE_WORKLOAD = workload(CODE, "H100", 2)


@dataclass
class DeskWorld:
    """A loop whose world is in memory, and whose records are on disk."""

    world: PlayedWorld
    journal: CycleJournal
    loop: Loop
    desk: Desk
    metrics: ControlMetrics
    woken: list[float]

    def cycle(self) -> CycleRecord:
        """Run a cycle, and let a period pass."""
        record = self.loop.cycle()
        self.world.advance(30.0)
        return record

    def set_mode(self, mode: Mode) -> None:
        settings = self.world.document.settings
        loop = replace(settings.loop, mode=mode)
        self.world.document = replace(self.world.document, settings=replace(settings, loop=loop))

    def chat(self) -> int:
        return self.world.wanted(CHAT_WORKLOAD.ref)


def desk_world(folder: Path, mode: Mode = Mode.ADVISE, rate: float = 150.0) -> DeskWorld:
    """A fleet of two servers: chat needs more than it has, the load of code is unknown."""
    settings = ControlSettings(
        loop=LoopSettings(mode=mode), stability=StabilitySettings(cooldown_up_s=0.0)
    )
    world = PlayedWorld(
        controlled_fleet(), settings, [CHAT_WORKLOAD, CODE_WORKLOAD], {CHAT: lambda _: rate}
    )
    journal = CycleJournal(folder, 30.0)
    metrics = ControlMetrics(compatible=True)
    woken: list[float] = []
    ports = Ports(
        world,
        world,
        world,
        world,
        world,
        journal,
        journal,
        world,
        metrics.told,
        lambda: journal.orders.paused() is not None,
    )
    desk = Desk(journal, world.now, lambda: woken.append(world.time))
    return DeskWorld(
        world, journal, Loop(ports, world.document, world.memory), desk, metrics, woken
    )


@contextmanager
def served(
    of: DeskWorld, token: Callable[[], str] | None = None, stalled: Callable[[], str] = lambda: ""
) -> Iterator[httpx.Client]:
    """Serve its desk on the loopback; yields a client."""
    app = create_control_app(of.desk, exposition_of(of.metrics), token=token, stalled=stalled)
    with (
        serving(app, "127.0.0.1", 0) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60.0, trust_env=False) as client,
    ):
        yield client


def json_of(answer: httpx.Response, status: int = 200) -> Any:
    """Return what was answered, which must have this status."""
    assert answer.status_code == status, answer.text
    return answer.json()
