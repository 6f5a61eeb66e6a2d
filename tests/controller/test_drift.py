"""Engines that get slower by 30% and fast again, played by the simulator under the whole loop."""

from __future__ import annotations

import pytest

from stoker.domain.control.settings import CorrectionSettings
from tests.support.drifting import PERIOD_S, Drift, constant, drift_world, played, varying

RIGHT, SLOW, BACK = 30, 14, 10
"""Cycles as the profile says, slower, and as it says again."""


def slower_for_a_while(seconds: float) -> float:
    return 1.3 if RIGHT <= round(seconds / PERIOD_S) < RIGHT + SLOW else 1.0


def always_right(_: float) -> float:
    return 1.0


def always_slower(_: float) -> float:
    return 1.3


def off_by(drift: Drift, cycle: int) -> float:
    """How far the factors of a cycle are from the truth."""
    truth = drift.slowness[cycle]
    return max(abs(each / truth - 1.0) for each in (drift.decode[cycle], drift.prefill[cycle]))


def test_a_drift_is_found_and_its_end_too_within_bounds() -> None:
    world = drift_world(slower_for_a_while, varying, CorrectionSettings(largest_factor=1.5))
    drift = played(world, slower_for_a_while, RIGHT + SLOW + BACK)
    assert all(off_by(drift, cycle) <= 0.05 for cycle in range(RIGHT))
    assert off_by(drift, RIGHT + SLOW - 1) <= 0.06
    assert off_by(drift, RIGHT + SLOW + BACK - 1) <= 0.05
    assert all(1 / 1.5 <= each <= 1.5 for each in (*drift.decode, *drift.prefill))
    profile = world.records[RIGHT + SLOW - 1].document["profiles"][0]
    assert profile["factors"]["decode"]["factor"] == pytest.approx(1.3, rel=0.06)
    assert profile["factors"]["decode"]["why_not"] == ""


def test_a_bound_below_the_drift_holds() -> None:
    world = drift_world(always_slower, varying, CorrectionSettings(largest_factor=1.1))
    drift = played(world, always_slower, 14)
    assert max(drift.decode + drift.prefill) == pytest.approx(1.1)


def test_load_that_never_changes_leaves_a_right_profile_as_it_is() -> None:
    drift = played(drift_world(always_right, constant), always_right, 14)
    assert max(off_by(drift, cycle) for cycle in range(14)) <= 0.03


def test_switched_off_nothing_is_learned() -> None:
    world = drift_world(always_slower, varying, CorrectionSettings(enabled=False))
    drift = played(world, always_slower, 10)
    assert set(drift.decode + drift.prefill) == {1.0}
    assert not world.memory.corrections.states
    assert world.records[-1].document["profiles"] == []
