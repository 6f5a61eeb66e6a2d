"""What priorities make of waits, against exact laws and what must hold."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from queueing.engine.sharing_turns import turns


@given(
    load=st.floats(0.01, 0.99),
    work=st.lists(st.floats(0.01, 10.0), min_size=1, max_size=5),
    data=st.data(),
)
def test_the_work_in_line_is_that_of_first_come_first_served(
    load: float, work: list[float], data: st.DataObject
) -> None:
    priority = data.draw(
        st.lists(st.integers(1, 4), min_size=len(work), max_size=len(work)), label="priority"
    )
    part = np.array(work)[:, None]
    found = turns(np.array([load]), part, np.array(priority, dtype=float)[:, None])
    share = part[:, 0] / part.sum()
    assert np.isclose((share * found.mean[:, 0]).sum(), 1.0, rtol=1e-9)
    order = np.argsort(priority, kind="stable")
    assert (np.diff(found.mean[order, 0]) >= -1e-12).all()


def test_equal_priorities_change_nothing() -> None:
    found = turns(np.array([0.5, 0.9]), np.array([[1.0, 2.0], [3.0, 1.0]]), np.zeros((2, 2)))
    assert np.allclose(found.mean, 1.0)
    assert np.allclose(found.spread, 1.0)


def test_waits_are_those_of_a_single_exponential_server() -> None:
    """Against a plain simulation of M/M/1 with two priorities, mean and variance of waits."""
    random = np.random.default_rng(3)
    count = 400_000
    rate, load = 1.0, 0.7
    coming = np.cumsum(random.exponential(1.0 / rate, count))
    service = random.exponential(load / rate, count)
    first = random.random(count) < 0.4
    waits = _priority_waits(coming, service, first)
    share = np.array([[0.4], [0.6]])
    found = turns(np.array([load]), share, np.array([[0.0], [1.0]]))
    # All wait with probability ρ; of first come, first served those do so for 1/(μ - λ).
    mean = load * (load / rate) / (1.0 - load) * found.mean[:, 0]
    for index, own in enumerate((waits[first], waits[~first])):
        own = own[len(own) // 10 :]
        assert abs(own.mean() / mean[index] - 1.0) < 0.04
        held = own[own > 0.0]
        assert abs(held.var() / held.mean() ** 2 / found.spread[index, 0] - 1.0) < 0.08


def _priority_waits(coming: np.ndarray, service: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return waits at a single server that takes those marked first."""
    count = len(coming)
    waits = np.zeros(count)
    ahead: list[int] = []
    behind: list[int] = []
    places = [0, 0]
    free, following = 0.0, 0
    while following < count or places[0] < len(ahead) or places[1] < len(behind):
        if places[0] == len(ahead) and places[1] == len(behind):
            free = max(free, coming[following])
        while following < count and coming[following] <= free:
            (ahead if first[following] else behind).append(following)
            following += 1
        line = 0 if places[0] < len(ahead) else 1
        own = (ahead, behind)[line][places[line]]
        places[line] += 1
        waits[own] = free - coming[own]
        free += service[own]
    return waits
