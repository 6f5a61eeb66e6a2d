"""Load in phases: what is typed, what comes of it, and what it does to a fleet."""

from __future__ import annotations

import numpy as np
import pytest

from emulator.fleet import EmulatedFleet
from emulator.load_phases import Constant, Load, Noise, Phase, Ramp, Sinus, Steps, Trace
from emulator.phase_text import read_phase
from emulator.replica import ServedModel
from emulator.virtual_load import VirtualLoad
from simulator import Engine, FixedLength, LognormalLength, SeparateLengths
from stoker.domain.errors import InvalidInputError
from stoker.domain.profile import TokenWorkParameters

LENGTHS = SeparateLengths(LognormalLength(100, 0.5), LognormalLength(20, 0.5))


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("constant:5@60s", Constant(5.0, 60.0)),
        ("constant:.5@1500ms", Constant(0.5, 1.5)),
        ("ramp:1..10@5m", Ramp(1.0, 10.0, 300.0)),
        ("steps:2..10/5@10m", Steps(2.0, 10.0, 5, 600.0)),
        ("sinus:6+-4/10m@1h", Sinus(6.0, 4.0, 600.0, 3600.0)),
        ("constant:5~0.3@60", Noise(Constant(5.0, 60.0), 0.3, 10.0, 7)),
        ("ramp:1..2~0.5/2s@60", Noise(Ramp(1.0, 2.0, 60.0), 0.5, 2.0, 7)),
    ],
)
def test_phases_as_they_are_typed(text: str, phase: Phase) -> None:
    assert read_phase(text, seed=7) == phase


@pytest.mark.parametrize(
    "text",
    [
        *("", "constant", "constant:5", "constant:-5@60s", "constant:5@0s", "constant:5@60d"),
        *("ramp:5@60s", "steps:1..2/1@60s", "sinus:1+-2/0s@5s", "constant:1e9@5s", "wave:1@1s"),
        *("constant:9999999@5s", "constant:5@9999h", "constant:1~1/0s@5s"),
    ],
)
def test_phases_that_are_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="--phase"):
        read_phase(text)


@pytest.mark.parametrize(
    "phase",
    [
        Constant(40.0, 100.0),
        Ramp(10.0, 80.0, 100.0),
        Steps(10.0, 60.0, 4, 100.0),
        Sinus(40.0, 60.0, 25.0, 100.0),
        Noise(Sinus(40.0, 20.0, 50.0, 100.0), 0.6, 5.0, seed=3),
    ],
)
def test_as_many_come_as_the_rate_says(phase: Phase) -> None:
    times = np.array([request.at_s for request in Load((phase,), LENGTHS, seed=1).requests()])
    assert (np.diff(times) > 0).all()
    assert times[-1] < phase.duration_s
    grid = np.linspace(0.0, phase.duration_s, 100_001)
    rates = np.array([phase.rate_rps(float(at)) for at in grid])
    assert rates.max() <= phase.peak_rps + 1e-9
    assert rates.min() >= 0.0
    share = phase.duration_s / 10
    for tenth in range(10):
        inside = (grid >= tenth * share) & (grid < (tenth + 1) * share)
        expected = float(rates[inside].mean() * share)
        came = int(((times >= tenth * share) & (times < (tenth + 1) * share)).sum())
        assert abs(came - expected) < 5.0 * max(expected, 1.0) ** 0.5


def test_noise_has_the_mean_and_spread_that_it_says() -> None:
    noise = Noise(Constant(1.0, 20_000.0), 0.5, 1.0, seed=1)
    rates = np.array([noise.rate_rps(at + 0.5) for at in range(20_000)])
    assert rates.mean() == pytest.approx(1.0, rel=0.02)
    assert rates.std() == pytest.approx(0.5, rel=0.05)


def test_phases_follow_each_other_and_repeat_with_their_seed() -> None:
    trace = Trace(((0.5, 10, 20), (1.5, 11, 21)), 2.0)
    load = Load((Constant(20.0, 5.0), trace, Constant(0.0, 3.0), Constant(20.0, 5.0)), LENGTHS, 4)
    requests = list(load.requests())
    assert requests == list(load.requests())
    assert [one.at_s for one in requests] == sorted(one.at_s for one in requests)
    traced = [
        (one.at_s, one.prompt_tokens, one.output_tokens) for one in requests if one.phase == 1
    ]
    assert traced == [(5.5, 10, 20), (6.5, 11, 21)]
    assert {one.phase for one in requests} == {0, 1, 3}
    assert [load.rate_rps(at) for at in (1.0, 5.5, 8.0, 12.0, 15.0)] == [20.0, 1.0, 0.0, 20.0, 0.0]
    assert load.duration_s == 15.0


def fleet_of(replicas: int) -> EmulatedFleet:
    engine = Engine(TokenWorkParameters(8.0, 0.03, 0.0003), 32, kv_tokens=50_000)
    fleet = EmulatedFleet(ServedModel("m", engine, startup_ms=5000.0))
    fleet.set_replicas(replicas, 0.0)
    return fleet


@pytest.mark.parametrize("tick_ms", [10.0, 250.0, 1e6])
def test_a_virtual_load_does_not_depend_on_the_tick(tick_ms: float) -> None:
    def played(tick: float) -> list[tuple[float, float, str]]:
        fleet = fleet_of(2)
        running = VirtualLoad(Load((Constant(10.0, 20.0),), LENGTHS, 2), fleet)
        now = 0.0
        while not running.finished:
            now += tick
            running.advance(now)
        return sorted((one.sent_ms, one.ttft_ms, one.replica) for one in running.taken())

    assert played(tick_ms) == played(1234.5)


def test_replicas_follow_the_load_without_loss() -> None:
    fleet = fleet_of(1)
    load = Load((Ramp(2.0, 40.0, 60.0), Ramp(40.0, 2.0, 60.0)), LENGTHS, 5)
    running = VirtualLoad(load, fleet)
    wanted = {20: 4, 40: 8, 80: 4, 100: 1}
    served = []
    for second in range(140):
        if second in wanted:
            fleet.set_replicas(wanted[second], second * 1000.0)
        running.advance((second + 1) * 1000.0)
        served += running.taken()
    assert running.finished
    assert len(served) == running.sent == fleet.attempts
    assert all(one.done for one in served)
    assert len({one.replica for one in served}) == 8
    # Those that came before the first replica was ready waited for it.
    first = min(served, key=lambda one: one.sent_ms)
    assert first.ttft_ms > 5000.0 - first.sent_ms
    late = [one for one in served if one.sent_ms > 10_000.0]
    assert np.mean([one.ttft_ms for one in late]) < 200.0


def test_requests_that_no_memory_holds_are_told() -> None:
    fleet = fleet_of(1)
    lengths = SeparateLengths(FixedLength(60_000), FixedLength(5))
    running = VirtualLoad(Load((Constant(1.0, 20.0),), lengths, 1), fleet)
    running.advance(60_000.0)
    assert [one.done for one in running.taken()] == [False] * running.sent
