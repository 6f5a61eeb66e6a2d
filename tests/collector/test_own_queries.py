"""Signals by queries of the user, and their ages, on a real Prometheus."""

from __future__ import annotations

import re

import pytest

from collector.prometheus.asking import Asker
from collector.prometheus.own import read_own, series_in
from collector.prometheus.source import Sample
from stoker.domain.control.signals import Signal, SignalName, SignalState
from tests.collector.conftest import SETTINGS, Observed


def own(observed: Observed, name: SignalName) -> Signal:
    return observed.reading.servers["own"].signal(name)


def test_own_queries_answer_or_say_why_not(observed: Observed) -> None:
    # Both scrapes of the plain pod: the query is taken as the user wrote it.
    assert own(observed, SignalName.ARRIVAL_RATE).usable == pytest.approx(8.0, rel=0.1)
    names = (SignalName.INPUT_TOKENS, SignalName.OUTPUT_TOKENS, SignalName.RUNNING)
    reasons = {name: own(observed, name).reason for name in names}
    assert "answered nothing" in reasons[SignalName.INPUT_TOKENS]
    assert re.search(r"answered \d+ series", reasons[SignalName.OUTPUT_TOKENS])
    assert "refused the query 'sum('" in reasons[SignalName.RUNNING]
    assert observed.reading.servers["own"].engine == "custom"


def test_the_series_in_a_query_tell_its_age(observed: Observed) -> None:
    found = own(observed, SignalName.ARRIVAL_RATE)
    assert found.state is SignalState.KNOWN
    assert found.age_s is not None
    assert 0 <= found.age_s < SETTINGS.stale_s
    assert found.reason == ""


def test_what_stopped_coming_is_stale_in_own_queries_too(observed: Observed) -> None:
    frozen, ended = own(observed, SignalName.ERROR_RATE), own(observed, SignalName.KV_TOKENS)
    assert (frozen.state, frozen.value) == (SignalState.STALE, 0.25)
    assert frozen.age_s is not None
    assert frozen.age_s > SETTINGS.stale_s
    assert (ended.state, ended.value, ended.age_s) == (SignalState.STALE, 3.0, None)
    assert "its series has ended" in ended.reason
    assert frozen.usable is None
    assert ended.usable is None


def test_an_age_that_nobody_can_tell_is_said_to_be_unknown(observed: Observed) -> None:
    found = own(observed, SignalName.WAITING)
    assert (found.usable, found.age_s) == (3.0, None)
    assert "its age is unknown" in found.reason
    assert "`ages`" in found.reason


def test_users_may_tell_the_age(observed: Observed) -> None:
    fresh, old = own(observed, SignalName.KV_USE), own(observed, SignalName.TTFT_MEAN)
    assert (fresh.usable, fresh.reason) == (0.5, "")
    assert fresh.age_s is not None
    assert 0 <= fresh.age_s < SETTINGS.stale_s
    assert (old.state, old.value, old.age_s) == (SignalState.STALE, 80.0, 3600.0)
    refused = own(observed, SignalName.ITL_MEAN)
    assert (refused.usable, refused.age_s) == (20.0, None)
    assert "its age is unknown" in refused.reason
    assert "refused the query 'sum('" in refused.reason
    assert any(each.startswith("own: itl_mean_ms: ") for each in observed.reading.problems)


@pytest.mark.parametrize(
    ("query", "series"),
    [
        ("ingress_rps", ("ingress_rps",)),
        (' {job="a"} ', ('{job="a"}',)),
        ("sum(rate(requests_total[1m]))", ("requests_total",)),
        ('sum by (pod) (rate(a{x="}{"}[1m])) / rate(b [5m])', ('a{x="}{"}', "b")),
        ("a{x='1'} - a{x='1'}", ("a{x='1'}",)),
        ('label_replace(up{}, "a", "b{c=1}", "d", "e[5m]")', ("up{}",)),
        ("a{} # b{}\n", ("a{}",)),
        ("sum(requests_total)", ()),
        ("vector(1)", ()),
        ("rate(a[1m] offset 1h)", ()),
        ("a{} @ 1600000000", ()),
        ("offset_total[1m]", ("offset_total",)),
        ("a{} + b{} + c{} + d{} + e{}", ()),
        ('rate_5m unless {job="canary"}', ()),
        ('rate_5m and {job="canary"}', ('{job="canary"}',)),
        ('a{} OR {job="b"}', ("a{}", '{job="b"}')),
        ("sum by (x) (a{}) > bool on (x) group_left {b='c'}", ("a{}", "{b='c'}")),
        ("on:rate{} + by_pod{} + or1{}", ("on:rate{}", "by_pod{}", "or1{}")),
        ("offset:rate{} + x", ("offset:rate{}",)),
        ("a{} unless (b{} + c{}) * d{} or e{}", ("a{}", "e{}")),
        ("max(a{} unless b{}) + c{}", ("a{}", "c{}")),
        ("a{} and absent(b{}) and c{}", ("a{}", "c{}")),
        ("rate(a[1m] OFFSET 1h)", ()),
    ],
)
def test_series_are_found_where_the_text_leaves_no_doubt(
    query: str, series: tuple[str, ...]
) -> None:
    assert series_in(query) == series


class Answers:
    """Tells figures by query; nothing to any other."""

    def __init__(self, told: dict[str, float]) -> None:
        self._told = told

    def query(self, query: str, timeout_s: float) -> tuple[Sample, ...]:
        return (Sample({}, self._told[query]),) if query in self._told else ()


def read(query: str, ages: dict[str, float], age_query: str = "") -> Signal:
    """Return what a query of value 4 tells whose series have these ages."""
    told = {query: 4.0, "age": 1.0}
    told |= {f"time() - max(timestamp({series}))": age for series, age in ages.items()}
    asker = Asker(Answers(told), SETTINGS, lambda: 60.0)
    signal, problem = read_own(asker, query, age_query, SETTINGS)
    assert problem == ""
    return signal


def test_a_sum_of_which_a_part_has_ended_is_not_acted_on() -> None:
    query = "sum(rate(a{}[5m])) + sum(rate(b{}[5m]))"
    both = read(query, {"a{}": 1.0, "b{}": 2.0})
    assert (both.usable, both.age_s) == (4.0, 2.0)
    part = read(query, {"b{}": 2.0})
    assert (part.state, part.value, part.usable) == (SignalState.STALE, 4.0, None)
    assert part.reason.startswith("its age is unknown: a{} has ended")
    assert read(query, {"b{}": 2.0}, age_query="age").usable == 4.0
    assert "nobody is scraped" in read(query, {}).reason


def test_what_need_not_be_there_is_no_fault() -> None:
    assert read("a{} or b{}", {"b{}": 2.0}).usable == 4.0
    assert read("a{} unless b{}", {"a{}": 2.0}).usable == 4.0
    assert read('rate_5m unless {job="canary"}', {}).usable == 4.0
    assert read("a{} and absent(b{})", {"a{}": 2.0}).usable == 4.0
