"""Frontiers hold no dominated point, and are those that brute force finds."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimizer.candidates import build_candidates
from optimizer.planner import plan_fleet
from optimizer.usage import card_counts
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.server import Allocation
from stoker.domain.settings import Analysis
from stoker.domain.workload import Load
from studies.sweeping.attainment import Measure
from studies.sweeping.dominance import dominated
from studies.sweeping.grid import grid_study
from studies.sweeping.pareto import PLACE, ParetoResults, Place, pareto_attainment, pareto_latency
from studies.sweeping.rows import Cell
from tests.support.cli import stoker
from tests.support.small_fleets import make_fleet, make_server

QUICK = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
Numbers = Sequence[tuple[float, float]]


def number(cell: Cell) -> float:
    assert isinstance(cell, int | float)
    return float(cell)


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=30))
def test_dominance_is_what_its_words_say(points: list[tuple[int, int, int]]) -> None:
    expected = [
        any(all(a <= b for a, b in zip(q, p, strict=True)) and q != p for q in points)
        for p in points
    ]
    assert dominated(points) == expected


@st.composite
def small_fleets(draw: st.DrawFn) -> Fleet:
    servers = [
        make_server(
            f"s{index}",
            service_class=draw(st.sampled_from(["gold", "bronze"])),
            load=Load(draw(st.sampled_from([0.0, 1.0, 3.0, 7.5])), 128, 256),
            min_replicas=draw(st.integers(0, 1)),
        )
        for index in range(draw(st.integers(1, 4)))
    ]
    cards = {"B": draw(st.integers(0, 8)), "C": draw(st.integers(0, 24))}
    fleet = make_fleet(*servers, cards=cards)
    return replace(fleet, settings=replace(fleet.settings, analysis=Analysis.REFERENCE))


def all_plans(fleet: Fleet, measure: Measure) -> Iterator[tuple[float, float]]:
    """Yield cost and what is served of every choice of candidates that fits the cards."""
    table = build_candidates(fleet, Analysis.REFERENCE)
    counts = card_counts(fleet)
    room = np.array([counts.get(name, 0) for name in table.card_types])
    options: list[list[int | None]] = [
        [None, *(int(row) for row in np.flatnonzero(table.accepted & (table.server == server)))]
        for server in range(len(table.servers))
    ]
    for choice in product(*options):
        rows = [row for row in choice if row is not None]
        used = np.zeros(len(room), dtype=int)
        for row in rows:
            if table.card_type[row] >= 0:
                used[table.card_type[row]] += table.cards[row]
        if np.any(used > room):
            continue
        rates = [
            1.0 if measure is Measure.SERVERS else number(table.total_rate_rps[table.server[row]])
            for row in rows
        ]
        yield float(table.cost_per_hour[rows].sum()), sum(rates)


def best_of(plans: Iterator[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the plans that no other dominates, by rising cost, one of each kind."""
    best: list[tuple[float, float]] = []
    for cost, served in sorted(
        {(round(c, 9), round(s, 9)) for c, s in plans}, key=lambda item: (item[0], -item[1])
    ):
        if not best or served > best[-1][1] + 1e-9:
            best.append((cost, served))
    return best


def found(results: ParetoResults, measure: Measure) -> list[tuple[float, float]]:
    column = "served" if measure is Measure.SERVERS else "served_rps"
    return [(number(row["cost_per_hour"]), number(row[column])) for row in results.rows]


@QUICK
@given(small_fleets(), st.sampled_from(Measure))
def test_the_whole_frontier_is_that_of_every_possible_plan(fleet: Fleet, measure: Measure) -> None:
    results = pareto_attainment(fleet, measure)
    assert "whole frontier" in results.claim
    expected = best_of(all_plans(fleet, measure))
    np.testing.assert_allclose(found(results, measure), expected, rtol=1e-9, atol=1e-9)
    assert {row[PLACE] for row in results.rows} == {Place.FRONTIER.value}


def test_fewer_points_than_the_frontier_has_are_points_of_it() -> None:
    servers = [
        make_server(f"s{k}", load=Load(0.7 * 1.3**k, 128, 256), service_class=name)
        for k, name in enumerate(["gold", "bronze"] * 3)
    ]
    fleet = make_fleet(*servers)
    fleet = replace(fleet, settings=replace(fleet.settings, analysis=Analysis.REFERENCE))
    whole = pareto_attainment(fleet, Measure.LOAD, 1000)
    part = pareto_attainment(fleet, Measure.LOAD, 5)
    assert "whole frontier" in whole.claim
    assert "more points between" in part.claim
    assert 2 <= len(part.rows) <= 5 < len(whole.rows)
    every = found(whole, Measure.LOAD)
    for point in found(part, Measure.LOAD):
        assert any(np.allclose(point, other, rtol=1e-9) for other in every)
    assert found(part, Measure.LOAD)[-1] == pytest.approx(every[-1])


def test_what_runs_costs_nothing_to_change_and_unknown_loads_keep_their_cards() -> None:
    fleet = make_fleet(
        make_server("a", current=Allocation("Big", 1, cost_per_hour=5.0)),
        make_server("b", load=None, current=Allocation("Cheap", 18, cost_per_hour=18.0)),
        cards={"C": 20},
    )
    fleet = replace(fleet, settings=replace(fleet.settings, analysis=Analysis.REFERENCE))
    results = pareto_attainment(fleet, Measure.SERVERS)
    assert results.rows[0]["cost_per_hour"] == 18.0
    assert all(number(row["cards_C"]) <= 20 for row in results.rows)
    alone = replace(fleet, servers=(replace(fleet.servers[0], current=None),))
    free = replace(alone, settings=replace(alone.settings, unlimited=True))
    (_, served) = pareto_attainment(free, Measure.SERVERS).rows
    assert served["cost_per_hour"] == plan_fleet(free).cost_per_hour


@pytest.fixture(scope="module")
def latency() -> ParetoResults:
    servers = [
        make_server("a", current=Allocation("Big", 1, cost_per_hour=5.0)),
        make_server("b", service_class="bronze"),
    ]
    fleet = make_fleet(*servers, cards={"C": 4})
    fleet = replace(fleet, settings=replace(fleet.settings, analysis=Analysis.REFERENCE))
    return pareto_latency(fleet, "0.4:2:0.1")


def test_no_listed_point_is_dominated_and_every_other_says_why(latency: ParetoResults) -> None:
    rows = latency.rows
    assert [row["targets"] for row in rows] == sorted(number(row["targets"]) for row in rows)
    most = max(number(row["served"]) for row in rows)
    for row in rows:
        complete = row["served"] == most
        beaten = any(
            other["served"] == most
            and number(other["targets"]) <= number(row["targets"])
            and number(other["cost_per_hour"]) <= number(row["cost_per_hour"])
            and (other["targets"], other["cost_per_hour"]) != (row["targets"], row["cost_per_hour"])
            for other in rows
        )
        expected = "incomplete" if not complete else "dominated" if beaten else "frontier"
        assert row[PLACE] == expected
    assert {row[PLACE] for row in rows} == {"frontier", "dominated", "incomplete"}


def test_each_scale_is_the_plan_of_the_optimizer(latency: ParetoResults) -> None:
    fleet = make_fleet(
        make_server("a"),
        make_server("b", service_class="bronze"),
        cards={"C": 4},
    )
    fleet = replace(fleet, settings=replace(fleet.settings, analysis=Analysis.REFERENCE))
    study = grid_study(fleet, ["targets=0.4:2:0.1"])
    costs = [plan_fleet(study.at(point)).cost_per_hour for point in study.points]
    assert [row["cost_per_hour"] for row in latency.rows] == pytest.approx(costs)


def test_a_scale_that_serves_nobody_is_on_no_frontier() -> None:
    fleet = make_fleet(make_server("a"), make_server("b"))
    fleet = replace(fleet, settings=replace(fleet.settings, analysis=Analysis.REFERENCE))
    nobody = pareto_latency(fleet, "0.0001,0.001")
    assert [row["served"] for row in nobody.rows] == [0, 0]
    assert {row[PLACE] for row in nobody.rows} == {"incomplete"}
    (idle,) = pareto_latency(
        replace(fleet, servers=(make_server("a", load=Load(0.0, 128, 256)),)), "0.0001"
    ).rows
    assert (idle["served"], idle[PLACE]) == (1, "frontier")


def test_scales_are_checked() -> None:
    with pytest.raises(InvalidInputError, match="out of range"):
        pareto_latency(make_fleet(), "0,1")


def test_a_frontier_of_latency_is_kept_and_gone_on_with(tmp_path: Path) -> None:
    command = ("pareto", "small", "--against", "latency", "--scales", "1,2", "--jobs", "1")
    plain = stoker(*command, "--format", "csv")
    first = stoker(*command, "--format", "csv", "--resume", tmp_path / "kept")
    again = stoker(*command, "--format", "csv", "--resume", tmp_path / "kept")
    # Rows that were kept tell the very times of the run that planned them.
    assert first.exit_code == 0, first.output
    assert again.stdout == first.stdout
    assert len(plain.stdout.splitlines()) == len(first.stdout.splitlines()) == 3
    other = stoker(*command[:5], "1,3", "--resume", tmp_path / "kept")
    assert other.exit_code == 2
    refused = stoker("pareto", "small", "--resume", tmp_path / "x", "--scheduler", "tcp://h:1")
    assert refused.exit_code == 2
    assert "--resume: is for --against latency alone" in refused.stderr
    assert "--scheduler: is for --against latency alone" in refused.stderr
