"""The faults of what is measured: Prometheus, and pods that do not answer it."""

from __future__ import annotations

from collections.abc import Callable

from emulator.faults import FaultOrder
from tests.support.broken_fleet import CHAT, PERIOD_S, REPLICAS
from tests.support.broken_world import BrokenWorld
from tests.support.fault_campaign import Fault
from tests.support.fault_words import held_metric, holds, server


def _restart_prometheus(world: BrokenWorld) -> None:
    server(world.prometheus.server).start()
    world.prometheus.wait_ready()


def _silence(share: int) -> Callable[[BrokenWorld], None]:
    def begin(world: BrokenWorld) -> None:
        names = tuple(world.pods(CHAT)[:share])
        world.emulated.order(CHAT, FaultOrder({"drop_metrics": True}, replicas=names))

    return begin


def _speak(world: BrokenWorld) -> None:
    world.emulated.order(CHAT, FaultOrder({}, clear=True))


SIGNALS = (
    Fault(
        "Prometheus does not answer, its connections open (SIGSTOP)",
        lambda world: server(world.prometheus.server).pause(),
        lambda world: server(world.prometheus.server).resume(),
        holds("load_unknown"),
        "load_unknown",
        held_metric("load_unknown"),
        "Degraded: chat: load_unknown",
        answerable=BrokenWorld.scraped_whole,
        scrapes=False,
        pace_s=PERIOD_S,
        beside=False,
    ),
    Fault(
        "Prometheus is gone (SIGKILL), and started again",
        lambda world: server(world.prometheus.server).kill(),
        _restart_prometheus,
        holds("load_unknown"),
        "load_unknown",
        held_metric("load_unknown"),
        "Degraded: chat: load_unknown",
        answerable=BrokenWorld.scraped_whole,
        scrapes=False,
        pace_s=PERIOD_S,
        beside=False,
    ),
    Fault(
        "stale metrics: no replica of a server answers scrapes any more",
        _silence(REPLICAS[CHAT]),
        _speak,
        holds("load_unknown"),
        "load_unknown",
        held_metric("load_unknown"),
        "Degraded: chat: load_unknown",
        broken=lambda world: world.silent(CHAT) == REPLICAS[CHAT],
        answerable=BrokenWorld.scraped_whole,
        scrapes=False,
        pace_s=PERIOD_S,
    ),
    Fault(
        "partial metrics: three of five replicas do not answer scrapes",
        _silence(3),
        _speak,
        lambda record: "replicas report" in record["servers"][CHAT]["load_reason"],
        "partial_reports",
        held_metric("partial_reports"),
        "Degraded: chat: partial_reports",
        broken=lambda world: world.silent(CHAT) == 3,
        answerable=BrokenWorld.scraped_whole,
        scrapes=False,
        pace_s=PERIOD_S,
    ),
)
