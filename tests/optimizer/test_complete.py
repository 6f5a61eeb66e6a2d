"""Best effort after a solver: for those who have nothing, and in full where it suffices."""

import numpy as np
import pytest

from optimizer.complete import with_best_effort
from optimizer.outcome import class_services
from optimizer.placement import Outcome, Placement
from stoker.domain.plan import PlanStatus
from stoker.domain.settings import SaturationPolicy
from tests.support.tables import Case, Option, make_table

CHEAP = Option(accelerator=0, card_type=0, cards=1, unit_cost=1.0, rate=1.0)
DEAR = Option(accelerator=1, card_type=1, cards=1, unit_cost=3.0, rate=2.0)


def two_servers(capacity: tuple[int, int]) -> Case:
    """Two servers of 4 requests/s; what one takes is 4 cheap replicas or 2 dear ones."""
    server = (1, 4.0, 0, (CHEAP, DEAR))
    return Case((server, server), capacity, ((-1, 0.0), (-1, 0.0)))


def stopped(case: Case, rows: list[int], replicas: list[int], served: list[bool]) -> Outcome:
    """Return the outcome of a solver that was stopped with a placement."""
    table, _ = make_table(case)
    marks = np.array(served)
    row = np.array(rows, dtype=np.int64)
    objective = float(table.value[row[marks[table.server[row]]]].sum())
    return Outcome(
        placement=Placement(row, np.array(replicas, dtype=np.int64), marks),
        status=PlanStatus.FEASIBLE,
        objective=objective,
        bound=objective - 1.0,
        gap=1.0,
        services=class_services(table, marks, proven=False),
        method="milp-weighted",
    )


POLICIES = [policy for policy in SaturationPolicy if policy is not SaturationPolicy.NONE]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_server_that_receives_all_of_a_candidate_is_served(policy: SaturationPolicy) -> None:
    case = two_servers((8, 0))
    table, capacity = make_table(case)
    before = stopped(case, [0], [4], [True, False])
    after = with_best_effort(table, before, capacity, policy)
    assert after.placement.row.tolist() == [0, 2]
    assert after.placement.replicas.tolist() == [4, 4]
    assert after.placement.served.tolist() == [True, True]
    assert [(item.served, item.servers) for item in after.services] == [(2, 2)]
    assert after.objective == pytest.approx(float(table.value[0] + table.value[2]))
    assert after.status is PlanStatus.FEASIBLE
    assert after.bound == before.bound
    assert after.gap == pytest.approx((after.objective - (after.bound or 0.0)) / after.objective)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_server_that_receives_a_part_is_not_served(policy: SaturationPolicy) -> None:
    case = two_servers((7, 0))
    table, capacity = make_table(case)
    before = stopped(case, [0], [4], [True, False])
    after = with_best_effort(table, before, capacity, policy)
    assert after.placement.replicas.tolist() == [4, 3]
    assert after.placement.served.tolist() == [True, False]
    assert (after.objective, after.services) == (before.objective, before.services)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_server_that_keeps_a_mix_is_given_no_more(policy: SaturationPolicy) -> None:
    case = two_servers((8, 4))
    table, capacity = make_table(case)
    # The second server keeps 1 cheap and 1 dear replica, a mix that misses a target.
    before = stopped(case, [0, 2, 3], [4, 1, 1], [True, False])
    after = with_best_effort(table, before, capacity, policy)
    assert after.placement.row.tolist() == [0, 2, 3]
    assert after.placement.replicas.tolist() == [4, 1, 1]
    assert after.placement.served.tolist() == [True, False]
