"""Plans from somebody else's predictions."""

import dataclasses
import math

import pytest

from optimizer.candidates import table_from_estimates
from optimizer.evaluate import evaluate
from optimizer.planner import plan_fleet
from optimizer.table import ACCEPTED, EMPTY, REJECTIONS
from stoker.domain.candidate import CandidateEstimate
from stoker.domain.errors import InvalidInputError
from stoker.domain.plan import PlanStatus
from stoker.domain.reasons import Rejection
from stoker.domain.server import Allocation, Server
from stoker.domain.settings import OptimizerSettings, SaturationPolicy, SolverKind
from stoker.domain.workload import Load
from tests.support.small_fleets import make_fleet, make_server

GREEDY = OptimizerSettings(
    solver=SolverKind.GREEDY, saturation_policy=SaturationPolicy.PRIORITY_EXHAUSTIVE
)


def estimate(server: str, accelerator: str | None, **changes: object) -> CandidateEstimate:
    one = CandidateEstimate(
        server=server,
        accelerator=accelerator,
        replicas=4,
        max_batch=32,
        cost_per_hour=20.0,
        value=22.0,
        ttft_ms=50.0,
        itl_ms=10.0,
        utilization=0.5,
        max_rate_rps=1.1,
    )
    return dataclasses.replace(one, **changes)  # type: ignore[arg-type]


def test_figures_are_taken_over_and_the_rest_stays_unknown() -> None:
    plan = plan_fleet(make_fleet(), GREEDY, estimates=[estimate("s", "Big")])
    (allocation,) = plan.allocations
    assert (allocation.replicas, allocation.cards, allocation.card_type) == (4, 8, "B")
    assert (allocation.ttft_ms, allocation.itl_ms, allocation.utilization) == (50.0, 10.0, 0.5)
    assert (allocation.cost_per_hour, allocation.value) == (20.0, 22.0)
    assert (allocation.blocking, allocation.max_queue) == (None, None)
    assert allocation.fully_served


def test_latencies_of_best_effort_are_unknown() -> None:
    fleet = make_fleet(cards={"B": 6})
    plan = plan_fleet(fleet, GREEDY, estimates=[estimate("s", "Big")])
    (allocation,) = plan.allocations
    assert (allocation.replicas, allocation.fully_served) == (3, False)
    assert (allocation.ttft_ms, allocation.itl_ms, allocation.blocking) == (None, None, None)
    assert allocation.cost_per_hour == pytest.approx(15.0)
    assert allocation.value == pytest.approx(16.5)


def test_targets_are_not_held_against_them() -> None:
    plan = plan_fleet(make_fleet(), GREEDY, estimates=[estimate("s", "Big", ttft_ms=1e6)])
    assert plan.status is PlanStatus.FEASIBLE
    assert plan.unplaced == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"ttft_ms": 1e6}, "would miss a target"),
        ({"itl_ms": 1e6}, "would miss a target"),
        ({"itl_ms": math.nan, "ttft_ms": math.nan}, None),
        ({"max_rate_rps": 0.999}, "would carry less than the load"),
        ({"max_rate_rps": 1.0}, None),
        ({"max_rate_rps": math.nan}, None),
    ],
)
@pytest.mark.parametrize("chosen", [GREEDY, OptimizerSettings()])
def test_what_they_miss_is_noted(
    changes: dict[str, float], words: str | None, chosen: OptimizerSettings
) -> None:
    plan = plan_fleet(make_fleet(), chosen, estimates=[estimate("s", "Big", **changes)])
    assert plan.allocations[0].fully_served
    told = [note for note in plan.notes if "by the predictions given" in note]
    if words is None:
        assert told == []
    else:
        (note,) = told
        assert f"1 server served in full {words} (s)" in note


def test_the_first_of_many_that_miss_are_named() -> None:
    names = [f"s{k}" for k in range(5)]
    fleet = make_fleet(*(make_server(name) for name in names), cards={"B": 100})
    given = [estimate(name, "Big", itl_ms=1e6, max_rate_rps=0.1) for name in names]
    notes = plan_fleet(fleet, GREEDY, estimates=given).notes
    assert len(notes) == 2
    assert all("5 servers served in full would" in note for note in notes)
    assert all("(s0, s1, s2 and 2 more)" in note for note in notes)
    # Without load nothing is late, and a best-effort allocation says itself that it falls short.
    idle = make_server("s0", load=Load(0.0, 1, 1), min_replicas=1)
    assert plan_fleet(make_fleet(idle), GREEDY, estimates=given[:1]).notes == ()
    scarce = make_fleet(make_server("s0"), cards={"B": 2})
    assert plan_fleet(scarce, GREEDY, estimates=given[:1]).notes == ()


def test_several_empty_candidates_are_one() -> None:
    fleet = make_fleet(make_server(load=Load(0.0, 1, 1)))
    empty = estimate("s", None, replicas=0, cost_per_hour=0.0, value=-1.0)
    table = table_from_estimates(fleet, [empty, dataclasses.replace(empty, value=-2.0)])
    assert table.accelerator.tolist() == [EMPTY]
    assert table.value.tolist() == [-2.0]
    assert table.cards.tolist() == [0]


def test_rows_stand_in_the_fleet_s_order() -> None:
    fleet = make_fleet(make_server("z"), make_server("a"))
    table = table_from_estimates(
        fleet, [estimate("a", "Cheap"), estimate("z", "Old"), estimate("a", "Big")]
    )
    assert table.row_start.tolist() == [0, 1, 3]
    assert table.accelerator.tolist() == [2, 0, 1]
    assert table.cards_per_replica.tolist() == [2, 2, 1]


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (make_server(min_replicas=5), Rejection.REPLICA_BOUND),
        (make_server(max_replicas=3), Rejection.REPLICA_BOUND),
        (make_server(load=None), Rejection.LOAD_UNKNOWN),
        (
            make_server(keep_accelerator=True, current=Allocation("Cheap", 1)),
            Rejection.NOT_CURRENT,
        ),
    ],
)
def test_the_server_s_own_rules_still_hold(server: Server, reason: Rejection) -> None:
    table = table_from_estimates(make_fleet(server), [estimate("s", "Big")])
    assert REJECTIONS[table.rejection[0] - 1] is reason


def test_only_the_server_s_own_bound_on_replicas_counts() -> None:
    table = table_from_estimates(make_fleet(), [estimate("s", "Big", replicas=50_000)])
    assert table.rejection.tolist() == [ACCEPTED]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (estimate("nobody", "Big"), "no server 'nobody'"),
        (estimate("s", "H9000"), "no accelerator 'H9000'"),
        (estimate("s", "Big", replicas=0), "replicas 0"),
        (estimate("s", "Big", replicas=2**40), "replicas"),
        (estimate("s", "Big", value=math.nan), "finite"),
        (estimate("s", None, replicas=0), "an empty allocation for a server that has load"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: CandidateEstimate, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        table_from_estimates(make_fleet(), [wrong])


def test_all_problems_are_told_at_once() -> None:
    wrong = [estimate("nobody", "Big"), estimate("s", "Big"), estimate("s", "Big")]
    with pytest.raises(InvalidInputError) as caught:
        table_from_estimates(make_fleet(), wrong)
    assert len(caught.value.problems) == 2


def test_an_accelerator_without_profile_tells_no_cards() -> None:
    with pytest.raises(InvalidInputError, match="no profile"):
        table_from_estimates(make_fleet(profiles=()), [estimate("s", "Big")])


def test_a_server_without_estimate_has_no_candidate() -> None:
    fleet = make_fleet(make_server("a"), make_server("b"))
    plan = plan_fleet(fleet, GREEDY, estimates=[estimate("a", "Big")])
    (item,) = plan.unplaced
    assert (item.server, item.detail) == ("b", "no candidate was given for it")
    assert "give a prediction for b" in item.remedy


def test_evaluating_an_estimate_at_another_rate_gives_unknown() -> None:
    fleet = make_fleet()
    table = table_from_estimates(fleet, [estimate("s", "Big")])
    figures = evaluate(fleet, table, table.server, table.total_rate_rps)
    assert math.isnan(figures.ttft_ms[0])
    assert math.isnan(figures.blocking[0])
