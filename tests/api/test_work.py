"""Computations beside the event loop: bounds, limits, and a loop that stays free."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import pytest

from api import examples
from api.problems import RequestRefusedError
from api.store import SystemStore
from api.system_state import SystemState, with_capacity
from api.work import WorkGate
from data.inferno import InfernoCount
from optimizer.planner import plan_fleet
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.settings import OptimizerSettings
from tests.support.rest import rest_client

PATIENCE_S = 20.0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class HeldPlanner:
    """A planner that waits for leave."""

    def __init__(self) -> None:
        self.leave = Event()
        self.running = 0
        self.most = 0

    def __call__(self, fleet: Fleet, settings: OptimizerSettings, /) -> Plan:
        self.running += 1
        self.most = max(self.most, self.running)
        assert self.leave.wait(PATIENCE_S)
        self.running -= 1
        return plan_fleet(fleet, settings)


def test_health_is_answered_during_a_solve() -> None:
    planner = HeldPlanner()
    with rest_client(planner=planner) as client, ThreadPoolExecutor(1) as others:
        solve = others.submit(client.post, "/v1/plan", json=examples.FLEET)
        wait_until(lambda: planner.running == 1)
        assert client.get("/health").status_code == 200
        assert client.get("/getServers").status_code == 200
        assert "stoker_solves_in_flight 1.0" in client.get("/metrics").text
        assert not solve.done()
        planner.leave.set()
        assert solve.result(PATIENCE_S).status_code == 200


def test_solves_are_few_at_a_time_and_the_rest_is_turned_away() -> None:
    planner = HeldPlanner()
    with (
        rest_client(planner=planner, max_concurrent_solves=1) as client,
        ThreadPoolExecutor(12) as others,
    ):
        solves = [others.submit(client.post, "/v1/plan", json=examples.FLEET) for _ in range(11)]
        wait_until(lambda: sum(solve.done() for solve in solves) == 2)
        refused = [solve.result() for solve in solves if solve.done()]
        planner.leave.set()
        served = [
            solve.result(PATIENCE_S)
            for solve in solves
            if solve.result(PATIENCE_S).status_code == 200
        ]
    assert len(served) == 9
    assert planner.most == 1
    for answer in refused:
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["type"] == "urn:stoker:problem:overloaded"


def test_no_plan_within_the_time_limit_is_told() -> None:
    def out_of_time(fleet: Fleet, settings: OptimizerSettings, /) -> Plan:
        plan = plan_fleet(fleet, settings)
        return replace(plan, status=PlanStatus.TIME_LIMIT, allocations=())

    with rest_client(planner=out_of_time, time_limit_s=9.0) as client:
        for path, body in (("/v1/plan", examples.FLEET), ("/optimizeOne", examples.SYSTEM)):
            answer = client.post(path, json=body)
            assert answer.status_code == 504
            assert "9 s" in answer.json()["message"]
        assert "desiredAlloc" not in client.get("/getServers").json()["servers"][0]
        hurried = client.post("/v1/plan", json=examples.FLEET, params={"time_limit_s": "0.5"})
        assert hurried.status_code == 422
        assert "0.5 s" in hurried.json()["message"]


def test_a_computation_that_takes_too_long_keeps_its_place() -> None:
    leave = Event()
    gate = WorkGate("test", at_once=1, waiting=1, limit_s=0.05)

    async def run() -> list[int]:
        async def refused(work: Callable[[], object]) -> int:
            with pytest.raises(RequestRefusedError) as caught:
                await gate.run(work)
            return int(caught.value.status)

        too_long = await refused(lambda: leave.wait(PATIENCE_S))
        still_held = gate.held
        no_turn = await refused(lambda: None)
        return [too_long, still_held, no_turn]

    assert asyncio.run(run()) == [504, 1, 503]
    leave.set()
    wait_until(lambda: gate.held == 0)
    gate.close()


def test_a_gate_returns_and_raises_what_the_work_does() -> None:
    gate = WorkGate("test", at_once=1, waiting=1, limit_s=PATIENCE_S)

    async def run() -> None:
        assert await gate.run(lambda: 42) == 42
        with pytest.raises(ZeroDivisionError):
            await gate.run(lambda: 1 / 0)

    asyncio.run(run())
    assert gate.held == 0
    gate.close()


def test_concurrent_changes_are_all_kept() -> None:
    store = SystemStore()
    names = [f"type-{number}" for number in range(400)]

    def add(name: str) -> None:
        def change(state: SystemState) -> tuple[SystemState, None]:
            time.sleep(0)
            return with_capacity(state, [InfernoCount(type=name, count=1)]), None

        store.update(change)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, names))
    assert sorted(store.snapshot().capacity) == sorted(names)


def test_a_snapshot_never_changes_and_a_failed_change_leaves_nothing() -> None:
    store = SystemStore()
    before = store.snapshot()
    count = InfernoCount(type="A100", count=1)
    store.update(lambda state: (with_capacity(state, [count]), None))
    assert (before.capacity, dict(store.snapshot().capacity)) == ({}, {"A100": count})

    def failing(state: SystemState) -> tuple[SystemState, None]:
        with_capacity(state, [InfernoCount(type="B", count=1)])
        raise KeyError("no")

    with pytest.raises(KeyError):
        store.update(failing)
    assert set(store.snapshot().capacity) == {"A100"}
