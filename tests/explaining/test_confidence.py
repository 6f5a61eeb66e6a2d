"""If profiles are off: checked by planning with the profiles slower and faster."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.fit_errors import (
    ESTIMATE_ITL_ERROR,
    ESTIMATE_TTFT_ERROR,
    FIT,
    stated_error,
    told_error,
    usual_error,
)
from optimizer.explaining.confidence import ProfileError
from optimizer.explaining.edits import profile_key, scaled_times
from optimizer.explaining.explain import ExplainOptions, explain_plan
from optimizer.explaining.profile_errors import profile_errors
from optimizer.planner import plan_fleet
from stoker.cli.explanation_words import range_words
from stoker.domain.curve import IterationTable
from stoker.domain.explanation import Explanation, ReplicaRange
from stoker.domain.fleet import Fleet
from stoker.domain.profile import (
    EstimateKind,
    LinearParameters,
    OverlapParameters,
    Provenance,
    TokenWorkParameters,
)
from stoker.domain.settings import STOKER_RULES
from stoker.domain.slo import ServiceClass, SloTarget
from tests.support.explained import REFERENCE, served
from tests.support.small_fleets import LOAD, PROFILES, fleets, make_fleet, make_server


def slowed(fleet: Fleet, factor: float) -> Fleet:
    """Return a fleet of token-work and linear profiles with every parameter multiplied."""
    profiles = []
    for item in fleet.profiles:
        match item.parameters:
            case LinearParameters(a, b, c, d):
                times: LinearParameters | TokenWorkParameters = LinearParameters(
                    a * factor, b * factor, c * factor, d * factor
                )
            case TokenWorkParameters(a, b, c):
                times = TokenWorkParameters(a * factor, b * factor, c * factor)
            case _:
                raise AssertionError
        profiles.append(replace(item, parameters=times))
    return replace(fleet, profiles=tuple(profiles))


def explained(fleet: Fleet, error: float) -> Explanation:
    errors = {profile_key(x): ProfileError(error, "asked for") for x in fleet.profiles}
    return explain_plan(fleet, plan_fleet(fleet), options=ExplainOptions(errors=errors))


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(fleet=fleets(most_servers=4), error=st.sampled_from([0.03, 0.1, 0.3]))
def test_range_and_regret_are_those_of_other_profiles(fleet: Fleet, error: float) -> None:
    fleet = replace(fleet, settings=REFERENCE)
    before = plan_fleet(fleet)
    found = explained(fleet, error)
    slower, faster = slowed(fleet, 1 + error), slowed(fleet, 1 - error)
    for item in found.allocations:
        off = item.replica_range
        if off is None:
            continue
        ends = (off.fewest, off.most)
        for end, other in zip(ends, (faster, slower), strict=True):
            only = replace(
                other,
                servers=tuple(x for x in other.servers if x.name == item.server),
                profiles=tuple(x for x in other.profiles if x.accelerator == item.accelerator),
                settings=replace(REFERENCE, unlimited=True),
            )
            plan = plan_fleet(only)
            assert end == (plan.allocations[0].replicas if plan.allocations else None)
        if off.fewest is not None and off.most is not None:
            assert off.fewest <= item.replicas <= off.most or item.replicas == 1
        if off.most == item.replicas:
            assert not off.missed, "as many as are needed when slower miss nothing"
        unit = item.cost_per_hour / item.replicas
        if off.most is not None:
            short = unit * max(0, off.most - item.replicas)
            assert off.short_cost_per_hour == pytest.approx(short)
    if found.regret is None:
        return
    for change, other in ((found.regret.slower, slower), (found.regret.faster, faster)):
        after = plan_fleet(other)
        gained = {
            priority: count - served(before)[priority]
            for priority, count in served(after).items()
            if count != served(before)[priority]
        }
        assert dict(change.served_change) == gained
        assert change.value_change == pytest.approx(
            after.objective - before.objective, abs=2e-6 * abs(before.objective) + 1e-9
        )


def test_what_is_missed_is_what_the_planned_replicas_do_when_slower() -> None:
    """The truth is played by the analysis of a server that must keep the replicas planned."""
    target = SloTarget("m", itl_ms=23.0)
    tight = (ServiceClass("gold", 1, (target,)),)
    rules = replace(STOKER_RULES, max_blocking=None)
    fleet = make_fleet(make_server("s"), profiles=(PROFILES[1],), classes=tight, rules=rules)
    fleet = replace(fleet, settings=REFERENCE)
    (first,) = plan_fleet(fleet).allocations
    full = replace(LOAD, arrival_rate_rps=first.replicas * first.max_rate_rps * 0.9999)
    fleet = replace(fleet, servers=(make_server("s", load=full),))
    (item,) = explained(fleet, 0.05).allocations
    off = item.replica_range
    assert off is not None
    assert [margin.statistic for margin in off.missed] == ["itl_ms.mean"]
    loose = ServiceClass("gold", 1, (replace(target, itl_ms=1e6),))
    pinned = replace(slowed(fleet, 1.05), service_classes=(loose,))
    pinned = replace(pinned, servers=(make_server("s", load=full, min_replicas=item.replicas),))
    (truth,) = plan_fleet(pinned).allocations
    assert truth.replicas == item.replicas
    figures = {"ttft_ms.mean": truth.ttft_ms, "itl_ms.mean": truth.itl_ms}
    for margin in off.missed:
        assert margin.predicted_ms == pytest.approx(figures[margin.statistic], rel=1e-6)


def test_more_replicas_that_no_miss_asks_for_are_not_called_spare() -> None:
    off = ReplicaRange(
        *(0.15, "asked for", 2, 3, (), 0.0), short_cost_per_hour=1.0, spare_cost_per_hour=0.0
    )
    assert "+1.00 USD/h to keep the margin that sizing leaves" in range_words(off, 2, 0, "USD")
    assert "+1.00 USD/h to keep the spare ones" in range_words(off, 2, 1, "USD")


def test_unknown_errors_stay_unknown() -> None:
    fleet = replace(make_fleet(make_server("s")), settings=REFERENCE)
    explanation = explain_plan(fleet, plan_fleet(fleet))
    assert explanation.regret is None
    assert explanation.allocations[0].replica_range is None
    other = {("m", "Nobody's", ""): ProfileError(0.1, "asked for")}
    explanation = explain_plan(fleet, plan_fleet(fleet), options=ExplainOptions(errors=other))
    assert explanation.regret is not None
    assert (explanation.regret.profiles, explanation.regret.unknown) == (0, 1)
    assert explanation.allocations[0].replica_range is None


def test_a_fit_tells_its_own_error() -> None:
    source = "30 rows of runs.csv (vllm, bf16); mean error TTFT 3.0%, ITL 2.1%"
    profile = replace(PROFILES[0], provenance=Provenance(EstimateKind.FITTED, source))
    assert stated_error(profile) == pytest.approx(0.03)
    cross = f"{source}; on rows left out 4.4%, 6.5%; 2026-01-01"
    profile = replace(PROFILES[0], provenance=Provenance(EstimateKind.FITTED, cross))
    assert stated_error(profile) == pytest.approx(0.065)
    assert stated_error(PROFILES[0]) is None


def test_what_is_told_comes_before_what_is_asked_and_that_before_what_is_usual() -> None:
    fitted, estimated, declared = (
        replace(profile, provenance=Provenance(kind, source))
        for profile, kind, source in zip(
            PROFILES,
            (EstimateKind.FITTED, EstimateKind.ESTIMATED, EstimateKind.DECLARED),
            ("mean error TTFT 3.0%, ITL 2.1%", "from specifications", ""),
            strict=True,
        )
    )
    fleet = make_fleet(make_server("s"), profiles=(fitted, estimated, declared))

    def errors(asked: float | None) -> list[tuple[float, str] | None]:
        found = profile_errors(fleet, told_error, asked, usual_error)
        return [
            (found[key].error, found[key].source) if key in found else None
            for key in map(profile_key, fleet.profiles)
        ]

    usual = usual_error(estimated)
    assert usual is not None
    assert errors(None) == [(0.03, FIT), usual, None]
    assert errors(0.2) == [(0.03, FIT), (0.2, "asked for"), (0.2, "asked for")]


def test_estimates_are_off_as_their_page_measured() -> None:
    page = (Path(__file__).parents[2] / "docs" / "estimates.md").read_text(encoding="utf-8")
    found = re.search(r"mean of the groups\*\* \| \| \| 931 \| ([\d.]+)% \| ([\d.]+)%", page)
    assert found is not None
    assert [float(each) for each in found.groups()] == pytest.approx(
        [100 * ESTIMATE_ITL_ERROR, 100 * ESTIMATE_TTFT_ERROR]
    )


def test_all_times_of_a_model_are_scaled() -> None:
    overlap = OverlapParameters(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    assert scaled_times(overlap, 2.0) == OverlapParameters(2, 4, 6, 8, 10, 12, 14, 16, 18, 20)
    table = IterationTable(
        batches=(1.0, 8.0),
        contexts=(128.0, 4096.0),
        decode_ms=((6.0, 6.5), (9.0, 20.0)),
        prefill_tokens=(1.0, 512.0),
        prefill_contexts=(0.0,),
        prefill_ms=((6.0,), (14.0,)),
        shared_ms=5.0,
        first_token_ms=1.0,
    )
    twice = scaled_times(table, 2.0)
    assert isinstance(twice, IterationTable)
    assert twice.decode_ms == ((12.0, 13.0), (18.0, 40.0))
    assert twice.prefill_ms == ((12.0,), (28.0,))
    assert (twice.shared_ms, twice.first_token_ms, twice.batches) == (10.0, 2.0, table.batches)
