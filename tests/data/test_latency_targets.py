"""Targets by statistic and the variability of loads, in Stoker's own format."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from data.stoker_example import EXAMPLE
from data.stoker_format import document_to_fleet, fleet_schema, fleet_to_document
from stoker.cli.losses import losses
from stoker.domain.errors import InvalidInputError
from stoker.domain.latency import Latency, Statistic, percentile_name
from stoker.domain.slo import PercentileTarget, SloTarget


def document(**targets: object) -> Any:
    """Return the example fleet with other latency targets in its one class."""
    found: Any = copy.deepcopy(EXAMPLE)
    found["service_classes"][0]["targets"] = [{"model": "llama-3.1-8b", **targets}]
    return found


def target(**targets: object) -> SloTarget:
    """Return those targets as they are read."""
    return document_to_fleet(document(**targets)).service_classes[0].targets[0]


def test_a_number_is_a_target_of_the_mean() -> None:
    found = target(ttft_ms=500, itl_ms=25, e2e_ms=9000)
    assert (found.ttft_ms, found.itl_ms, found.e2e_ms) == (500, 25, 9000)
    assert found.percentiles == ()
    assert not found.on_means_alone  # the end-to-end time is beyond the reference
    assert target(ttft_ms=500, tps=10).on_means_alone


def test_statistics_hold_together() -> None:
    found = target(ttft_ms={"p99.9": 2000, "mean": 500, "p50": 300}, e2e_ms={"p90": 9000})
    assert found.ttft_ms == 500
    assert found.e2e_ms is None
    assert found.percentiles == (
        PercentileTarget(Latency.TTFT, 50.0, 300.0),
        PercentileTarget(Latency.TTFT, 99.9, 2000.0),
        PercentileTarget(Latency.E2E, 90.0, 9000.0),
    )
    assert [(str(statistic), limit) for statistic, limit in found.limits()] == [
        ("mean TTFT", 500.0),
        ("p50 TTFT", 300.0),
        ("p99.9 TTFT", 2000.0),
        ("p90 E2E", 9000.0),
    ]
    assert not found.on_means_alone


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        ({"P95": 800}, ".P95", '"P95" is no statistic'),
        ({"p95.0": 800}, ".p95.0", "p50, p95 or p99.9"),
        ({"p095": 800}, ".p095", "above 0 and below 100"),
        ({"p100": 800}, ".p100", "above 0 and below 100"),
        ({"p0": 800}, ".p0", "above 0 and below 100"),
        ({"average": 800}, ".average", "mean, or a percentile"),
        ({"p95": 0}, ".p95", "0 is out of bounds (allowed: a number, above 0"),
        ({"p95": "800"}, ".p95", '"800" is not a number'),
        ({"p95": None}, ".p95", "null is not a number"),
        ({}, "", "is too short (allowed: at least 1"),
        ("800", "", '"800" is not a number (allowed: a number, above 0, or such numbers by'),
        (-1, "", "-1 is out of bounds"),
        ([800], "", "is not a number"),
    ],
)
def test_a_target_that_makes_no_sense_is_one_problem(
    value: object, path: str, message: str
) -> None:
    wrong = document(ttft_ms=value)
    with pytest.raises(InvalidInputError) as error:
        document_to_fleet(wrong)
    (problem,) = error.value.problems
    assert problem.path == f"service_classes[0].targets[0].ttft_ms{path}"
    assert message in str(problem)
    with pytest.raises(ValidationError):
        Draft202012Validator(fleet_schema()).validate(wrong)


_limits = st.floats(0.001, 1e9)
_percents = st.integers(1, 99_999).map(lambda thousandths: thousandths / 1000)


@given(
    mean=st.none() | _limits,
    by_percent=st.dictionaries(_percents, _limits, max_size=3),
    variations=st.tuples(st.floats(0, 10), st.floats(0, 10), st.floats(0, 10), st.floats(0, 1)),
    kv_tokens=st.none() | st.integers(1, 10**9),
    token_budget=st.integers(1, 10**6),
)
def test_what_is_read_is_written_again(
    mean: float | None,
    by_percent: dict[float, float],
    variations: tuple[float, ...],
    kv_tokens: int | None,
    token_budget: int,
) -> None:
    statistics = {percentile_name(percent): limit for percent, limit in by_percent.items()}
    own = ({"mean": mean} if mean is not None else {}) | statistics
    given_document = document(itl_ms=own) if own else document()
    names = ("arrival_cv", "input_tokens_cv", "output_tokens_cv", "prefix_hit_rate")
    given_document["servers"][0]["load"] |= dict(zip(names, variations, strict=True))
    given_document["profiles"][0]["token_budget"] = token_budget
    if kv_tokens is not None:
        given_document["profiles"][0]["kv_tokens"] = kv_tokens
    fleet = document_to_fleet(given_document)
    read = fleet.service_classes[0].targets[0]
    assert read.itl_ms == mean
    assert {item.percentile: item.limit_ms for item in read.percentiles} == by_percent
    load = fleet.servers[0].load
    assert load is not None
    assert tuple(getattr(load, name) for name in names) == variations
    profile = fleet.profiles[0]
    assert (profile.kv_tokens, profile.token_budget) == (kv_tokens, token_budget)
    written = fleet_to_document(fleet)
    Draft202012Validator(fleet_schema()).validate(written)
    assert document_to_fleet(written) == fleet


def test_another_format_says_what_it_leaves_out() -> None:
    from data.inferno import fleet_to_system, parse_system, system_to_fleet

    fleet = document_to_fleet(document(ttft_ms={"p95": 800}, e2e_ms=9000))
    back = system_to_fleet(parse_system(fleet_to_system(fleet)))
    told = losses(fleet, back)
    assert any("percentiles" in line and "p95 TTFT: left out" in line for line in told)
    assert any("e2e_ms" in line and "9000 becomes none" in line for line in told)


def test_statistics_have_names() -> None:
    assert Statistic(Latency.ITL, 99.9).path == "itl_ms.p99.9"
    assert Statistic(Latency.E2E).path == "e2e_ms.mean"
    assert str(Statistic(Latency.TTFT, 95.0)) == "p95 TTFT"
