"""What a soak is judged by: sizes of one who knows the load, costs and turns of what was done."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.soak.measure import attainment
from benchmarks.soak.page import marks, write
from benchmarks.soak.scenario import LOAD, SERVER, Soak, fleet_document
from demos.cluster.hindsight import (
    clairvoyant_sizes,
    rates_of_one,
    replica_seconds,
    replicas_needed,
    size_at,
    sizes_within,
    turns,
)
from emulator.virtual_load import Served


def test_hindsight_orders_a_start_up_before_and_ends_at_once() -> None:
    def rate(at_s: float) -> float:
        return 25.0 if 100 <= at_s < 200 else 10.0

    sizes = clairvoyant_sizes(rate, 300.0, 60.0, 10.0)
    assert sizes == [(0.0, 1), (40.0, 3), (200.0, 1)]
    assert replica_seconds(sizes, 300.0) == pytest.approx(40 + 3 * 160 + 100)
    assert [size_at(sizes, at_s) for at_s in (0.0, 39.9, 40.0, 250.0)] == [1, 1, 3, 1]


def test_no_replicas_serve_a_moment_with_fewer() -> None:
    soak = Soak()
    startup_s, end_s = soak.startup_s, soak.load.duration_s
    sizes = clairvoyant_sizes(soak.load.rate_rps, end_s, startup_s, 6.0)
    for at_s in range(round(startup_s), int(end_s)):
        ordered = min(size_at(sizes, at_s - back) for back in range(0, int(startup_s) + 1, 5))
        assert ordered >= replicas_needed(soak.load.rate_rps(at_s), 6.0)


def test_turns_count_changes_of_direction_alone() -> None:
    assert turns([2, 3, 3, 5]) == 0
    assert turns([2, 3, 2, 2, 3]) == 2
    assert turns([4]) == 0


def test_sizes_within_a_phase_begin_with_the_one_in_force() -> None:
    sizes = [(0.0, 2), (30.0, 4), (70.0, 3)]
    assert sizes_within(sizes, 50.0, 80.0) == [(50.0, 4), (70.0, 3)]
    assert sizes_within(sizes, 30.0, 60.0) == [(30.0, 4)]


def test_attainment_needs_both_targets_and_a_whole_answer() -> None:
    def served(ttft_ms: float, itl_ms: float, *, done: bool = True) -> Served:
        return Served(0.0, ttft_ms, itl_ms, 5000.0, 300, 120, done, "a", 0)

    good = served(500.0, 40.0)
    bad = served(1600.0, 40.0), served(500.0, 61.0), served(500.0, 40.0, done=False)
    assert attainment([good, *bad]) == 0.25
    assert math.isnan(attainment([]))


def test_the_ramp_is_five_times_and_half_an_hour_in_sixty_cycles() -> None:
    soak = Soak()
    rates = [soak.load.rate_rps(at_s) for at_s in range(int(soak.load.duration_s))]
    assert max(rates) / min(rates) == pytest.approx(5.0)
    assert soak.load.duration_s / soak.period_s == pytest.approx(60.0)
    assert soak.startup_s == 60.0
    one = rates_of_one(fleet_document(), {SERVER: LOAD})[SERVER]
    assert 2 * one > min(rates)
    assert Soak(4.0).load.duration_s == pytest.approx(soak.load.duration_s / 4)


def test_a_part_of_the_page_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    (begin, end), other = marks("soak"), "\n".join(marks("soak-default-sinus"))
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n{other}\n")
    write(page, "soak", f"{begin}\nnew\n{end}")
    assert page.read_text() == f"before\n{begin}\nnew\n{end}\nafter\n{other}\n"
