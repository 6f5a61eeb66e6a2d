"""Slices of cards: which of them a card holds, how few cards hold many, and plans of them."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.plan_format import plan_to_document
from data.planned_replicas import parse_planned_replicas
from data.stoker_format import document_to_fleet, fleet_to_document
from optimizer.candidates import build_candidates
from optimizer.check import check_plan
from optimizer.configurations.slices import (
    SEVENTHS,
    SliceUse,
    fewest_cards,
    slices_per_card,
    slicing_patterns,
    with_cut_cards,
)
from optimizer.linear_model import LinearModel, SolveLimits
from optimizer.planner import plan_fleet
from optimizer.solver import default_backend, solve
from optimizer.table import CandidateTable
from stoker.domain.accelerator import Slice
from stoker.domain.errors import InvalidInputError, PlanCheckError
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Limits
from stoker.domain.plan import PlanStatus
from stoker.domain.settings import Analysis, OptimizerSettings
from tests.support.configured_fleets import LOAD, TP1, Document, configured_document, profile
from tests.support.configured_fleets import server as server_document
from tests.support.naive_cards import fits_one_card, naive_fewest

MIG = [Slice(sevenths=size) for size in SEVENTHS]


def test_patterns_are_all_that_fit_and_nothing_more() -> None:
    held = {
        tuple(sorted(sizes))
        for count in range(1, 8)
        for sizes in itertools.combinations_with_replacement(SEVENTHS, count)
        if sum(sizes) <= 7 and fits_one_card(sizes)
    }
    patterns = [
        tuple(sorted(size for size, n in zip(SEVENTHS, row, strict=True) for _ in range(n)))
        for row in slicing_patterns(MIG).tolist()
    ]
    assert set(patterns) <= held
    for sizes in held:
        assert any(all(p.count(s) >= sizes.count(s) for s in sizes) for p in patterns)
    for one, other in itertools.permutations(patterns, 2):
        assert any(other.count(size) > one.count(size) for size in SEVENTHS)


def test_a_card_holds_as_many_as_nvidia_says() -> None:
    assert {kind.sevenths: slices_per_card(kind) for kind in MIG} == {1: 7, 2: 3, 3: 2, 4: 1, 7: 1}
    assert slices_per_card(Slice(parts=5)) == 5


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(st.sampled_from([1, 2, 3, 4]), st.integers(1, 2), min_size=1, max_size=3))
def test_the_fewest_cards_are_those_of_trying_everything(counts: dict[int, int]) -> None:
    sizes = tuple(size for size, n in sorted(counts.items()) for _ in range(n))
    assert fewest_cards({Slice(sevenths=size): n for size, n in counts.items()}) == naive_fewest(
        sizes
    )


def test_equal_parts_are_never_on_a_card_with_others() -> None:
    assert fewest_cards({Slice(parts=4): 5, Slice(parts=2): 1, Slice(sevenths=1): 1}) == 4
    assert fewest_cards({Slice(parts=4): 0}) == 0


def test_cut_cards_serve_several_in_a_model() -> None:
    """Two servers want three of 3/7 each, one four of 1/7, one a whole card."""
    threes, ones = Slice(sevenths=3), Slice(sevenths=1)
    base = LinearModel(
        cost=np.array([-10.0, -9.0, -8.0, -7.0]),
        lower=np.zeros(4),
        upper=np.ones(4),
        integer=np.ones(4, dtype=np.bool_),
        entry_row=np.array([0]),
        entry_column=np.array([3]),
        entry_value=np.array([1.0]),
        row_lower=np.array([-np.inf]),
        row_upper=np.array([4.0]),
    )
    uses = [
        SliceUse(threes, np.array([0, 1]), np.array([3.0, 3.0])),
        SliceUse(ones, np.array([2]), np.array([4.0])),
    ]
    for cards, least in ((2, -18.0), (3, -25.0), (4, -27.0), (5, -34.0)):
        bounded = replace(base, row_upper=np.array([float(cards)]))
        model = with_cut_cards(bounded, uses, card_row=0, cards=cards)
        result = solve(model, default_backend("highs")[0], SolveLimits())
        assert result.objective == pytest.approx(least)


SMALL: Document = {**TP1, "kv_tokens": 40_000, "max_batch": 16}
SMALL = {key: value for key, value in SMALL.items() if key != "configuration"}


def sliced_document(cards: int, *servers: Document, part: Document | None = None) -> Document:
    document = configured_document([profile(SMALL, "A100-3g")], *servers)
    document["accelerators"] = [
        {
            "name": "A100-3g",
            "card_type": "A100",
            "slice": part or {"sevenths": 3},
            "cost_per_hour": 0.7,
        },
    ]
    document["capacity"] = {"A100": cards}
    return document


def sliced(cards: int, *servers: Document, part: Document | None = None) -> Fleet:
    return document_to_fleet(sliced_document(cards, *servers, part=part))


LIGHT = {**LOAD, "arrival_rate_rps": 9}


def test_replicas_on_slices_take_whole_cards() -> None:
    plan = plan_fleet(sliced(9, server_document(load=LIGHT)))
    (found,) = plan.allocations
    assert found.fully_served
    assert found.sliced
    assert found.replicas >= 3
    assert found.cards == math.ceil(found.replicas / 2)
    assert found.cost_per_hour == pytest.approx(0.7 * found.replicas)
    assert found.max_rate_rps * found.replicas >= 9
    whole = plan_fleet(
        document_to_fleet(configured_document([profile(SMALL)], server_document(load=LIGHT)))
    ).allocations[0]
    assert found.replicas == whole.replicas
    assert found.ttft_ms == pytest.approx(whole.ttft_ms, rel=1e-5)
    assert found.latencies.keys() == whole.latencies.keys()
    (demand,) = parse_planned_replicas(plan_to_document(plan))
    assert (demand.replicas, demand.cards) == (found.cards, 1)


def test_servers_share_cards_and_the_plan_says_so() -> None:
    light = {**LOAD, "arrival_rate_rps": 1}
    servers = [server_document(name, load=light) for name in "abc"]
    plan = plan_fleet(sliced(2, *servers))
    assert [item.replicas for item in plan.allocations] == [1, 1, 1]
    assert [item.cards for item in plan.allocations] == [1, 0, 1]
    assert plan.usage[0].used == 2
    (note,) = plan.notes
    assert note == (
        "slices of A100: 2 cards hold them, where those of each server by themselves would take "
        "3; a card that several share counts for the first of them"
    )
    short = plan_fleet(sliced(1, *servers))
    assert len(short.unplaced) == 1
    assert short.status is PlanStatus.OPTIMAL
    demands = parse_planned_replicas(plan_to_document(plan))
    assert [(demand.server, demand.replicas) for demand in demands] == [("a", 1), ("c", 1)]


def test_shared_cards_have_a_place_on_nodes() -> None:
    """A card that two servers share is one card of a node, not two."""
    light = {**LOAD, "arrival_rate_rps": 1}
    document = sliced_document(2, *(server_document(name, load=light) for name in "abc"))
    document["nodes"] = [{"name": "n", "count": 2, "card_type": "A100", "cards": 1}]
    plan = plan_fleet(document_to_fleet(document), OptimizerSettings(placement=True))
    assert all(item.fully_served for item in plan.allocations)
    assert plan.usage[0].used == 2
    assert any("every planned replica has a place" in note for note in plan.notes)
    document["nodes"][0]["count"] = 1
    short = plan_fleet(document_to_fleet(document), OptimizerSettings(placement=True))
    assert len(short.unplaced) == 1


def test_a_plan_whose_slices_do_not_fit_their_cards_is_refused() -> None:
    light = {**LOAD, "arrival_rate_rps": 1}
    fleet = sliced(2, *(server_document(name, load=light) for name in "abc"))
    plan = plan_fleet(fleet)
    first, second, third = plan.allocations
    usage = (replace(plan.usage[0], used=1),)
    wrong = replace(plan, allocations=(first, second, replace(third, cards=0)), usage=usage)
    with pytest.raises(PlanCheckError, match="1 cards of A100 do not hold the slices"):
        check_plan(fleet, wrong, unlimited=False, own_predictions=True)


KINDS = {"A100-1g": 1, "A100-2g": 2, "A100-3g": 3, "A100": 0}
"""Sevenths of a card; 0 is a whole one."""


@st.composite
def shared_fleets(draw: st.DrawFn) -> Fleet:
    """Draw fleets whose servers may share few cards, or take whole ones."""
    names = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=3, unique=True))
    profiles = []
    accelerators: list[Document] = []
    for name in names:
        sevenths = KINDS[name]
        speed = 30.0 / (sevenths or 7)
        parameters = {"kind": "token-work", "alpha_ms": 8 + speed, "beta_ms": 0.1, "gamma_ms": 0}
        profiles.append(profile({**SMALL, "parameters": parameters}, name))
        accelerator: Document = {
            "name": name,
            "card_type": "A100",
            "cost_per_hour": draw(st.sampled_from([0.3, 0.5, 0.8, 1.5])),
        }
        accelerators.append(accelerator | ({"slice": {"sevenths": sevenths}} if sevenths else {}))
    servers = []
    for index in range(draw(st.integers(1, 4))):
        load = {**LOAD, "arrival_rate_rps": draw(st.sampled_from([1, 3, 6, 12]))}
        changes: Document = {"load": load}
        if draw(st.booleans()):
            changes["current"] = {"accelerator": names[0], "replicas": draw(st.integers(1, 3))}
        if draw(st.booleans()):
            changes["max_batch"] = [4, 16]
        servers.append(server_document(f"s{index}", **changes))
    document = configured_document(profiles, *servers)
    document["accelerators"] = accelerators
    document["capacity"] = {"A100": draw(st.integers(0, 4))}
    return document_to_fleet(document)


def cards_taken(table: CandidateTable, rows: list[int]) -> int:
    """Return the cards of some rows, slices on as few as trying everything finds."""
    whole, slices = 0, Counter[int]()
    for row in rows:
        sevenths = KINDS[table.accelerators[table.accelerator[row]]]
        if sevenths:
            assert table.bundled is not None
            slices[sevenths] += int(table.bundled[row])
        else:
            whole += int(table.cards[row])
    if sum(slices.values()) > 8:
        # Too many to try: more than fit the cards of these fleets, but for slices of a seventh.
        return whole + fewest_cards({Slice(sevenths=size): n for size, n in slices.items()})
    return whole + naive_fewest(tuple(sorted(slices.elements())))


@given(fleet=shared_fleets())
@settings(max_examples=40, deadline=None)
def test_plans_on_shared_cards_are_those_of_trying_everything(fleet: Fleet) -> None:
    table = build_candidates(fleet, Analysis.FULL)
    options: list[list[int | None]] = [
        [None, *np.flatnonzero(table.accepted & (table.server == server)).tolist()]
        for server in range(len(table.servers))
    ]
    capacity = fleet.capacity[0].count
    best = (0, 0.0)
    for chosen in itertools.product(*options):
        rows = [row for row in chosen if row is not None]
        if cards_taken(table, rows) <= capacity:
            best = min(best, (-len(rows), math.fsum(table.value[rows])))
    plan = plan_fleet(fleet, OptimizerSettings(analysis=Analysis.FULL))
    assert sum(service.served for service in plan.services) == -best[0]
    assert plan.objective == pytest.approx(best[1], rel=1e-9, abs=1e-9)
    assert plan.usage[0].used <= capacity
    assert plan.status is not PlanStatus.FEASIBLE


@given(fleet=shared_fleets())
@settings(max_examples=15, deadline=None)
def test_limits_that_do_not_bind_change_nothing(fleet: Fleet) -> None:
    full = OptimizerSettings(analysis=Analysis.FULL)
    plain = plan_fleet(fleet, full)
    bounded = plan_fleet(replace(fleet, limits=Limits(budget_per_hour=1e9)), full)
    assert bounded.objective == pytest.approx(plain.objective, rel=1e-9, abs=1e-9)
    assert [s.served for s in bounded.services] == [s.served for s in plain.services]
    assert bounded.usage[0].used == sum(item.cards for item in bounded.allocations)
    assert bounded.usage[0].used <= fleet.capacity[0].count


def test_what_runs_on_slices_is_kept_and_counted() -> None:
    now = {"accelerator": "A100-3g", "replicas": 3}
    plan = plan_fleet(sliced(2, server_document(load="unknown", current=now)))
    assert plan.allocations[0].cards == 2
    same = plan_fleet(sliced(9, server_document(load=LIGHT, current={**now, "replicas": 4})))
    free = plan_fleet(sliced(9, server_document(load=LIGHT))).allocations[0].replicas
    assert same.allocations[0].value == pytest.approx(0.7 * (free - 4))


def test_bounds_and_best_effort_take_bundles_whole() -> None:
    plan = plan_fleet(sliced(9, server_document(load=LIGHT, min_replicas=9)))
    assert plan.allocations[0].replicas == 9
    assert plan.allocations[0].cards == 5
    with pytest.raises(InvalidInputError, match="slices of cards are beyond plans that mix"):
        plan_fleet(sliced(9, server_document()), OptimizerSettings(heterogeneous=True))


@pytest.mark.parametrize("part", [{"sevenths": 3}, {"parts": 4}])
def test_a_fleet_with_slices_comes_back_as_it_was(part: Document) -> None:
    fleet = sliced(4, part=part)
    assert document_to_fleet(fleet_to_document(fleet)) == fleet


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("accelerators", "slice"), {"sevenths": 5}, "accelerators[0].slice.sevenths: 5"),
        (("accelerators", "slice"), {}, "accelerators[0].slice: is not told"),
        (
            ("accelerators", "slice"),
            {"sevenths": 1, "parts": 2},
            "accelerators[0].slice: is told in two ways (allowed: one of sevenths and parts)",
        ),
        (("accelerators", "card_type"), None, "accelerators[0].card_type: is missing"),
        (("accelerators", "cards"), 2, "accelerators[0].cards: 2 cards of a slice"),
        (
            ("profiles", "accelerators_per_replica"),
            2,
            "profiles[0].accelerators_per_replica: 2 slices of cards for one replica",
        ),
        (
            ("profiles", "parallel"),
            {"tensor": 2},
            "profiles[0].parallel.tensor: 2 on slices of cards",
        ),
        (
            ("profiles", "disaggregated"),
            {},
            "profiles[0].disaggregated: is given on slices of cards",
        ),
    ],
)
def test_mistakes_are_told(path: tuple[str, str], value: Any, told: str) -> None:
    document = sliced_document(4)
    document[path[0]][0][path[1]] = value
    with pytest.raises(InvalidInputError) as caught:
        document_to_fleet(document)
    assert told in str(caught.value)
