"""The emulator's iterations and the simulator's give the same times."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, event, given, settings

from emulator.dialect import Dialect, buckets_of
from emulator.engine import IterationLoop
from emulator.fleet import EmulatedFleet
from emulator.meter import Meter
from emulator.replica import ServedModel
from emulator.requests import EmulatedRequest, RequestState
from simulator import (
    Engine,
    GammaArrivals,
    IterationModel,
    LognormalLength,
    Pool,
    Records,
    RequestStatus,
    Router,
    Scenario,
    SeparateLengths,
    simulate,
    tabulate,
)
from simulator.arrivals import ClosedLoop
from stoker.domain.profile import LinearParameters, OverlapParameters, TokenWorkParameters
from tests.support.simulations import scenarios

STATES = {
    RequestState.DONE: RequestStatus.DONE,
    RequestState.TURNED_AWAY: RequestStatus.TURNED_AWAY,
    RequestState.TOO_LARGE: RequestStatus.TOO_LARGE,
}

TABLE = tabulate(
    lambda n, c: 5.0 + 0.21 * n + 0.0011 * n * c,
    lambda x, c: 3.0 + 0.031 * x + 0.0003 * c,
    batches=(1.0, 4.0, 9.0),
    contexts=(50.0, 120.0, 400.0),
    prefill_tokens=(16.0, 100.0, 300.0),
    prefill_contexts=(40.0, 200.0),
    shared_ms=2.0,
)

MODELS: list[IterationModel] = [
    TokenWorkParameters(7.3, 0.021, 0.00071),
    LinearParameters(9.1, 0.31, 3.7, 0.0123),
    OverlapParameters(2.1, 5.3, 0.047, 0.11, 0.00091, 2.3e-5, 0.83, 11.7, 0.17, 0.013),
    TABLE,
]


def requests_of(records: Records, hit_rate: float) -> list[EmulatedRequest]:
    return [
        EmulatedRequest(int(prompt), int(output), min(int(prompt * hit_rate), int(prompt) - 1))
        for prompt, output in zip(records.input_tokens, records.output_tokens, strict=True)
    ]


def compare(records: Records, requests: Sequence[EmulatedRequest]) -> None:
    assert [STATES[one.state] for one in requests] == records.status.tolist()
    assert [one.preemptions for one in requests] == records.preemptions.tolist()
    done = records.status == RequestStatus.DONE
    for name, times, others in (
        ("admitted", [one.admitted_ms for one in requests], records.admitted_ms),
        ("first", [one.first_token_ms for one in requests], records.first_token_ms),
        ("completion", [one.completion_ms for one in requests], records.completion_ms),
    ):
        np.testing.assert_allclose(
            np.array(times)[done], others[done], rtol=1e-9, atol=1e-6, err_msg=name
        )


@settings(max_examples=60)
@given(scenarios())
def test_identical_times_of_one_replica(scenario: Scenario) -> None:
    system = scenario.system
    assume(isinstance(system, Pool) and not isinstance(scenario.arrivals, ClosedLoop))
    assert isinstance(system, Pool)
    alone = Scenario(
        scenario.arrivals,
        scenario.lengths,
        Pool(system.engine),
        scenario.requests,
        scenario.seed,
        scenario.prefix_hit_rate,
    )
    records = simulate(alone, warm_up=0.0, cool_down=0.0).records
    requests = requests_of(records, alone.prefix_hit_rate)
    loop = IterationLoop(system.engine, Meter(buckets_of(Dialect.VLLM, 1000)))
    for request, at_ms in zip(requests, records.arrival_ms, strict=True):
        loop.submit(request, float(at_ms))
    loop.play(math.inf)
    compare(records, requests)
    assert (loop.in_system, loop.memory.used) == (0, 0)
    event(f"preemptions: {any(one.preemptions for one in requests)}")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("router", [Router.ROUND_ROBIN, Router.SHORTEST_QUEUE, Router.LEAST_KV])
def test_identical_times_behind_a_router(router: Router, model: IterationModel) -> None:
    engine = Engine(model, 12, max_queue=20, token_budget=256, kv_tokens=2800)
    lengths = SeparateLengths(LognormalLength(150.5, 1.0), LognormalLength(60, 0.8))
    scenario = Scenario(GammaArrivals(25.0, 1.5), lengths, Pool(engine, 2, router), 300, seed=3)
    records = simulate(scenario, warm_up=0.0, cool_down=0.0).records
    fleet = EmulatedFleet(ServedModel("m", engine), router=router)
    fleet.set_replicas(2, 0.0)
    requests = requests_of(records, 0.0)
    for request, at_ms in zip(requests, records.arrival_ms, strict=True):
        fleet.submit(request, float(at_ms))
    fleet.advance(1e12)
    compare(records, requests)
    assert sum(one.preemptions for one in requests) > 0
    names = [replica.name for replica in fleet.replicas]
    taken = [names.index(one.replica) for one in requests if one.state is RequestState.DONE]
    assert taken == records.replica[records.status == RequestStatus.DONE].tolist()


def test_time_may_pass_in_steps_of_any_size() -> None:
    """What a clock that ticks now and then shows is what one long leap shows."""
    engine = Engine(MODELS[0], 12, token_budget=256, kv_tokens=2000)
    lengths = SeparateLengths(LognormalLength(150.5, 1.0), LognormalLength(60, 0.8))
    scenario = Scenario(GammaArrivals(12.0, 1.5), lengths, Pool(engine), 200, seed=5)
    records = simulate(scenario, warm_up=0.0, cool_down=0.0).records
    requests = requests_of(records, 0.0)
    loop = IterationLoop(engine, Meter(buckets_of(Dialect.VLLM, 1000)))
    ticks = np.random.default_rng(1).uniform(0.0, records.arrival_ms[-1], 3000)
    calls: list[tuple[float, EmulatedRequest | None]] = [(float(at), None) for at in ticks]
    calls += list(zip(records.arrival_ms.tolist(), requests, strict=True))
    for at_ms, request in sorted(calls, key=lambda call: call[0]):
        if request is None:
            loop.play(at_ms)
            loop.begin()
        else:
            loop.submit(request, at_ms)
    loop.play(1e12)
    compare(records, requests)
