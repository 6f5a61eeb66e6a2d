"""What counts as a change of a server: all that a plan decides, as far as what runs tells it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data.stoker_format import document_to_fleet, fleet_to_document
from optimizer.check import check_plan
from optimizer.planner import plan_fleet
from stoker.domain.errors import InvalidInputError, PlanCheckError
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Limits, Objective, ObjectiveName, Objectives
from stoker.domain.plan import Plan
from stoker.domain.pools import Pool
from stoker.domain.server import Allocation
from stoker.domain.settings import Analysis, OptimizerSettings
from tests.support.naive_pools import best_plan
from tests.support.pool_decisions import decision_of, pruned
from tests.support.pool_questions import question_of
from tests.support.pool_terms import Client, Instance, Now, Offer
from tests.support.small_fleets import make_fleet, make_server

PLAIN = Offer(0, "A", 1, 1.0, 2)
APART = Offer(0, "A", 3, 3.0, 1, prefill=1, decode=2)
POOLS = (Pool("p", "A", 4), Pool("q", "A", 4, price_factor=0.5))
CHANGES = Objectives((Objective(ObjectiveName.CHANGES),))


def changes(offer: Offer, now: Now, *, pools: tuple[Pool, ...] = POOLS[:1]) -> float:
    """Return the fewest changes with which a server with one offer is served."""
    instance = Instance((Client(1, 1.0, (offer,), now=now),), pools, objectives=CHANGES)
    decision = decision_of(pruned(question_of(instance)))
    best = best_plan(instance)
    assert decision.counts == best.served == (1,)
    reached = [stage.reached for stage in decision.stages]
    assert reached == pytest.approx(list(best.stages), abs=1e-9)
    return reached[0]


@pytest.mark.parametrize(
    ("offer", "now", "count"),
    [
        (PLAIN, Now(0, 2), 0),
        (PLAIN, Now(0, 1), 1),
        (PLAIN, Now(1, 2), 1),
        (PLAIN, Now(0, 2, configuration=1), 1),
        (PLAIN, Now(0, 2, batch=1), 0),
        (PLAIN, Now(0, 2, batch=64), 1),
        (PLAIN, Now(0, 2, where=(2,)), 0),
        (PLAIN, Now(0, 2, prefill=1), 1),
        (APART, Now(0, 3, prefill=1), 0),
        (APART, Now(0, 3, prefill=1, where=(3,)), 0),
        (APART, Now(0, 3, prefill=2), 1),
        (APART, Now(0, 3), 1),
        (APART, Now(0, 3, prefill=1, batch=8), 1),
    ],
)
def test_a_change_is_any_difference_that_is_told(offer: Offer, now: Now, count: int) -> None:
    assert changes(offer, now) == pytest.approx(count)


def test_replicas_may_stay_where_they_are_or_move_which_is_a_change() -> None:
    now = Now(0, 2, where=(1, 1))
    assert changes(PLAIN, now, pools=POOLS) == pytest.approx(0.0)
    narrow = (replace(POOLS[0], cards=0), POOLS[1])
    assert changes(PLAIN, now, pools=narrow) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("where", "count"), [((3, 0), 0), ((0, 3), 0), ((1, 2), 1), ((2, 1), 1), ((1, 1), 1)]
)
def test_two_pools_of_replicas_stay_only_in_one_pool_of_cards(
    where: tuple[int, ...], count: int
) -> None:
    now = Now(0, 3, prefill=1, where=where)
    if sum(where) == 3:
        assert changes(APART, now, pools=POOLS) == pytest.approx(count)
    client = Client(1, 1.0, (APART,), now=now)
    question = question_of(Instance((client,), POOLS, limits=Limits(max_changes=0)))
    assert np.any(question.options.in_place[question.pairs.option]) == (count == 0)


@pytest.mark.parametrize(("most", "value"), [(0, 0.0), (1, -0.5)])
def test_moving_to_a_cheaper_pool_takes_a_change(most: int, value: float) -> None:
    """What stays in place must not stand for what may move, cheaper though no change it is."""
    client = Client(1, 1.0, (Offer(0, "A", 1, 1.0, 1),), now=Now(0, 1, where=(1, 0)))
    instance = Instance((client,), POOLS, limits=Limits(max_changes=most))
    decision = decision_of(pruned(question_of(instance)))
    assert decision.stages[0].reached == pytest.approx(value)
    assert best_plan(instance).stages[0] == pytest.approx(value)


ZONES = (Pool("c-x", "C", 10), Pool("c-y", "C", 10, price_factor=0.5))


def frozen(now: Allocation) -> Fleet:
    """Return a fleet that may change nothing, with this running."""
    fleet = make_fleet(make_server("s", current=now))
    return replace(fleet, capacity=(), pools=ZONES, limits=Limits(max_changes=0))


def plan_of(fleet: Fleet) -> Plan:
    return plan_fleet(fleet, OptimizerSettings(analysis=Analysis.REFERENCE))


def test_a_plan_leaves_replicas_where_they_stand() -> None:
    free = plan_of(replace(frozen(Allocation("Cheap", 2)), limits=Limits(max_replicas=99)))
    (item,) = free.allocations
    assert {part.pool for part in item.placements} == {"c-y"}
    count = item.replicas
    now = Allocation(item.accelerator, count, in_pools=(("c-x", 1), ("c-y", count - 1)))
    (stays,) = plan_of(frozen(now)).allocations
    assert stays.fully_served
    assert {part.pool: part.replicas for part in stays.placements} == {"c-x": 1, "c-y": count - 1}
    moved = replace(now, in_pools=(("c-x", count),))
    with pytest.raises(PlanCheckError, match="servers change"):
        check_plan(frozen(moved), plan_of(frozen(now)), unlimited=False, own_predictions=True)


def test_documents_tell_where_replicas_stand() -> None:
    fleet = frozen(Allocation("Cheap", 3, cost_per_hour=3.0, in_pools=(("c-x", 1), ("c-y", 2))))
    assert document_to_fleet(fleet_to_document(fleet)).servers == fleet.servers


@pytest.mark.parametrize(
    ("pools", "words"),
    [
        ({"c-x": 1, "c-z": 2}, 'no pool is called "c-z"'),
        ({"c-x": 1, "c-y": 1}, "2 replicas stand in pools, and 3 run"),
        ({"c-x": 0, "c-y": 3}, "servers[0].current.pools"),
    ],
)
def test_pools_of_what_runs_are_checked(pools: dict[str, int], words: str) -> None:
    document = fleet_to_document(frozen(Allocation("Cheap", 3)))
    servers = document["servers"]
    assert isinstance(servers, list)
    servers[0]["current"]["pools"] = pools
    with pytest.raises(InvalidInputError) as caught:
        document_to_fleet(document)
    assert words in str(caught.value)


def test_what_runs_and_fits_no_more_is_ruled_out_as_any_other_candidate() -> None:
    fleet = replace(frozen(Allocation("Cheap", 1)), limits=Limits(), pools=ZONES[:1])
    (item,) = plan_of(fleet).allocations
    narrow = replace(fleet, pools=(replace(ZONES[0], cards=item.cards - 1),))
    runs = replace(narrow.servers[0], current=Allocation(item.accelerator, item.replicas))
    (new,) = plan_of(narrow).unplaced
    (same,) = plan_of(replace(narrow, servers=(runs,))).unplaced
    assert item.accelerator in new.rejections
    assert same == new


@pytest.mark.parametrize("own", [True, False])
def test_what_runs_beyond_the_replicas_allowed_is_served_with_fewer(*, own: bool) -> None:
    fleet = replace(frozen(Allocation("Cheap", 1)), limits=Limits())
    (least,) = plan_of(fleet).allocations
    runs = Allocation(least.accelerator, least.replicas + 1)
    bound = Limits(max_replicas_per_server=None if own else least.replicas)
    server = replace(fleet.servers[0], current=runs, max_replicas=least.replicas if own else None)
    crowded = replace(fleet, servers=(server,), limits=bound, objectives=CHANGES)
    (shrunk,) = plan_of(crowded).allocations
    assert (shrunk.fully_served, shrunk.replicas) == (True, least.replicas)
    # Where it may not change either, it stays as it is, and the promise of so few is not kept.
    stuck = plan_of(replace(crowded, limits=replace(bound, max_changes=0)))
    assert [item.replicas for item in stuck.allocations] == [least.replicas + 1]
    assert [item.fully_served for item in stuck.allocations] == [False]
    roomy = replace(
        crowded, limits=Limits(max_changes=0), servers=(replace(server, max_replicas=9),)
    )
    (stays,) = plan_of(roomy).allocations
    assert (stays.fully_served, stays.replicas) == (True, least.replicas + 1)
