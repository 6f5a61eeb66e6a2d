"""Plans that fit their nodes, against trying every plan and every place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.complete import with_best_effort
from optimizer.fitting import rooms
from optimizer.fitting.places import Places, places_of
from optimizer.fitting.rooms import Room, room_of
from optimizer.milp import place_milp
from optimizer.nodes.fillings import TooManyFillingsError
from optimizer.placement import Placement
from optimizer.table import CandidateTable
from stoker.domain.fleet import Fleet
from stoker.domain.nodes import LinkGroup, Node
from stoker.domain.plan import PlanStatus
from stoker.domain.settings import OptimizerSettings, SaturationPolicy
from tests.support.naive_fitting import fit
from tests.support.tables import Case, Option, brute_force, cases, make_table

PALETTES = [(1, 2, 4), (1, 2, 4), (2, 4, 8), (1, 2, 3), (2, 3, 5), (1, 3, 4)]

groups = st.integers(1, 6).flatmap(
    lambda cards: st.builds(LinkGroup, st.just(cards), st.sampled_from([0, 0, 0, 1, cards]))
)


@st.composite
def some_nodes(draw: st.DrawFn, types: int, most: int = 4) -> tuple[Node, ...]:
    return tuple(
        Node(
            f"n{index}",
            f"t{draw(st.integers(0, types - 1))}",
            tuple(draw(st.lists(groups, min_size=1, max_size=2))),
        )
        for index in range(draw(st.integers(1, most)))
    )


@st.composite
def fleets_on_nodes(
    draw: st.DrawFn, servers: int = 4, options: int = 3
) -> tuple[Case, tuple[Node, ...]]:
    case = draw(cases(servers=servers, options=options))
    palette = draw(st.sampled_from(PALETTES))
    sized = tuple(
        (*server[:3], tuple(replace(item, cards=palette[item.cards - 1]) for item in server[3]))
        for server in case.servers
    )
    nodes = draw(some_nodes(len(case.capacity)))
    free: Counter[str] = Counter()
    for node in nodes:
        free[node.card_type] += node.free
    # Cards that are counted beside those on nodes are a bound of their own.
    less = draw(st.sampled_from([0, 0, 1]))
    capacity = tuple(max(0, free[f"t{index}"] - less) for index in range(len(case.capacity)))
    return Case(sized, capacity, case.current, case.penalty), nodes


def places(table: CandidateTable, nodes: tuple[Node, ...]) -> Places:
    return places_of(Fleet("USD", (), (), (), (), (), nodes=nodes), table, (), "HiGHS")


def fits(nodes: Sequence[Node], types: int, chosen: Sequence[dict[Option, int]]) -> bool:
    for index in range(types):
        counts: Counter[int] = Counter()
        for choice in chosen:
            for option, number in choice.items():
                if option.card_type == index:
                    counts[option.cards] += number
        if not fit([node for node in nodes if node.card_type == f"t{index}"], counts):
            return False
    return True


def placed(table: CandidateTable, nodes: Sequence[Node], placement: Placement) -> bool:
    """Whether a placement fits, counted from the table alone."""
    for index, name in enumerate(table.card_types):
        counts: Counter[int] = Counter()
        for row, replicas in zip(placement.row, placement.replicas, strict=True):
            if table.card_type[row] == index:
                counts[int(table.cards_per_replica[row])] += int(replicas)
        if not fit([node for node in nodes if node.card_type == name], counts):
            return False
    return True


def check(instance: tuple[Case, tuple[Node, ...]], chosen: OptimizerSettings) -> None:
    case, nodes = instance
    table, capacity = make_table(case)
    held = places(table, nodes)
    assert held.exact
    outcome = place_milp(table, capacity, chosen, places=held)
    best = brute_force(
        case,
        mixed=chosen.heterogeneous,
        fits=lambda choices: fits(nodes, len(case.capacity), choices),
    )
    assert tuple(service.served for service in outcome.services) == best.served
    assert outcome.objective == pytest.approx(best.value, rel=1e-9, abs=1e-9)
    assert (
        int((outcome.placement.replicas * table.cards_per_replica[outcome.placement.row]).sum())
        == best.cards
    )
    assert outcome.status is PlanStatus.OPTIMAL
    assert placed(table, nodes, outcome.placement)
    assert held.hold(outcome.placement)


@settings(max_examples=220, deadline=None)
@given(fleets_on_nodes())
def test_the_best_plan_that_fits_is_found(instance: tuple[Case, tuple[Node, ...]]) -> None:
    check(instance, OptimizerSettings())


@settings(max_examples=60, deadline=None)
@given(fleets_on_nodes(servers=2, options=2))
def test_mixes_are_the_best_that_fit(instance: tuple[Case, tuple[Node, ...]]) -> None:
    check(instance, OptimizerSettings(heterogeneous=True))


@settings(max_examples=40, deadline=None)
@given(fleets_on_nodes(servers=5))
def test_weighted_plans_fit(instance: tuple[Case, tuple[Node, ...]]) -> None:
    case, nodes = instance
    table, capacity = make_table(case)
    chosen = OptimizerSettings(exact_servers=0)
    outcome = place_milp(table, capacity, chosen, places=places(table, nodes))
    assert placed(table, nodes, outcome.placement)


@settings(max_examples=80, deadline=None)
@given(fleets_on_nodes(servers=5), st.sampled_from(list(SaturationPolicy)[1:]))
def test_best_effort_fits_and_leaves_no_room_for_one_more(
    instance: tuple[Case, tuple[Node, ...]], policy: SaturationPolicy
) -> None:
    case, nodes = instance
    table, capacity = make_table(case)
    held = places(table, nodes)
    outcome = place_milp(table, capacity, OptimizerSettings(), places=held)
    outcome = with_best_effort(table, outcome, capacity, policy, held)
    placement = outcome.placement
    assert placed(table, nodes, placement)
    used = np.zeros(len(capacity), dtype=np.int64)
    cards = placement.replicas * table.cards_per_replica[placement.row]
    typed = table.card_type[placement.row] >= 0
    np.add.at(used, table.card_type[placement.row][typed], cards[typed])
    assert (used <= capacity).all()
    # Whoever got nothing could not have been given a single replica either.
    without = set(range(len(table.servers))) - set(table.server[placement.row].tolist())
    for row in np.flatnonzero(table.accepted & (table.card_type >= 0)).tolist():
        if int(table.server[row]) in without and not placement.served[table.server[row]]:
            more = Placement(
                np.append(placement.row, row), np.append(placement.replicas, 1), placement.served
            )
            card_type = table.card_type[row]
            enough = used[card_type] + table.cards_per_replica[row] <= capacity[card_type]
            assert not (enough and placed(table, nodes, more))


sizes = st.sampled_from([(1, 2, 4), (1, 2, 4, 8), (2, 6), (1, 2, 3), (2, 3, 5), (3, 4)])
counted = st.lists(st.integers(0, 4), min_size=4, max_size=4)


def counts_of(sizes: Sequence[int], numbers: Sequence[int]) -> dict[int, int]:
    return dict(zip(sizes, numbers, strict=False))


def holds(room: Room, counts: dict[int, int]) -> bool:
    return not any(counts.values()) or room.most({}, counts, 1, "HiGHS") == 1


@settings(max_examples=500, deadline=None)
@given(some_nodes(1), sizes, counted)
def test_a_room_holds_what_fits_and_nothing_else(
    nodes: tuple[Node, ...], sizes: tuple[int, ...], numbers: list[int]
) -> None:
    counts = counts_of(sizes, numbers)
    room = room_of(nodes, sizes)
    assert room.exact
    assert holds(room, counts) == fit(nodes, counts)


@settings(max_examples=200, deadline=None)
@given(some_nodes(1), sizes, counted, counted)
def test_the_most_is_the_most(
    nodes: tuple[Node, ...], sizes: tuple[int, ...], first: list[int], second: list[int]
) -> None:
    there, more = counts_of(sizes, first), counts_of(sizes, second)
    room = room_of(nodes, sizes)
    if fit(nodes, there) and any(more.values()):
        most = room.most(there, more, 5, "HiGHS")
        for times in range(6):
            together = {size: there.get(size, 0) + times * more.get(size, 0) for size in sizes}
            assert fit(nodes, together) == (times <= most)


@settings(max_examples=200, deadline=None)
@given(some_nodes(1), sizes, counted)
def test_with_rounded_sizes_everything_that_is_held_fits(
    nodes: tuple[Node, ...], sizes: tuple[int, ...], numbers: list[int]
) -> None:
    counts = counts_of(sizes, numbers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rooms, "_ways", _too_many)
        room = room_of(nodes, sizes)
    if holds(room, counts):
        assert fit(nodes, counts)
    elif room.exact:
        assert not fit(nodes, counts)


def _too_many(*_: object) -> None:
    raise TooManyFillingsError


def test_a_large_domain_takes_rows_alone() -> None:
    nodes = [Node(f"n{index}", "t", (LinkGroup(72),)) for index in range(100)]
    room = room_of(nodes, (1, 2, 4, 8, 16))
    assert room.exact
    assert room.kinds == ()
    assert [row.most for row in room.slots] == [7200, 3600, 1800, 900, 400]
    odd = room_of(nodes, (1, 2, 3, 4, 5, 6, 7))
    assert not odd.exact
