"""The faults of the API server: gone, silent, slow, and somebody else who writes to it."""

from __future__ import annotations

import threading
from typing import Any

import kubernetes

from demos.cluster.closed_loop import NAMESPACE
from demos.cluster.processes import ServerFailedError
from tests.support.broken_fleet import CHAT, PERIOD_S
from tests.support.broken_world import BrokenWorld
from tests.support.fault_campaign import Fault, acted, outcomes
from tests.support.fault_words import held_metric, holds, problem_metric, server


class _Rival:
    """Somebody else who keeps writing the suffering server's Deployment."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, world: BrokenWorld) -> None:
        world.detour.delay_s = 0.3  # so that somebody else writes between any read and its write
        self._ended.clear()
        self._thread = threading.Thread(target=self._write, args=(world,), daemon=True)
        self._thread.start()

    def end(self, world: BrokenWorld) -> None:
        self._ended.set()
        assert self._thread is not None
        self._thread.join()
        world.detour.delay_s = 0.0

    def _write(self, world: BrokenWorld) -> None:
        apps: Any = kubernetes.client.AppsV1Api(world.plane.client())
        count = 0
        while not self._ended.wait(0.02):
            count += 1
            body = {"metadata": {"annotations": {"example.com/written": str(count)}}}
            apps.patch_namespaced_deployment(CHAT, NAMESPACE, body)


_RIVAL = _Rival()


def _slow(world: BrokenWorld) -> None:
    world.detour.delay_s = 2.0


def _fast(world: BrokenWorld) -> None:
    world.detour.delay_s = 0.0


def _gone(world: BrokenWorld) -> None:
    server(world.plane.api_server).kill()
    world.detour.refuse()


def _back(world: BrokenWorld) -> None:
    """Start it again; the loop goes on all the while that it takes to start."""
    server(world.plane.api_server).start()
    world.detour.pass_on()
    world.until(lambda _: _answers(world))


def _answers(world: BrokenWorld) -> bool:
    try:
        world.plane.wait_ready(0.0)
    except ServerFailedError:
        return False
    return True


API_SERVER = (
    Fault(
        "the API server does not answer (SIGSTOP)",
        lambda world: server(world.plane.api_server).pause(),
        lambda world: server(world.plane.api_server).resume(),
        holds("state_unknown"),
        "state_unknown",
        held_metric("state_unknown"),
        "Recovered: chat",
        beside=False,
        pace_s=PERIOD_S,
    ),
    Fault(
        "the API server is gone (SIGKILL: connections refused, watches lost), and started again",
        _gone,
        _back,
        holds("state_unknown"),
        "state_unknown",
        held_metric("state_unknown"),
        "Recovered: chat",
        beside=False,
        pace_s=PERIOD_S,
    ),
    Fault(
        "the API server is slow: each answer comes two seconds late",
        _slow,
        _fast,
        lambda record: not record["leader"],
        "Lease stoker/stoker: no answer",
        problem_metric("lease"),
        "Recovered: chat",
        beside=False,
        pace_s=PERIOD_S,
    ),
    Fault(
        "conflicts: somebody else writes the Deployment between every read and write (HTTP 409)",
        _RIVAL.begin,
        _RIVAL.end,
        lambda record: "conflict" in outcomes(record),
        "(conflict)",
        'stoker_changes_total{outcome="conflict"}',
        "ScalingConflict: chat",
        as_ever=acted,
        late=True,
    ),
)
