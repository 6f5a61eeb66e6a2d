"""Service models that reduce the chain to the classical queues, and the naive solver."""

from __future__ import annotations

import math

import numpy as np
import pytest

from queueing.cases import ReplicaCases
from queueing.replica import analyze, state_distribution
from queueing.service import LinearService, ServiceTimeModel, TokenWorkService
from queueing.sizing import LatencyTargets, size
from tests.support import naive_queue

TAU_MS = 100.0


def servers(count: int, queue: float, servers_busy_alone: bool = True) -> ReplicaCases:
    """K = 2 with no input: τ is α (each request has its own server), or β·n (one is shared)."""
    alpha, beta = (TAU_MS, 0.0) if servers_busy_alone else (0.0, TAU_MS)
    return ReplicaCases.of(LinearService.of(alpha, beta, 0.0, 0.0), 0.0, 2.0, count, queue)


@pytest.mark.parametrize("rho", [0.01, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("batch", [1, 7])
def test_m_m_1(rho: float, batch: int) -> None:
    """A replica with τ(n) proportional to n serves like one server, whatever its batch limit."""
    point = analyze(servers(batch, 1e6, servers_busy_alone=False), 1000 * rho / TAU_MS)
    assert point.mean_in_system[0] == pytest.approx(rho / (1 - rho), rel=1e-9)
    assert point.response_ms[0] == pytest.approx(TAU_MS / (1 - rho), rel=1e-9)
    assert point.empty_probability[0] == pytest.approx(1 - rho, rel=1e-9)


@pytest.mark.parametrize("rho", [0.05, 0.6, 0.95])
@pytest.mark.parametrize("c", [1, 2, 9, 60])
def test_m_m_c(rho: float, c: int) -> None:
    """Erlang's delay formula."""
    load = rho * c
    terms = [load**k / math.factorial(k) for k in range(c)]
    last = load**c / math.factorial(c) / (1 - rho)
    delayed = last / (sum(terms) + last)
    point = analyze(servers(c, 1e7), 1000 * load / TAU_MS)
    assert point.mean_in_queue[0] == pytest.approx(delayed * rho / (1 - rho), rel=1e-9)
    assert point.wait_ms[0] == pytest.approx(delayed * TAU_MS / (c - load), rel=1e-9)
    assert point.mean_in_service[0] == pytest.approx(load, rel=1e-12)


@pytest.mark.parametrize("load", [0.1, 5.0, 12.0, 80.0])
@pytest.mark.parametrize(("c", "queue"), [(1, 0), (5, 0), (12, 0), (1, 4), (5, 30), (12, 1)])
def test_m_m_c_k(load: float, c: int, queue: int) -> None:
    """Erlang's loss formula (no queue), and M/M/c/K."""
    weights = [
        load**n / math.factorial(min(n, c)) / c ** max(n - c, 0) for n in range(c + queue + 1)
    ]
    p = np.array(weights) / sum(weights)
    point = analyze(servers(c, queue), 1000 * load / TAU_MS)
    assert point.blocking[0] == pytest.approx(p[-1], rel=1e-12)
    assert point.mean_in_queue[0] == pytest.approx(
        sum((n - c) * p[n] for n in range(c, len(p))), rel=1e-10, abs=1e-14
    )
    assert point.throughput_rps[0] == pytest.approx(10 * load * (1 - p[-1]), rel=1e-12)
    np.testing.assert_allclose(state_distribution(servers(c, queue), 0, 10 * load), p, rtol=1e-10)


@pytest.mark.parametrize("offset", [0.0, 1e-15, -1e-12, 1e-9, -1e-6, 3e-5, -1e-4, 1e-3, -0.05, 2.0])
@pytest.mark.parametrize("queue", [1, 2, 9, 1000])
def test_geometric_tail_near_and_far_from_balance(offset: float, queue: int) -> None:
    """ρ = 1 + offset: the closed form against the plain sum, where it cancels and where not."""
    rho = 1.0 + offset
    powers = np.array([rho ** (k - max(queue, 0) * (rho > 1)) for k in range(-1, queue + 1)])
    p = powers / math.fsum(powers)  # states 0 (empty), 1 (served), 2.. (waiting) of M/M/1/K
    point = analyze(servers(1, queue), 1000 * rho / TAU_MS)
    expected = math.fsum(k * p[k + 1] for k in range(queue + 1))
    assert point.mean_in_queue[0] == pytest.approx(expected, rel=1e-10)
    assert point.blocking[0] == pytest.approx(p[-1], rel=1e-10)


@pytest.mark.parametrize("queue", [1e9, 1e15, 1e30])
def test_endless_queue_in_overload_is_full(queue: float) -> None:
    point = analyze(servers(3, queue), 300.0)
    assert point.valid[0]
    assert point.throughput_rps[0] == pytest.approx(30.0, rel=1e-12)
    assert point.mean_in_queue[0] == pytest.approx(queue, rel=1e-6)


MODELS = [
    ((8.0, 0.03, 0.0003), 256.0, 128.0, 16, 32),
    ((8.0, 0.03, 0.0003), 3000.0, 16.0, 64, 5),  # the chunk count jumps
    ((0.0, 0.5, 0.0), 20000.0, 3.0, 4, 0),  # more than one chunk at every batch
    ((19.0, 0.0, 0.0), 0.0, 100.0, 1, 0),
    ((5.355, 0.03816, 0.0006867), 246.0, 3.0, 47, 2),
]


@pytest.mark.parametrize(("parameters", "inputs", "outputs", "limit", "queue"), MODELS)
@pytest.mark.parametrize("share", [0.001, 0.3, 0.9, 1.0, 4.0])
@pytest.mark.parametrize("generation", ["linear", "token-work"])
def test_agrees_with_the_naive_solver(
    parameters: tuple[float, float, float],
    inputs: float,
    outputs: float,
    limit: int,
    queue: int,
    share: float,
    generation: str,
) -> None:
    service: ServiceTimeModel
    naive: naive_queue.NaiveService
    if generation == "linear":
        service = LinearService.of(*parameters, 0.01)
        naive = naive_queue.NaiveLinear(*parameters, 0.01, inputs, outputs)
    else:
        service = TokenWorkService.of(*parameters)
        naive = naive_queue.NaiveTokenWork(*parameters, inputs, outputs)
    replica = ReplicaCases.of(service, inputs, outputs, limit, queue)
    rate = share * naive_queue.rate_range(naive, limit)[1]
    point = analyze(replica, rate)
    expected = naive_queue.solve(naive, limit, queue, rate)
    for ours, theirs in (
        (point.throughput_rps, expected.throughput_rps),
        (point.blocking, expected.blocking),
        (point.wait_ms, expected.wait_ms),
        (point.service_ms, expected.service_ms),
        (point.mean_in_service, expected.in_service),
        (point.mean_in_queue, expected.in_queue),
        (point.prefill_ms, expected.prefill_ms),
        (point.itl_ms, expected.itl_ms),
        (point.ttft_ms, expected.ttft_ms),
        (point.empty_probability, expected.probabilities[0]),
    ):
        assert ours[0] == pytest.approx(theirs, rel=1e-9, abs=1e-200)
    np.testing.assert_allclose(
        state_distribution(replica, 0, rate), expected.probabilities, rtol=1e-9
    )


@pytest.mark.parametrize(("parameters", "inputs", "outputs", "limit", "queue"), MODELS)
@pytest.mark.parametrize(("ttft", "itl"), [(None, 1.3), (2.0, None), (1.4, 1.2), (50.0, 1.05)])
def test_sizing_agrees_with_the_naive_search(
    parameters: tuple[float, float, float],
    inputs: float,
    outputs: float,
    limit: int,
    queue: int,
    ttft: float | None,
    itl: float | None,
) -> None:
    """Targets are multiples of the latencies at the lowest rate."""
    naive = naive_queue.NaiveTokenWork(*parameters, inputs, outputs)
    idle = naive_queue.solve(naive, limit, queue, naive_queue.rate_range(naive, limit)[0])
    ttft_ms = None if ttft is None else ttft * idle.ttft_ms
    itl_ms = None if itl is None else itl * idle.itl_ms
    expected = naive_queue.size(naive, limit, queue, ttft_ms, itl_ms, scan=400)
    sized = size(
        ReplicaCases.of(TokenWorkService.of(*parameters), inputs, outputs, limit, queue),
        LatencyTargets.of(
            1,
            ttft_ms=math.nan if ttft_ms is None else ttft_ms,
            itl_ms=math.nan if itl_ms is None else itl_ms,
        ),
    )
    assert expected is not None
    # The naive scan steps over narrow windows below a jump: ours may be larger, never smaller.
    assert sized.arrival_rate_rps[0] >= expected * (1 - 1e-8)
    assert naive_queue.keeps(
        naive_queue.solve(naive, limit, queue, sized.arrival_rate_rps[0] * (1 - 1e-12)),
        None if ttft_ms is None else ttft_ms * (1 + 1e-8),
        None if itl_ms is None else itl_ms * (1 + 1e-8),
    )
