"""The benchmark runs, and its two solvers agree."""

from __future__ import annotations

import pytest

from benchmarks.bench_sizing import large_fleet_pairs, measure, table


@pytest.mark.parametrize("queue", [0, 5])
def test_the_solvers_agree_on_a_sample(queue: int) -> None:
    timed = measure(large_fleet_pairs, 2, queue, sample=10, repeats=1)
    assert timed.pairs == 2 * 21
    assert timed.largest_difference < 1e-7
    assert timed.ratio > 0
    assert len(table([timed])) == 2
