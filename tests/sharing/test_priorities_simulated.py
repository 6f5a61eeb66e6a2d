"""The simulation of lines by priority: same as the plain one, and in the order that it promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import (
    Engine,
    GammaArrivals,
    LognormalLength,
    PoissonArrivals,
    Pool,
    RequestStatus,
    SeparateLengths,
)
from simulator.priorities import RequestClass, SharedRun, simulate_shared, summarize_classes
from stoker.domain.profile import TokenWorkParameters
from stoker.domain.routing import Router


def _classes(priorities: list[int], rate: float) -> list[RequestClass]:
    return [
        RequestClass(
            GammaArrivals(rate, 1.0 + 0.3 * index),
            SeparateLengths(LognormalLength(100 + 400 * index, 0.8), LognormalLength(40, 1.0)),
            priority,
            prefix_hit_rate=0.2 * index,
        )
        for index, priority in enumerate(priorities)
    ]


def _pool(batch: int, queue: int | None, kv: int | None, replicas: int, router: Router) -> Pool:
    engine = Engine(
        TokenWorkParameters(8.0, 0.03, 0.0003),
        max_batch=batch,
        max_queue=queue,
        kv_tokens=kv,
        token_budget=512,
    )
    return Pool(engine, replicas, router)


@given(
    batch=st.sampled_from([1, 4, 16]),
    queue=st.sampled_from([None, 3]),
    kv=st.sampled_from([None, 4000]),
    replicas=st.integers(1, 3),
    router=st.sampled_from(list(Router)),
    seed=st.integers(0, 1000),
)
@settings(max_examples=30, deadline=None)
def test_equal_priorities_are_first_come_first_served_bit_for_bit(
    batch: int, queue: int | None, kv: int | None, replicas: int, router: Router, seed: int
) -> None:
    pool = _pool(batch, queue, kv, replicas, router)
    classes = _classes([7, 7, 7], 2.0)
    plain = simulate_shared(classes, pool, 400, seed=seed, by_priority=False)
    turn = simulate_shared(classes, pool, 400, seed=seed, by_priority=True)
    for name in ("arrival_ms", "admitted_ms", "first_token_ms", "completion_ms", "status"):
        assert np.array_equal(
            getattr(plain.records, name), getattr(turn.records, name), equal_nan=True
        )
    assert np.array_equal(plain.records.preemptions, turn.records.preemptions)


@given(
    priorities=st.lists(st.integers(0, 3), min_size=2, max_size=4),
    batch=st.sampled_from([1, 4, 12]),
    kv=st.sampled_from([None, 4000]),
    replicas=st.integers(1, 2),
    seed=st.integers(0, 1000),
)
@settings(max_examples=30, deadline=None)
def test_nobody_is_admitted_before_one_who_goes_first(
    priorities: list[int], batch: int, kv: int | None, replicas: int, seed: int
) -> None:
    pool = _pool(batch, None, kv, replicas, Router.ROUND_ROBIN)
    run = simulate_shared(_classes(priorities, 3.0), pool, 300, seed=seed)
    priority = np.array(priorities)[run.of_class]
    records = run.records
    for replica in range(replicas):
        own = np.flatnonzero((records.replica == replica) & (records.status == RequestStatus.DONE))
        for one in own:
            at_ms = records.admitted_ms[one]
            waiting = own[(records.arrival_ms[own] <= at_ms) & (records.admitted_ms[own] > at_ms)]
            assert (priority[waiting] >= priority[one]).all()
            alike = waiting[priority[waiting] == priority[one]]
            assert (records.arrival_ms[alike] >= records.arrival_ms[one]).all()
    assert _work(run) == _work(simulate_shared(_classes(priorities, 3.0), pool, 300, seed=seed))


def _work(run: SharedRun) -> float:
    return float(np.nansum(run.records.completion_ms))


def test_a_higher_priority_waits_less() -> None:
    pool = _pool(4, None, None, 1, Router.RANDOM)
    classes = _classes([2, 1], 3.0)
    line = summarize_classes(simulate_shared(classes, pool, 20_000, by_priority=False))
    turn = summarize_classes(simulate_shared(classes, pool, 20_000))
    assert turn[1].wait_ms.mean.value < 0.85 * line[1].wait_ms.mean.value
    assert turn[0].wait_ms.mean.value > line[0].wait_ms.mean.value
    assert turn[0].requests == line[0].requests


def test_streams_of_classes_are_their_own() -> None:
    """The first class's requests are the same whoever else is there."""
    pool = _pool(16, None, None, 1, Router.RANDOM)
    one = RequestClass(
        PoissonArrivals(2.0), SeparateLengths(LognormalLength(100, 0.8), LognormalLength(40, 1.0))
    )
    alone = simulate_shared([one], pool, 100)
    both = simulate_shared([one, one], pool, 100)
    first = both.records.arrival_ms[both.of_class == 0]
    assert np.array_equal(first, alone.records.arrival_ms[: len(first)])
    assert len(np.unique(both.of_class)) == 2


def test_what_makes_no_sense_is_refused() -> None:
    pool = _pool(16, None, None, 1, Router.RANDOM)
    with pytest.raises(ValueError, match="classes is empty"):
        simulate_shared([], pool, 100)
    moving = Pool(pool.engine, 2, schedule=((0.0, 1),))
    with pytest.raises(ValueError, match="may not come and go"):
        simulate_shared(_classes([1], 1.0), moving, 100)
