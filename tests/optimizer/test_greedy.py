"""The greedy method and best effort against a plain scalar version, and their properties."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.greedy import place_greedy
from optimizer.table import EMPTY, CandidateTable, IntArray
from stoker.domain.plan import PlanStatus
from stoker.domain.settings import OptimizerSettings, SaturationPolicy
from tests.support.golden_systems import chosen_by_stoker
from tests.support.naive_greedy import Choice, Naive
from tests.support.tables import Case, Option, cases, make_table

POLICIES = st.sampled_from(list(SaturationPolicy))


def naive_plan(
    table: CandidateTable, capacity: IntArray, settings: OptimizerSettings
) -> tuple[dict[str, tuple[str, int]], dict[str, tuple[str, int]]]:
    servers = []
    for index, name in enumerate(table.servers):
        choices = [
            Choice(
                table.accelerators[table.accelerator[row]],
                int(table.card_type[row]),
                int(table.cards_per_replica[row]),
                int(table.replicas[row]),
                float(table.value[row]),
            )
            for row in range(table.row_start[index], table.row_start[index + 1])
            if table.accelerator[row] != EMPTY
        ]
        servers.append((name, int(table.priority[index]), choices))
    naive = Naive(capacity.tolist())
    naive.run(servers, settings.saturation_policy, settings.delayed_best_effort)
    return naive.full, naive.partial


@given(cases(servers=7, options=4), POLICIES, st.booleans())
def test_equals_the_plain_version(case: Case, policy: SaturationPolicy, delayed: bool) -> None:
    table, capacity = make_table(case)
    settings = OptimizerSettings(saturation_policy=policy, delayed_best_effort=delayed)
    placement = place_greedy(table, capacity, settings).placement
    full, partial = naive_plan(table, capacity, settings)
    assert chosen_by_stoker(table, placement) == full | partial
    empty = {table.servers[table.server[r]] for r in np.flatnonzero(table.accelerator == EMPTY)}
    served = {name for name, s in zip(table.servers, placement.served, strict=True) if s}
    assert served == set(full) | empty


@given(cases(servers=7, options=4), POLICIES, st.booleans())
def test_never_uses_more_cards_than_there_are(
    case: Case, policy: SaturationPolicy, delayed: bool
) -> None:
    table, capacity = make_table(case)
    settings = OptimizerSettings(saturation_policy=policy, delayed_best_effort=delayed)
    placement = place_greedy(table, capacity, settings).placement
    used = [0] * len(capacity)
    for row, replicas in zip(placement.row, placement.replicas, strict=True):
        if table.card_type[row] >= 0:
            used[table.card_type[row]] += int(replicas) * int(table.cards_per_replica[row])
    assert all(u <= c for u, c in zip(used, capacity.tolist(), strict=True))
    assert np.all(placement.replicas <= table.replicas[placement.row])


@given(cases(servers=6, options=3), POLICIES, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_servers_does_not_matter(
    case: Case, policy: SaturationPolicy, delayed: bool, random: object
) -> None:
    table, capacity = make_table(case)
    order = list(range(len(case.servers)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled_case = dataclasses.replace(
        case,
        servers=tuple(case.servers[k] for k in order),
        current=tuple(case.current[k] for k in order),
    )
    shuffled, _ = make_table(shuffled_case)
    shuffled = dataclasses.replace(shuffled, servers=tuple(table.servers[k] for k in order))
    settings = OptimizerSettings(saturation_policy=policy, delayed_best_effort=delayed)
    one = place_greedy(table, capacity, settings).placement
    other = place_greedy(shuffled, capacity, settings).placement
    assert chosen_by_stoker(table, one) == chosen_by_stoker(shuffled, other)


def two_servers(cards: int, first: float = 3.0, second: float = 3.0) -> Case:
    """Two servers that want as many replicas as their rate, of one card type."""
    option = Option(accelerator=0, card_type=0, cards=1, unit_cost=1.0, rate=1.0)
    return Case(
        servers=((1, first, 0, (option,)), (2, second, 0, (option,))),
        capacity=(cards,),
        current=((EMPTY, 0.0), (EMPTY, 0.0)),
    )


@pytest.mark.parametrize(
    ("policy", "delayed", "expected"),
    [
        (SaturationPolicy.NONE, False, {}),
        (SaturationPolicy.PRIORITY_EXHAUSTIVE, False, {"s0": ("a0", 7)}),
        (SaturationPolicy.PRIORITY_ROUND_ROBIN, False, {"s0": ("a0", 7)}),
        (SaturationPolicy.PRIORITY_ROUND_ROBIN, True, {"s0": ("a0", 7)}),
        (SaturationPolicy.ROUND_ROBIN, False, {"s0": ("a0", 7)}),
        (SaturationPolicy.ROUND_ROBIN, True, {"s0": ("a0", 4), "s1": ("a0", 3)}),
    ],
)
def test_who_gets_what_is_left(
    policy: SaturationPolicy, delayed: bool, expected: dict[str, tuple[str, int]]
) -> None:
    table, capacity = make_table(two_servers(cards=7, first=9.0, second=9.0))
    settings = OptimizerSettings(saturation_policy=policy, delayed_best_effort=delayed)
    outcome = place_greedy(table, capacity, settings)
    assert chosen_by_stoker(table, outcome.placement) == expected
    assert not outcome.placement.served.any()
    assert outcome.status is (PlanStatus.FEASIBLE if expected else PlanStatus.INFEASIBLE)


def test_delayed_best_effort_leaves_lower_priorities_their_full_share() -> None:
    table, capacity = make_table(two_servers(cards=5, first=9.0, second=3.0))
    policy = SaturationPolicy.PRIORITY_EXHAUSTIVE
    at_once = place_greedy(table, capacity, OptimizerSettings(saturation_policy=policy))
    delayed = place_greedy(
        table, capacity, OptimizerSettings(saturation_policy=policy, delayed_best_effort=True)
    )
    assert chosen_by_stoker(table, at_once.placement) == {"s0": ("a0", 5)}
    assert chosen_by_stoker(table, delayed.placement) == {"s0": ("a0", 2), "s1": ("a0", 3)}
    assert delayed.placement.served.tolist() == [False, True]
    assert [(s.priority, s.served, s.servers, s.bound) for s in delayed.services] == [
        (1, 0, 1, None),
        (2, 1, 1, None),
    ]


def test_long_round_robins_are_not_played_turn_by_turn() -> None:
    table, capacity = make_table(two_servers(cards=2_000_000_001, first=1.5e9, second=1.5e9))
    settings = OptimizerSettings(
        saturation_policy=SaturationPolicy.ROUND_ROBIN, delayed_best_effort=True
    )
    # The first is served in full; the second takes what is left.
    placement = place_greedy(table, capacity, settings).placement
    assert placement.replicas.tolist() == [1_500_000_000, 500_000_001]


def test_ties_in_money_are_decided_by_name_not_by_rounding() -> None:
    def option(accelerator: int, cost: float) -> Option:
        return Option(accelerator, card_type=0, cards=1, unit_cost=cost, rate=1.0)

    # 0.1 + 0.2 is not 0.3 in floating point; three replicas at 0.1 tie one at 0.3.
    case = Case(
        servers=((1, 1.0, 0, (option(1, 0.1 + 0.2), option(0, 0.3))),),
        capacity=(9,),
        current=((EMPTY, 0.0),),
    )
    table, capacity = make_table(case)
    outcome = place_greedy(table, capacity, OptimizerSettings())
    assert chosen_by_stoker(table, outcome.placement) == {"s0": ("a0", 1)}
