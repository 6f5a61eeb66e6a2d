"""Replicas that come, serve, go wrong and go, on a clock that the test keeps."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from emulator.dialect import Dialect
from emulator.faults import FaultOrder, read_order
from emulator.fleet import EmulatedFleet
from emulator.replica import ReplicaState, ServedModel
from emulator.requests import EmulatedRequest, RequestState
from simulator import Engine
from stoker.domain.errors import InvalidInputError
from stoker.domain.profile import TokenWorkParameters
from stoker.domain.routing import Router

ENGINE = Engine(TokenWorkParameters(10.0, 0.0, 0.0), 4, kv_tokens=1600)
START_MS = 60_000.0


def fleet_of(
    replicas: int = 0, *, hold: bool = True, drain_ms: float | None = None
) -> EmulatedFleet:
    served = ServedModel("org/Model", ENGINE, startup_ms=START_MS, drain_ms=drain_ms)
    fleet = EmulatedFleet(served, hold=hold)
    fleet.set_replicas(replicas, 0.0)
    return fleet


def names(fleet: EmulatedFleet, state: ReplicaState) -> list[str]:
    return [replica.name for replica in fleet.replicas if replica.state is state]


def test_replicas_take_their_time_to_start() -> None:
    fleet = fleet_of(2)
    fleet.advance(START_MS - 1)
    assert (fleet.wanted, fleet.ready) == (2, 0)
    assert fleet.next_ms() == START_MS
    fleet.advance(START_MS)
    assert names(fleet, ReplicaState.READY) == ["org-model-1", "org-model-2"]


def test_requests_are_held_until_a_replica_is_there() -> None:
    fleet = fleet_of(1)
    requests = [EmulatedRequest(10, 2) for _ in range(6)]
    for index, request in enumerate(requests):
        fleet.submit(request, 1000.0 * index)
    assert (fleet.held, fleet.in_system) == (6, 6)
    fleet.advance(1e6)
    assert [one.state for one in requests] == [RequestState.DONE] * 6
    assert requests[0].first_token_ms == START_MS + 10.0
    assert requests[0].ttft_ms == START_MS + 10.0
    assert requests[1].arrival_ms == START_MS
    assert b'attempts_total{status="success",target_model_name="org/Model"} 6.0' in (
        fleet.gateway_metrics(1e6)
    )


def test_without_holding_they_are_refused() -> None:
    fleet = fleet_of(1, hold=False)
    request = EmulatedRequest(10, 2)
    fleet.submit(request, 0.0)
    assert request.state is RequestState.REFUSED


def test_fewer_replicas_drain_and_lose_nothing() -> None:
    fleet = fleet_of(3)
    fleet.advance(START_MS)
    requests = [EmulatedRequest(10, 50) for _ in range(9)]
    for request in requests:
        fleet.submit(request, START_MS)
    fleet.set_replicas(1, START_MS + 5)
    assert len(names(fleet, ReplicaState.DRAINING)) == 2
    late = EmulatedRequest(10, 1)
    fleet.submit(late, START_MS + 20)
    assert late.replica == names(fleet, ReplicaState.READY)[0]
    fleet.advance(1e6)
    assert {one.state for one in requests} == {RequestState.DONE}
    assert len(fleet.replicas) == 1


def test_what_still_starts_goes_first() -> None:
    fleet = fleet_of(2)
    fleet.advance(START_MS)
    fleet.set_replicas(4, START_MS)
    fleet.set_replicas(2, START_MS + 10)
    assert names(fleet, ReplicaState.READY) == ["org-model-1", "org-model-2"]
    assert len(fleet.replicas) == 2


def test_a_drain_has_an_end() -> None:
    fleet = fleet_of(1, drain_ms=100.0)
    fleet.advance(START_MS)
    request = EmulatedRequest(10, 50)
    fleet.submit(request, START_MS)
    fleet.set_replicas(0, START_MS)
    fleet.advance(1e6)
    assert (request.state, request.completion_ms) == (RequestState.FAILED, START_MS + 100.0)


@pytest.mark.parametrize("router", Router)
def test_every_router_uses_every_replica(router: Router) -> None:
    fleet = EmulatedFleet(ServedModel("m", ENGINE), router=router)
    fleet.set_replicas(3, 0.0)
    requests = [EmulatedRequest(10, 20) for _ in range(30)]
    for index, request in enumerate(requests):
        fleet.submit(request, float(index))
    assert {one.replica for one in requests} == {"m-1", "m-2", "m-3"}


def test_names_are_those_that_are_given() -> None:
    fleet = fleet_of()
    fleet.add_replica(0.0, "pod-a", startup_ms=0.0)
    with pytest.raises(ValueError, match="pod-a"):
        fleet.add_replica(0.0, "pod-a")
    assert fleet.ready == 1
    fleet.remove_replica("pod-a", 1.0)
    fleet.remove_replica("pod-a", 2.0)
    assert fleet.replicas == []


def test_a_crash_starts_again_with_counters_at_zero() -> None:
    fleet = fleet_of(1)
    fleet.advance(START_MS)
    request = EmulatedRequest(10, 500)
    fleet.submit(request, START_MS)
    fleet.advance(START_MS + 100)
    fleet.order(FaultOrder({}, crash=True), START_MS + 100)
    (replica,) = fleet.replicas
    assert request.state is RequestState.FAILED
    assert (replica.state, replica.restarts) == (ReplicaState.STARTING, 1)
    assert replica.metrics(START_MS + 200) is None
    fleet.advance(2 * START_MS + 100)
    assert replica.accepts
    text = replica.metrics(2 * START_MS + 100)
    assert text is not None
    assert b'vllm:generation_tokens_total{engine="0",model_name="org/Model"} 0.0' in text


def test_faults_end_by_themselves() -> None:
    fleet = fleet_of(1)
    fleet.advance(START_MS)
    fleet.order(read_order({"latency_factor": 4, "for_s": 1}), START_MS)
    first, second = EmulatedRequest(10, 3), EmulatedRequest(10, 3)
    fleet.submit(first, START_MS)
    fleet.submit(second, START_MS + 2000)
    fleet.advance(1e6)
    assert (first.e2e_ms, second.e2e_ms) == (120.0, 30.0)


def test_errors_and_missing_metrics() -> None:
    fleet = fleet_of(1)
    fleet.advance(START_MS)
    (replica,) = fleet.replicas
    fleet.order(read_order({"error_rate": 0.5, "drop_names": ["vllm:kv_"]}), START_MS)
    requests = [EmulatedRequest(10, 1) for _ in range(200)]
    for index, request in enumerate(requests):
        fleet.submit(request, START_MS + 20.0 * index)
    fleet.advance(1e6)
    failed = sum(one.state is RequestState.FAILED for one in requests)
    assert 60 < failed < 140
    text = replica.metrics(1e6)
    assert text is not None
    assert b"kv_cache_usage" not in text
    assert b"num_requests_running" in text
    fleet.order(read_order({"clear": True, "drop_metrics": True}), 1e6)
    assert replica.metrics(1e6) is None
    assert replica.faults.error_rate == 0.0


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("dialect", list(Dialect))
def test_no_series_is_told_twice(dialect: Dialect, older: bool) -> None:
    fleet = EmulatedFleet(ServedModel("m", ENGINE, dialect, older_names=older, drain_ms=0.0))
    fleet.set_replicas(2, 0.0)
    fleet.order(read_order({"error_rate": 0.5}), 0.0)
    requests = [EmulatedRequest(10, 5) for _ in range(40)]
    for index, request in enumerate(requests):
        fleet.submit(request, 10.0 * index)
    for request in requests[-6:]:
        fleet.abort(request, 400.0)
    fleet.advance(1e6)
    pages = [replica.metrics(1e6) for replica in fleet.replicas] + [fleet.gateway_metrics(1e6)]
    for page in pages:
        assert page is not None
        families = list(text_string_to_metric_families(page.decode()))
        names = [family.name for family in families]
        series = [
            (sample.name, tuple(sorted(sample.labels.items())))
            for family in families
            for sample in family.samples
        ]
        assert len(names) == len(set(names)) > 0
        assert len(series) == len(set(series)) > 0


def test_sglang_counts_who_gives_up_in_the_queue_as_aborted_alone() -> None:
    fleet = EmulatedFleet(ServedModel("m", ENGINE, Dialect.SGLANG))
    fleet.set_replicas(1, 0.0)
    requests = [EmulatedRequest(10, 50) for _ in range(6)]
    for request in requests:
        fleet.submit(request, 0.0)
    for request in (requests[0], requests[5]):  # of a batch of four
        fleet.abort(request, 100.0)
    fleet.advance(1e6)
    text = fleet.replicas[0].metrics(1e6)
    assert text is not None
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }
    assert found["sglang:num_aborted_requests_total"] == 2
    assert found["sglang:num_requests_total"] == 5


def test_a_slow_start() -> None:
    fleet = fleet_of(1)
    fleet.order(read_order({"startup_factor": 3}), 10.0)
    fleet.advance(2 * START_MS)
    assert fleet.ready == 0
    fleet.advance(3 * START_MS)
    assert fleet.ready == 1


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([], "object"),
        ({"latency": 2}, "latency: is unknown"),
        ({"latency_factor": 0}, "latency_factor"),
        ({"error_rate": 1.5}, "error_rate"),
        ({"freeze": 1}, "freeze"),
        ({"drop_names": "vllm"}, "drop_names"),
        ({"for_s": 0}, "for_s"),
        ({"replicas": [1]}, "replicas"),
        ({"crash": "yes"}, "crash"),
    ],
)
def test_orders_that_are_refused(document: object, named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        read_order(document)


def test_faults_of_a_replica_that_is_not_there() -> None:
    with pytest.raises(InvalidInputError, match="org-model-1"):
        fleet_of(1).order(read_order({"freeze": True, "replicas": ["x"]}), 0.0)
