"""Factors of profiles: found where observations tell them, left alone where they do not."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.correction.applying import corrected_fleet
from controller.correction.evidence import Evidence, evidence_of
from controller.correction.gaussian import Gaussian
from controller.correction.learning import learn
from controller.correction.prediction import Latencies, RunningReplicas, predict
from controller.correction.scaling import scaled_parameters, scaled_profile
from controller.correction.state import Corrections, FactorState, ProfileKey
from controller.load import MeasuredLoad
from controller.memory import Memory, ServerMemory
from controller.metrics import ControlMetrics
from controller.recall import memory_from_text, memory_to_text
from stoker.domain.control.choices import ForecastMethod, Mode
from stoker.domain.control.cluster import ReplicaPhase, ReplicaState
from stoker.domain.control.observation import ServerObservation
from stoker.domain.control.settings import (
    ControlSettings,
    CorrectionSettings,
    ForecastSettings,
    LoopSettings,
)
from stoker.domain.control.signals import Signal, SignalName
from stoker.domain.curve import tabulate
from stoker.domain.fleet import Fleet
from stoker.domain.profile import (
    EstimateKind,
    LinearParameters,
    ModelProfile,
    OverlapParameters,
    Provenance,
    TokenWorkParameters,
)
from stoker.domain.settings import Analysis
from stoker.domain.workload import Load
from tests.support.controlled_fleets import controlled_fleet
from tests.support.played_world import PlayedWorld, workload

KEY = ProfileKey("org/chat-8b", "H100")
PERIOD_S = 30.0
WINDOW_S = 60.0
BEGAN = 1_000_000.0


def profile_of(fleet: Fleet) -> ModelProfile:
    return next(each for each in fleet.profiles if ProfileKey.of(each) == KEY)


def running(rate_rps: float, fleet: Fleet | None = None, replicas: int = 2) -> RunningReplicas:
    fleet = fleet or controlled_fleet()
    load = Load(rate_rps, 600.0, 100.0)
    return RunningReplicas(profile_of(fleet), load, replicas, 64, fleet.servers[0], fleet)


def truth(asked: RunningReplicas, decode: float, prefill: float) -> Latencies:
    """What replicas do that are slower by these factors than their profile says."""
    told = predict([replace(asked, profile=scaled_profile(asked.profile, decode, prefill))])[0]
    assert told is not None
    return told


def noisy_cycles(
    rates: Sequence[float],
    decode: float,
    prefill: float,
    *,
    fleet: Fleet | None = None,
    itl: bool = True,
    ttft: bool = True,
    noise: float = 0.03,
    largest: float = 2.0,
) -> Corrections:
    """What is known after one cycle at each rate, latencies told with an error."""
    chance = random.Random(7)
    known = Corrections()
    for number, rate in enumerate(rates):
        asked = running(rate, fleet)
        seen = truth(asked, decode, prefill)
        told = Evidence(
            asked,
            seen.itl_ms * math.exp(chance.gauss(0.0, noise)) if itl else None,
            seen.ttft_ms * math.exp(chance.gauss(0.0, noise)) if ttft else None,
            WINDOW_S,
            1 / math.sqrt(rate * WINDOW_S),
        )
        known = learn(known, [told], largest, BEGAN + number * PERIOD_S, predict)
    return known


def ups_and_downs(cycles: int) -> list[float]:
    return [25.0 + 15.0 * math.sin(number / 3) for number in range(cycles)]


@pytest.mark.parametrize("analysis", [Analysis.REFERENCE, Analysis.FULL])
def test_a_profile_that_is_too_fast_by_a_third_is_found(analysis: Analysis) -> None:
    fleet = controlled_fleet()
    fleet = replace(fleet, settings=replace(fleet.settings, analysis=analysis))
    known = noisy_cycles(ups_and_downs(12), 1.3, 1.3, fleet=fleet).states[KEY]
    assert known.applied(2.0) == pytest.approx((1.3, 1.3), rel=0.05)


def test_the_two_factors_are_told_apart() -> None:
    known = noisy_cycles(ups_and_downs(20), 1.25, 0.8).states[KEY]
    assert known.applied(2.0) == pytest.approx((1.25, 0.8), rel=0.05)


def test_a_right_profile_stays_nearly_as_it_is() -> None:
    known = noisy_cycles(ups_and_downs(20), 1.0, 1.0).states[KEY]
    assert known.applied(2.0) == pytest.approx((1.0, 1.0), rel=0.03)


def test_one_operating_point_does_not_move_what_it_cannot_tell() -> None:
    """The time between tokens alone, at one rate: of the prefill factor it says next to nothing."""
    known = noisy_cycles([25.0] * 40, 1.3, 1.3, ttft=False).states[KEY]
    assert known.why_not(1)
    assert known.applied(2.0)[1] == 1.0


@pytest.mark.parametrize(
    ("kind", "factor"), [(EstimateKind.DECLARED, 1.3), (EstimateKind.MEASURED, 1.06)]
)
def test_two_factors_of_one_time_are_never_told_apart_however_long_it_is_watched(
    kind: EstimateKind, factor: float
) -> None:
    def lumped(asked: Sequence[RunningReplicas]) -> list[Latencies | None]:
        """An engine whose latencies go with the product of both factors."""
        found: list[Latencies | None] = []
        for each in asked:
            parameters = each.profile.parameters
            assert isinstance(parameters, TokenWorkParameters)
            product = parameters.alpha_ms * parameters.beta_ms
            found.append(Latencies(1000.0 * product, 100.0 * product, 0.0))
        return found

    asked = running(25.0)
    asked = replace(asked, profile=replace(asked.profile, provenance=Provenance(kind)))
    now = lumped([asked])[0]
    assert now is not None
    known = Corrections()
    for number in range(200):
        told = Evidence(asked, factor * now.itl_ms, factor * now.ttft_ms, WINDOW_S, 0.0)
        known = learn(known, [told], 2.0, BEGAN + number * PERIOD_S, lumped)
    state = known.states[KEY]
    assert sum(state.known.mean) == pytest.approx(math.log(factor), rel=0.05)
    assert state.applied(2.0) == (1.0, 1.0)
    assert state.why_not(0)
    assert state.why_not(1)


@pytest.mark.parametrize("factor", [0.75, 1.0, 1.3])
@pytest.mark.parametrize(
    ("rates", "told"),
    [
        (ups_and_downs(25), True),
        ([70.0] * 25, False),  # at the knee of all three
        ([120.0] * 25, False),  # twice what they carry
    ],
)
def test_what_is_applied_is_right_and_what_cannot_be_told_is_not_applied(
    factor: float, rates: list[float], told: bool
) -> None:
    fleet = controlled_fleet()
    fleet = replace(fleet, settings=replace(fleet.settings, analysis=Analysis.FULL))
    known = noisy_cycles(rates, factor, factor, fleet=fleet, ttft=told).states[KEY]
    expected = (factor, factor) if told else (1.0, 1.0)
    assert known.applied(2.0) == pytest.approx(expected, rel=0.05)


def test_a_good_profile_needs_more_than_one_outlier() -> None:
    fleet = controlled_fleet()
    measured = Provenance(EstimateKind.MEASURED)
    fleet = replace(
        fleet, profiles=tuple(replace(each, provenance=measured) for each in fleet.profiles)
    )
    once = noisy_cycles([25.0], 1.9, 1.9, fleet=fleet, noise=0.0).states[KEY]
    assert once.refused == 1
    assert once.factors == (1.0, 1.0)
    always = noisy_cycles(ups_and_downs(25), 1.9, 1.9, fleet=fleet).states[KEY]
    assert always.applied(2.0) == pytest.approx((1.9, 1.9), rel=0.05)


def test_another_profile_in_the_document_begins_anew() -> None:
    known = noisy_cycles(ups_and_downs(12), 1.3, 1.3)
    fleet = controlled_fleet()
    assert corrected_fleet(fleet, known, CorrectionSettings()) != fleet
    other = replace(
        fleet,
        profiles=tuple(
            replace(each, parameters=scaled_parameters(each.parameters, 1.3, 1.3))
            for each in fleet.profiles
        ),
    )
    assert corrected_fleet(other, known, CorrectionSettings()) == other


@given(
    st.lists(
        st.tuples(
            st.floats(1e-3, 1e6), st.floats(1e-3, 1e6), st.floats(0.5, 400.0), st.floats(0.0, 2.0)
        ),
        min_size=1,
        max_size=6,
    ),
    st.floats(1.05, 4.0),
)
def test_factors_keep_their_bounds_whatever_is_told(
    told: list[tuple[float, float, float, float]], largest: float
) -> None:
    known = Corrections()
    for number, (itl_ms, ttft_ms, rate, rate_sd) in enumerate(told):
        evidence = Evidence(running(rate), itl_ms, ttft_ms, WINDOW_S, rate_sd)
        known = learn(known, [evidence], largest, BEGAN + number * PERIOD_S, predict)
    state = known.states[KEY]
    for factor in (*state.factors, *state.applied(largest)):
        assert 1 / largest - 1e-9 <= factor <= largest + 1e-9
    assert all(0 <= sd <= 0.3 + 1e-9 for sd in state.known.sd)
    assert abs(state.known.covariance) <= math.prod(state.known.sd) + 1e-9


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-1, 1), st.floats(1e-4, 1), st.floats(0, 1))
def test_a_measurement_never_makes_known_less(
    first: float, second: float, innovation: float, noise: float, walk: float
) -> None:
    before = Gaussian.around_zero(0.3).updated(0, (1.0, 0.5), 0.1, 0.01)
    after = before.updated(1, (first, second), innovation, noise)
    assert all(a <= b + 1e-12 for a, b in zip(after.variance, before.variance, strict=True))
    walked = after.walked(walk, 0.3)
    assert all(a <= w + 1e-12 for a, w in zip(after.variance, walked.variance, strict=True))
    assert max(walked.sd) <= 0.3 + 1e-9


# What counts as evidence


def observed(
    itl_ms: float | None = 9.0, ttft_ms: float | None = 40.0, waiting: float | None = 0.0
) -> ServerObservation:
    values = {
        SignalName.INPUT_TOKENS: 600.0,
        SignalName.OUTPUT_TOKENS: 100.0,
        SignalName.ITL_MEAN: itl_ms,
        SignalName.TTFT_MEAN: ttft_ms,
        SignalName.WAITING: waiting,
    }
    return ServerObservation(
        "chat",
        {
            name: Signal.unknown("not told") if value is None else Signal.known(value, 1.0, "query")
            for name, value in values.items()
        },
    )


def judged(
    seen: ServerObservation,
    *,
    rate: float = 30.0,
    partial: bool = False,
    ready_s: float = 500.0,
    memory: ServerMemory | None = None,
) -> Evidence | str:
    fleet = controlled_fleet()
    pods = (
        ReplicaState("a", ReplicaPhase.READY, "node", 0.0, 0.0, BEGAN - ready_s),
        ReplicaState("b", ReplicaPhase.READY, "node", 0.0, 0.0, BEGAN - 900.0),
    )
    return evidence_of(
        fleet,
        fleet.servers[0],
        seen,
        MeasuredLoad(Load(rate, 600.0, 100.0), partial),
        (replace(workload("chat", "H100", 2), replicas=pods), workload("chat", "L4", 0)),
        memory or ServerMemory(),
        WINDOW_S,
        BEGAN,
    )


def test_steady_replicas_that_tell_all_are_evidence() -> None:
    found = judged(observed())
    assert isinstance(found, Evidence)
    assert (found.itl_ms, found.ttft_ms, found.running.replicas) == (9.0, 40.0, 2)
    assert found.running.max_batch == 64 * 512 // 100


@pytest.mark.parametrize("waiting", [None, 500.0])
def test_a_ttft_that_may_be_a_queue_tells_nothing_of_prompts(waiting: float | None) -> None:
    found = judged(observed(ttft_ms=9000.0, waiting=waiting))
    assert isinstance(found, Evidence)
    assert found.ttft_ms is None
    assert found.itl_ms == 9.0
    assert "TTFT left out" in found.silent


@pytest.mark.parametrize("value", [None, math.nan, math.inf, 0.0])
def test_latencies_that_are_no_figures_tell_nothing(value: float | None) -> None:
    assert judged(observed(itl_ms=value, ttft_ms=value)) == "latencies unknown"


def test_replicas_that_changed_tell_nothing() -> None:
    assert judged(observed(), ready_s=20.0) == "replicas got ready within the window"
    changed = ServerMemory(changed_at=BEGAN - 10.0)
    assert judged(observed(), memory=changed) == "it was changed within the window"
    assert "not known in full" in str(judged(observed(), partial=True))
    assert "too few requests" in str(judged(observed(), rate=0.01))


def test_what_the_analysis_cannot_tell_teaches_nothing() -> None:
    told = Evidence(running(25.0), 9.0, 40.0, WINDOW_S, 0.01)
    assert learn(Corrections(), [told], 2.0, BEGAN, lambda asked: [None] * len(asked)).states == {}


def test_the_same_window_is_not_learned_from_twice() -> None:
    told = Evidence(running(25.0), 9.0, 40.0, WINDOW_S, 0.01)
    once = learn(Corrections(), [told], 2.0, BEGAN, predict)
    assert learn(once, [told], 2.0, BEGAN, predict) == once


# What a factor means


def test_factors_multiply_times_of_every_kind_of_parameters() -> None:
    linear = scaled_parameters(LinearParameters(6.0, 0.1, 3.0, 0.01), 2.0, 3.0)
    assert linear == LinearParameters(12.0, 0.2, 9.0, 0.03)
    overlap = OverlapParameters(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)
    assert scaled_parameters(overlap, 2.0, 10.0) == OverlapParameters(
        2.0, 4.0, 30.0, 8.0, 10.0, 60.0, 70.0, 80.0, 90.0, 100.0
    )
    table = tabulate(
        lambda n, c: 5.0 + n,
        lambda x, c: 4.0 + x,
        batches=(1.0, 2.0),
        contexts=(100.0,),
        prefill_tokens=(0.0, 512.0),
        shared_ms=4.0,
    )
    scaled = scaled_parameters(table, 2.0, 0.5)
    assert scaled == replace(
        table, decode_ms=((12.0,), (14.0,)), prefill_ms=((2.0,), (258.0,)), shared_ms=2.0
    )


def test_a_corrected_profile_tells_so() -> None:
    found = scaled_profile(profile_of(controlled_fleet()), 1.3, 1.1)
    assert found.provenance.source == ("corrected by what was observed: decode x1.3, prefill x1.1")


# In the loop


CHAT = workload("chat", "H100", 6)


def slow_world(settings: ControlSettings) -> PlayedWorld:
    """Chat runs slower by 30% than its profile says, and tells its latencies."""
    return PlayedWorld(
        controlled_fleet(),
        settings,
        [CHAT],
        {"chat": lambda seconds: 120.0 + 40.0 * math.sin(seconds / 200)},
        tokens=(600.0, 100.0),
    )


def tell_latencies(world: PlayedWorld, slower: float = 1.3) -> None:
    rate = world.rates["chat"](world.monotonic())
    assert rate is not None
    fleet = world.document.fleet
    asked = replace(running(rate, fleet, max(1, world.ready(CHAT.ref))), max_batch=64 * 512 // 100)
    seen = truth(asked, slower, slower)
    world.extra_signals["chat"] = {
        SignalName.ITL_MEAN: Signal.known(seen.itl_ms, 1.0, "itl"),
        SignalName.TTFT_MEAN: Signal.known(seen.ttft_ms, 1.0, "ttft"),
        SignalName.WAITING: Signal.known(seen.wait_ms * rate / 1000, 1.0, "waiting"),
    }


def played(settings: ControlSettings, cycles: int, slower: float = 1.3) -> PlayedWorld:
    world = slow_world(settings)
    loop = world.loop()
    for _ in range(cycles):
        tell_latencies(world, slower)
        loop.cycle()
        world.advance(PERIOD_S)
    return world


ACTING = ControlSettings(
    loop=LoopSettings(mode=Mode.ACT, period_s=PERIOD_S),
    forecast=ForecastSettings(method=ForecastMethod.LAST),
)


def test_the_loop_finds_a_slow_engine_and_plans_for_it() -> None:
    world = played(ACTING, 14)
    told = world.records[-1].document["profiles"]
    factors = {part: each["applied"] for part, each in told[0]["factors"].items()}
    assert factors == pytest.approx({"decode": 1.3, "prefill": 1.3}, rel=0.05)
    blind = played(replace(ACTING, correction=CorrectionSettings(enabled=False)), 14)
    assert blind.records[-1].document["profiles"] == []
    assert blind.memory.corrections == Corrections()
    assert world.wanted(CHAT.ref) > blind.wanted(CHAT.ref)


def test_a_saturated_server_is_not_read_as_a_slow_one() -> None:
    """A queue of minutes, from too few replicas at the right profile."""
    settings = replace(ACTING, loop=replace(ACTING.loop, mode=Mode.OBSERVE))
    world = slow_world(settings)
    world.rates["chat"] = lambda _: 500.0
    loop = world.loop()
    for _ in range(15):
        tell_latencies(world, 1.0)
        ttft = Signal.known(90_000.0, 1.0, "ttft")
        waiting = Signal.known(45_000.0, 1.0, "waiting")
        world.extra_signals["chat"] |= {SignalName.TTFT_MEAN: ttft, SignalName.WAITING: waiting}
        loop.cycle()
        world.advance(PERIOD_S)
    told = world.records[-1].document["profiles"][0]
    assert "TTFT left out" in told["remarks"]["chat"]
    for each in told["factors"].values():
        assert each["applied"] == pytest.approx(1.0, rel=0.05)


def test_factors_are_told_as_metrics() -> None:
    metrics = ControlMetrics()
    metrics.told(played(ACTING, 6).records[-1])
    told = {
        (sample.name, sample.labels.get("part")): sample.value
        for family in metrics.collect()
        for sample in family.samples
        if sample.labels.get("accelerator") == "H100"
    }
    assert told["stoker_profile_factor", "decode"] == pytest.approx(1.3, rel=0.05)
    assert 0 < told["stoker_profile_factor_error", "prefill"] < 0.3


def test_a_server_that_several_workloads_serve_teaches_nothing() -> None:
    fleet = controlled_fleet()
    pod = ReplicaState("a", ReplicaPhase.READY, "node", 0.0, 0.0, BEGAN - 900.0)
    both = tuple(replace(workload("chat", name, 1), replicas=(pod,)) for name in ("H100", "L4"))
    load = MeasuredLoad(Load(30.0, 600.0, 100.0))
    found = evidence_of(
        fleet, fleet.servers[0], observed(), load, both, ServerMemory(), WINDOW_S, BEGAN
    )
    assert found == "not one workload serves"


def test_corrections_outlive_the_loop() -> None:
    memory = Memory(corrections=noisy_cycles(ups_and_downs(5), 1.3, 1.1))
    assert memory_from_text(memory_to_text(memory)).corrections == memory.corrections


def test_a_memory_of_the_first_version_has_no_corrections() -> None:
    text = '{"version": 1, "cycles": 4, "servers": {}, "startups": []}'
    back = memory_from_text(text)
    assert back.cycles == 4
    assert back.corrections == Corrections()


def test_nothing_is_known_of_a_profile_at_first() -> None:
    state = FactorState.of(profile_of(controlled_fleet()))
    assert state.applied(2.0) == (1.0, 1.0)
    assert state.why_not(0) == "nothing was observed yet"
