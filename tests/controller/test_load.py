"""Loads: told, told in part, or not told at all; histories, forecasts and start-up times."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from controller.forecast import forecast
from controller.history import LoadHistory, LoadSample
from controller.load import measured_load, sample_of
from controller.startups import StartupTimes, Watch
from stoker.domain.control.choices import ForecastMethod
from stoker.domain.control.cluster import (
    ReplicaPhase,
    ReplicaState,
    VariantState,
    WorkloadRef,
)
from stoker.domain.control.observation import ServerObservation
from stoker.domain.control.settings import ForecastSettings, MetricSettings
from stoker.domain.control.signals import Signal, SignalName
from stoker.domain.workload import Load

AT = 10_000.0
PODS = "sum(rate(vllm:request_success_total[60s]))"
RULES = MetricSettings(fresh_replica_s=60.0, reporting_share=0.8)


def seen(source: str = PODS, /, **values: float | None) -> ServerObservation:
    signals = {
        SignalName(name): Signal.known(value, 1.0, source)
        if value is not None
        else Signal.unknown("no series")
        for name, value in values.items()
    }
    return ServerObservation("chat", signals)


def variants(*ready_for_s: float, starting: int = 0) -> list[VariantState]:
    replicas = [
        ReplicaState(f"pod-{index}", ReplicaPhase.READY, "node", ready_at=AT - age)
        for index, age in enumerate(ready_for_s)
    ]
    replicas += [
        ReplicaState(f"new-{index}", ReplicaPhase.STARTING, "node") for index in range(starting)
    ]
    ref = WorkloadRef("models", "chat")
    return [VariantState(ref, "chat", "H100", len(replicas), tuple(replicas))]


FULL = {"arrival_rate_rps": 5.0, "input_tokens": 200.0, "output_tokens": 100.0}


def test_a_load_that_is_told_in_full() -> None:
    found = measured_load(
        seen(**FULL, reporting_replicas=2.0, prefix_hit_rate=0.3, output_tokens_cv=0.7),
        variants(500, 400),
        LoadHistory(),
        RULES,
        AT,
    )
    assert found.load is not None
    assert not found.partial
    assert (found.load.arrival_rate_rps, found.load.prefix_hit_rate) == (5.0, 0.3)
    assert (found.load.input_tokens_cv, found.load.output_tokens_cv) == (0.0, 0.7)


def test_an_unknown_rate_is_no_load_and_says_why() -> None:
    found = measured_load(seen(arrival_rate_rps=None), variants(500), LoadHistory(), RULES, AT)
    assert found.load is None
    assert "arrival rate is unknown: no series" in found.reason


def test_tokens_outlast_the_requests_they_were_told_of() -> None:
    history = LoadHistory((LoadSample(AT - 30, 5.0, 200.0, 100.0), LoadSample(AT - 15, 0.0)))
    idle = seen(arrival_rate_rps=0.0, input_tokens=None, output_tokens=None, reporting_replicas=1.0)
    found = measured_load(idle, variants(500), history, RULES, AT)
    assert found.load is not None
    assert (found.load.input_tokens, found.load.output_tokens) == (200.0, 100.0)
    assert found.load.is_zero


def test_a_rate_without_any_tokens_ever_is_unknown() -> None:
    found = measured_load(
        seen(arrival_rate_rps=3.0, input_tokens=None, output_tokens=50.0),
        variants(500),
        LoadHistory(),
        RULES,
        AT,
    )
    assert found.load is None
    assert "input_tokens unknown" in found.reason


@pytest.mark.parametrize(
    "sizes",
    [
        {"input_tokens": None, "output_tokens": None},
        {"input_tokens": 300.0, "output_tokens": None},
        {"input_tokens": None, "output_tokens": 300.0},
    ],
)
def test_sizes_that_nobody_measures_now_make_nothing_smaller(
    sizes: dict[str, float | None],
) -> None:
    """A gateway tells the rate, and no engine is scraped any more."""
    history = LoadHistory((LoadSample(AT - 30, 5.0, 200.0, 100.0),))
    source = "sum(rate(inference_extension_scheduler_attempts_total[60s]))"
    told = seen(source, arrival_rate_rps=3.0, **sizes)
    found = measured_load(told, variants(500, 500), history, RULES, AT)
    assert found.load is not None
    assert found.load.input_tokens == (sizes["input_tokens"] or 200.0)
    assert found.load.output_tokens == (sizes["output_tokens"] or 100.0)
    assert found.partial
    for name, size in sizes.items():
        assert (f"{name} not measured now (no series)" in found.reason) is (size is None)
    # The rate is whole all the same: what comes is foretold, and idle times are known by it.
    sample = sample_of(found, told, AT)
    assert sample is not None
    assert (sample.arrival_rate_rps, sample.output_tokens) == (3.0, sizes["output_tokens"])


def test_stale_sizes_are_not_measured_now() -> None:
    history = LoadHistory((LoadSample(AT - 30, 5.0, 200.0, 100.0),))
    told = seen(**FULL, reporting_replicas=1.0)
    old = Signal.stale(100.0, 90.0, PODS, "the newest sample is 90 s old")
    told = replace(told, signals={**told.signals, SignalName.OUTPUT_TOKENS: old})
    found = measured_load(told, variants(500), history, RULES, AT)
    assert found.partial
    assert "the newest sample is 90 s old" in found.reason


def test_rates_of_some_replicas_are_not_remembered_with_sizes_that_nobody_measures() -> None:
    history = LoadHistory((LoadSample(AT - 30, 5.0, 200.0, 100.0),))
    told = seen(arrival_rate_rps=3.0, input_tokens=None, output_tokens=None, reporting_replicas=1.0)
    found = measured_load(told, variants(500, 500), history, RULES, AT)
    assert found.partial
    assert sample_of(found, told, AT) is None


def test_sizes_of_the_document_make_nothing_smaller() -> None:
    """A rate by a query of the user, and no size ever measured."""
    told = seen("sum(rate(ingress_total[1m]))", arrival_rate_rps=3.0, input_tokens=None)
    document = Load(5.0, 200.0, 100.0)
    found = measured_load(told, variants(500), LoadHistory(), RULES, AT, document=document)
    assert found.load is not None
    assert (found.load.input_tokens, found.load.output_tokens) == (200.0, 100.0)
    assert found.partial
    assert "those of the fleet document count" in found.reason
    idle = seen("sum(rate(ingress_total[1m]))", arrival_rate_rps=0.0)
    found = measured_load(idle, variants(500), LoadHistory(), RULES, AT, document=document)
    assert found.load is not None
    assert found.load.is_zero
    assert not found.partial  # without requests there is no size to know


@pytest.mark.parametrize(("measured", "expected"), [(None, 1.5), (0.0, 0.0), (0.4, 0.4)])
def test_a_spread_that_is_unknown_is_that_of_the_document(
    measured: float | None, expected: float
) -> None:
    told = seen(**FULL, reporting_replicas=1.0, input_tokens_cv=measured, output_tokens_cv=measured)
    document = Load(5.0, 200.0, 100.0, input_tokens_cv=1.5, output_tokens_cv=1.5)
    found = measured_load(told, variants(500), LoadHistory(), RULES, AT, document=document)
    assert found.load is not None
    assert (found.load.input_tokens_cv, found.load.output_tokens_cv) == (expected, expected)
    assert not found.partial


@pytest.mark.parametrize(
    ("ready", "reporting", "partial"),
    [
        ((500, 500, 500, 500, 500), 5.0, False),
        ((500, 500, 500, 500, 500), 4.0, False),  # four of five are the share that must
        ((500, 500, 500, 500, 500), 3.0, True),
        ((500, 500, 10), 2.0, True),  # the third is fresh: its part of the load is missing
        ((500, 500, 10), 3.0, False),
        ((10,), None, False),  # the first replica ever
        ((500,), None, True),
    ],
)
def test_replicas_that_do_not_report(
    ready: tuple[float, ...], reporting: float | None, partial: bool
) -> None:
    found = measured_load(
        seen(**FULL, reporting_replicas=reporting), variants(*ready), LoadHistory(), RULES, AT
    )
    assert found.load is not None
    assert found.partial is partial
    assert (sample_of(found, seen(**FULL), AT) is None) is partial


@pytest.mark.parametrize(
    ("names", "partial"),
    [
        ({"chat-0", "chat-1"}, False),
        ({"chat-0", "chat-gone"}, True),  # one that ends does not stand for one that begins
        ({"chat-gone", "chat-old"}, True),
        ({"10.0.0.1:8000", "10.0.0.2:8000"}, False),  # no names of pods: they can but be counted
        (set(), False),
    ],
)
@pytest.mark.parametrize("age", [5.0, 500.0])
def test_replicas_report_by_name(names: set[str], partial: bool, age: float) -> None:
    told = replace(seen(**FULL, reporting_replicas=2.0), reporting_pods=frozenset(names))
    (state,) = variants(500, age)
    replicas = tuple(
        replace(each, name=f"chat-{index}") for index, each in enumerate(state.replicas)
    )
    found = measured_load(told, [replace(state, replicas=replicas)], LoadHistory(), RULES, AT)
    assert found.partial is partial


@pytest.mark.parametrize(("age", "young"), [(80.0, True), (100.0, False)])
def test_what_a_new_replica_did_before_its_first_samples_is_missing(
    age: float, young: bool
) -> None:
    rules = replace(RULES, window_s=60.0)
    told = seen(**FULL, reporting_replicas=2.0)
    found = measured_load(told, variants(500, age), LoadHistory(), rules, AT)
    assert (found.partial, found.young) == (False, young)
    gateway = seen("sum(rate(gateway_requests_total[60s]))", **FULL)
    assert not measured_load(gateway, variants(500, age), LoadHistory(), rules, AT).young


def test_figures_of_a_gateway_do_not_depend_on_pods() -> None:
    source = "sum(rate(inference_extension_scheduler_attempts_total[60s]))"
    told = seen(source, **FULL, reporting_replicas=1.0)
    found = measured_load(told, variants(500, 500, 500), LoadHistory(), RULES, AT)
    assert not found.partial


def test_what_is_in_the_system_contradicts_a_rate_that_misses_some() -> None:
    told = {**FULL, "reporting_replicas": 1.0, "waiting": 0.0, "ttft_mean_ms": 500.0}
    # 100 tokens of 20 ms and 500 ms: each stays 2.48 s, so 12.4 are inside at 5 a second.
    right = measured_load(
        seen(**told, running=12.4, itl_mean_ms=20.0), variants(500), LoadHistory(), RULES, AT
    )
    assert right.pending_rate_rps == pytest.approx(5.0)
    assert right.warning == ""
    wrong = measured_load(
        seen(**told, running=40.0, itl_mean_ms=20.0), variants(500), LoadHistory(), RULES, AT
    )
    assert "Little's law" in wrong.warning


@pytest.mark.parametrize(("running", "told"), [(2.0, False), (3.0, False), (9.0, True)])
def test_a_few_requests_more_by_chance_contradict_nothing(running: float, told: bool) -> None:
    """At 0.4 a second of 2.48 s each, one is inside on average; three are nothing special."""
    light = {"arrival_rate_rps": 0.4, "input_tokens": 200.0, "output_tokens": 100.0}
    found = measured_load(
        seen(
            **light,
            reporting_replicas=1.0,
            waiting=0.0,
            ttft_mean_ms=500.0,
            itl_mean_ms=20.0,
            running=running,
        ),
        variants(500),
        LoadHistory(),
        RULES,
        AT,
    )
    assert bool(found.warning) is told


def test_a_history_keeps_order_and_forgets() -> None:
    history = LoadHistory()
    for at in (0.0, 10.0, 20.0, 15.0, 30.0):
        history = history.with_sample(LoadSample(at, at), keep_s=15.0)
    assert [each.at for each in history.samples] == [20.0, 30.0]
    assert history.grid(5.0) == [20.0, 25.0, 30.0]
    assert history.idle_since() == 30.0


def test_idleness_is_time_that_was_known_to_be_without_requests() -> None:
    def since(*told: tuple[float, float], again: bool = False) -> float | None:
        history = LoadHistory()
        for at, rate in told:
            if again:  # as after a restart, which knows samples alone
                history = LoadHistory(history.samples)
            history = history.with_sample(LoadSample(at, rate), 1e9, longest_gap_s=60.0)
        return history.idle_since()

    assert since() is None
    for again in (False, True):
        assert since((0.0, 0.0), (30.0, 0.0), (90.0, 0.0), again=again) == 0.0
        assert since((0.0, 0.0), (30.0, 5.0), (60.0, 0.0), (90.0, 0.0), again=again) == 30.0
        assert since((0.0, 5.0), (30.0, 0.0), (91.0, 0.0), (120.0, 0.0), again=again) == 91.0
        assert since((0.0, 0.0), (30.0, 0.0), (60.0, 5.0), again=again) == 60.0


def test_requests_of_long_ago_are_not_forgotten_with_their_samples() -> None:
    history = LoadHistory()
    for minute in range(180):
        rate = 1.0 if minute in (12, 143) else 0.0
        sample = LoadSample(60.0 * minute, rate)
        history = history.with_sample(sample, 1e9, 600.0, 300.0, 120.0)
        assert history.idle_since() == 60.0 * max(each for each in (0, 12, 143) if each <= minute)


def line(count: int, slope: float, noise: float = 0.0, step_s: float = 30.0) -> LoadHistory:
    source = random.Random(1)
    return LoadHistory(
        tuple(
            LoadSample(index * step_s, 5.0 + slope * index * step_s + source.gauss(0.0, noise))
            for index in range(count)
        )
    )


def test_a_line_goes_on() -> None:
    settings = ForecastSettings(method=ForecastMethod.LINEAR, quantile=0.5)
    found = forecast(line(20, 0.01), 120.0, settings)
    assert found is not None
    assert found.rate_rps == pytest.approx(5.0 + 0.01 * (19 * 30 + 120), rel=1e-6)


def test_a_line_covers_its_quantile() -> None:
    """Of many lines with noise, nine of ten next figures lie below the quantile of 0.9."""
    settings = ForecastSettings(method=ForecastMethod.LINEAR, quantile=0.9)
    source = random.Random(7)
    below = 0
    for _ in range(300):
        rates = [20.0 + 0.01 * index * 30 + source.gauss(0.0, 1.0) for index in range(31)]
        history = LoadHistory(
            tuple(LoadSample(index * 30.0, rate) for index, rate in enumerate(rates[:-1]))
        )
        found = forecast(history, 30.0, settings)
        assert found is not None
        below += rates[-1] <= found.rate_rps
    assert 0.85 <= below / 300 <= 0.95


def test_a_season_comes_again() -> None:
    settings = ForecastSettings(method=ForecastMethod.HOLT_WINTERS, quantile=0.5, season_s=1200.0)

    def rate(at: float) -> float:
        return 10.0 + 6.0 * math.sin(2 * math.pi * at / 1200.0)

    history = LoadHistory(tuple(LoadSample(t * 30.0, rate(t * 30.0)) for t in range(121)))
    found = forecast(history, 300.0, settings)
    assert found is not None
    assert found.method is ForecastMethod.HOLT_WINTERS
    assert found.rate_rps == pytest.approx(rate(3600.0 + 300.0), abs=0.7)


def test_too_short_a_history_takes_a_simpler_way_and_says_so() -> None:
    settings = ForecastSettings(method=ForecastMethod.HOLT_WINTERS, season_s=86_400.0)
    found = forecast(line(20, 0.0, 0.1), 60.0, settings)
    assert found is not None
    assert found.method is ForecastMethod.LINEAR
    assert "needs 2 of them" in found.reason
    few = forecast(line(3, 0.01), 60.0, replace(settings, method=ForecastMethod.LINEAR))
    assert few is not None
    assert few.method is ForecastMethod.LAST
    assert forecast(LoadHistory(), 60.0, settings) is None


def test_falling_lines_end_at_zero() -> None:
    settings = ForecastSettings(method=ForecastMethod.LINEAR, quantile=0.5)
    found = forecast(line(20, -0.0085), 3600.0, settings)
    assert found is not None
    assert found.rate_rps == 0.0


def test_start_up_times_are_learned_once_a_pod() -> None:
    def variant(*seconds: float) -> VariantState:
        replicas = tuple(
            ReplicaState(f"pod-{i}", ReplicaPhase.READY, "n", AT - 50, AT, AT + each)
            for i, each in enumerate(seconds)
        )
        return VariantState(WorkloadRef("m", "x"), "chat", "H100", len(seconds), replicas)

    watch = Watch(AT + 30.0, gap_s=90.0, young_s=30.0, longest_s=900.0)
    times = StartupTimes().with_variant("model", variant(), replace(watch, at=AT))
    assert times.expected_s("model", "H100", 120.0) == 120.0
    times = times.with_variant("model", variant(10.0, 20.0), watch)
    times = times.with_variant("model", variant(10.0, 20.0), watch)  # the same pods again
    assert times.seconds["model", "H100"] == (10.0, 20.0)
    times = times.with_variant("model", variant(10.0, 20.0, *[30.0] * 8), watch)
    assert times.expected_s("model", "H100", 120.0) == 30.0
    assert times.expected_s("model", "L4", 120.0) == 120.0
