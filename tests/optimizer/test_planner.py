"""Plans end to end: what they say, that they repeat, and how they explain themselves."""

import dataclasses
import math
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.planner import plan_fleet
from optimizer.preparation import effective_settings
from stoker.domain.candidate import CandidateEstimate
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.profile import ModelProfile, TokenWorkParameters
from stoker.domain.reasons import Rejection, UnplacedReason
from stoker.domain.server import Allocation
from stoker.domain.settings import (
    DEFAULT_ANALYSIS,
    STOKER_RULES,
    Analysis,
    OptimizerSettings,
    SaturationPolicy,
    SolverKind,
)
from stoker.domain.slo import ServiceClass, SloTarget
from stoker.domain.workload import Load
from tests.support.small_fleets import PROFILES, fleets, make_fleet, make_server

GREEDY = OptimizerSettings(solver=SolverKind.GREEDY)
UNLIMITED = OptimizerSettings(unlimited=True)
NOTHING = Load(0.0, 128, 256)


def untimed(plan: Plan) -> Plan:
    return dataclasses.replace(plan, timings_ms={})


def ticking() -> Iterator[float]:
    return iter([k * 0.001 for k in range(1000)])


@given(fleets(), st.sampled_from(list(SaturationPolicy)), st.booleans(), st.booleans())
@settings(max_examples=60)
def test_every_plan_passes_its_check_and_repeats(
    fleet: Fleet, policy: SaturationPolicy, delayed: bool, unlimited: bool
) -> None:
    chosen = OptimizerSettings(
        unlimited=unlimited,
        solver=SolverKind.GREEDY,
        saturation_policy=policy,
        delayed_best_effort=delayed,
    )
    plan = plan_fleet(fleet, chosen)
    assert repr(untimed(plan)) == repr(untimed(plan_fleet(fleet, chosen)))
    unplaced = {item.server for item in plan.unplaced}
    served = {item.server for item in plan.allocations if item.fully_served}
    assert unplaced.isdisjoint(served)
    assert unplaced | served == {server.name for server in fleet.servers}
    order = [server.name for server in fleet.servers]
    assert [a.server for a in plan.allocations] == sorted(
        (a.server for a in plan.allocations), key=order.index
    )
    for item in plan.unplaced:
        assert item.detail
        assert item.remedy
    unknown = {server.name for server in fleet.servers if server.load is None}
    for allocation in plan.allocations:
        if allocation.accelerator is not None and allocation.server not in unknown:
            assert allocation.blocking is not None
            assert 0 <= allocation.blocking <= 1
            assert allocation.ttft_ms is not None
            assert math.isfinite(allocation.ttft_ms)


@given(
    fleets(most_servers=4),
    st.sampled_from(list(SaturationPolicy)),
    st.booleans(),
    st.sampled_from([1, 100]),
)
@settings(max_examples=25)
def test_every_milp_plan_passes_its_check(
    fleet: Fleet, policy: SaturationPolicy, heterogeneous: bool, exact_servers: int
) -> None:
    chosen = OptimizerSettings(
        heterogeneous=heterogeneous, saturation_policy=policy, exact_servers=exact_servers
    )
    plan = plan_fleet(fleet, chosen)
    assert plan.status in (PlanStatus.OPTIMAL, PlanStatus.FEASIBLE, PlanStatus.INFEASIBLE)
    assert len(plan.unplaced) + sum(a.fully_served for a in plan.allocations) == len(fleet.servers)


def test_unlimited_ignores_capacity_and_is_optimal() -> None:
    fleet = make_fleet(cards={})
    plan = plan_fleet(fleet, UNLIMITED)
    assert (plan.status, plan.method) == (PlanStatus.OPTIMAL, "unlimited")
    assert (plan.bound, plan.gap) == (plan.objective, 0.0)
    assert [(s.served, s.bound) for s in plan.services] == [(1, 1)]
    assert [(u.card_type, u.available) for u in plan.usage] == [("B", None), ("C", None)]
    assert plan.unplaced == ()
    limited = plan_fleet(fleet, GREEDY)
    assert limited.status is PlanStatus.INFEASIBLE
    assert set(limited.unplaced[0].rejections.values()) == {Rejection.NO_CARDS}
    assert "no cards of any type" in limited.unplaced[0].detail


def test_greedy_proves_nothing() -> None:
    plan = plan_fleet(make_fleet(), GREEDY)
    assert (plan.status, plan.bound, plan.gap) == (PlanStatus.FEASIBLE, None, None)
    assert plan.analysis is DEFAULT_ANALYSIS is Analysis.FULL
    assert [s.bound for s in plan.services] == [None]
    allocation = plan.allocations[0]
    assert plan.objective == allocation.value
    assert plan.cost_per_hour == allocation.cost_per_hour
    used = {usage.card_type: usage.used for usage in plan.usage}
    assert used[str(allocation.card_type)] == allocation.cards


def test_milp_is_the_default_and_never_worse_than_greedy() -> None:
    servers = [make_server(f"s{k}", load=Load(1.0 + k, 128, 256)) for k in range(5)]
    fleet = make_fleet(*servers, cards={"B": 4, "C": 9})
    milp = plan_fleet(fleet, OptimizerSettings())
    greedy = plan_fleet(fleet, GREEDY)
    assert milp.method == "milp-exact"
    assert milp.status is PlanStatus.OPTIMAL
    counts = [tuple(s.served for s in plan.services) for plan in (milp, greedy)]
    assert counts[0] > counts[1] or (
        counts[0] == counts[1] and milp.objective <= greedy.objective + 1e-9
    )


def test_milp_gives_best_effort_of_what_is_left() -> None:
    servers = [make_server("a", load=Load(200.0, 128, 256)), make_server("b")]
    fleet = make_fleet(*servers, cards={"B": 6, "C": 0})
    bare = plan_fleet(fleet, OptimizerSettings())
    generous = plan_fleet(
        fleet, OptimizerSettings(saturation_policy=SaturationPolicy.PRIORITY_EXHAUSTIVE)
    )
    assert [a.server for a in bare.allocations] == ["b"]
    assert [(a.server, a.fully_served) for a in generous.allocations] == [("a", False), ("b", True)]
    assert generous.objective == bare.objective
    assert generous.usage[0].used == 6
    partial = generous.allocations[0]
    assert partial.blocking is not None
    assert partial.blocking > 0.5
    assert partial.utilization == pytest.approx(1.0, abs=1e-3)
    assert "best effort gave it 2 of the" in generous.unplaced[0].detail


def test_heterogeneous_mix_reports_its_parts() -> None:
    fleet = make_fleet(make_server(load=Load(22.0, 128, 256)), cards={"B": 2, "C": 40})
    plan = plan_fleet(fleet, OptimizerSettings(heterogeneous=True))
    (allocation,) = plan.allocations
    assert plan.status is PlanStatus.OPTIMAL
    assert len(allocation.mix) > 1
    assert allocation.replicas == sum(part.replicas for part in allocation.mix)
    assert allocation.cost_per_hour == pytest.approx(sum(p.cost_per_hour for p in allocation.mix))
    share = math.fsum(part.arrival_rate_rps * part.replicas for part in allocation.mix)
    assert share == pytest.approx(22.0)
    ratios = [part.arrival_rate_rps / part.max_rate_rps for part in allocation.mix]
    assert max(ratios) == pytest.approx(min(ratios))
    assert allocation.card_type is None
    lowest = min(part.ttft_ms or 0 for part in allocation.mix)
    highest = max(part.ttft_ms or 0 for part in allocation.mix)
    assert allocation.ttft_ms is not None
    assert lowest <= allocation.ttft_ms <= highest


@pytest.mark.parametrize("chosen", [GREEDY, UNLIMITED])
def test_heterogeneous_without_milp_says_that_it_was_ignored(chosen: OptimizerSettings) -> None:
    plan = plan_fleet(make_fleet(), dataclasses.replace(chosen, heterogeneous=True))
    assert any("heterogeneous was ignored" in note for note in plan.notes)
    assert not any(allocation.mix for allocation in plan.allocations)


def test_zero_load_is_placed_empty_and_served() -> None:
    idle = make_server("idle", load=NOTHING, current=Allocation("Cheap", 2, cost_per_hour=2.0))
    for chosen in (GREEDY, UNLIMITED, OptimizerSettings()):
        plan = plan_fleet(make_fleet(idle, make_server("busy")), chosen)
        empty = plan.allocations[0]
        assert (empty.accelerator, empty.replicas, empty.cards) == (None, 0, 0)
        assert (empty.cost_per_hour, empty.fully_served) == (0.0, True)
        assert (empty.ttft_ms, empty.itl_ms, empty.card_type) == (None, None, None)
        assert empty.value == pytest.approx(-1.8)
        assert plan.services[0].served == 2
    alone = plan_fleet(make_fleet(idle), GREEDY)
    assert alone.status is PlanStatus.FEASIBLE


def test_nobody_served_is_infeasible() -> None:
    for chosen in (GREEDY, UNLIMITED, OptimizerSettings()):
        plan = plan_fleet(make_fleet(make_server(load=None)), chosen)
        assert plan.status is PlanStatus.INFEASIBLE
        assert (plan.bound, plan.gap, plan.allocations) == (None, None, ())


def test_unknown_load_is_explained() -> None:
    (item,) = plan_fleet(make_fleet(make_server(load=None)), GREEDY).unplaced
    assert item.reason is UnplacedReason.LOAD_UNKNOWN
    assert "arrival rate" in item.remedy
    assert set(item.rejections.values()) == {Rejection.LOAD_UNKNOWN}


def test_missing_cards_are_counted() -> None:
    plan = plan_fleet(make_fleet(make_server(load=Load(300.0, 128, 256))), GREEDY)
    (item,) = plan.unplaced
    assert item.reason is UnplacedReason.CAPACITY
    assert "B, of which 8 are free for it" in item.detail
    missing = int(item.remedy.split("add at least ")[1].split()[0])
    # As many more cards are enough, one less is not.
    for extra, left in ((missing, 0), (missing - 1, 1)):
        fleet = make_fleet(make_server(load=Load(300.0, 128, 256)), cards={"B": 8 + extra, "C": 20})
        assert len(plan_fleet(fleet, GREEDY).unplaced) == left


HEAVY = Load(300.0, 128, 256)
IN_TURNS = dataclasses.replace(GREEDY, saturation_policy=SaturationPolicy.ROUND_ROBIN)


@pytest.mark.parametrize("cards", [{"B": 0, "C": 2}, {"B": 2, "C": 0}])
def test_too_few_cards_of_one_type_and_none_of_another_are_too_few(cards: dict[str, int]) -> None:
    fleet = make_fleet(make_server(load=HEAVY), cards=cards)
    (item,) = plan_fleet(fleet, IN_TURNS).unplaced
    assert set(item.rejections.values()) == {Rejection.NO_CARDS}
    assert "the cards left are too few for any of its candidates" in item.detail
    assert "best effort gave it" in item.detail


@pytest.mark.parametrize("cards", [{}, {"B": 0, "C": 20}])
def test_no_cards_at_all_are_none_beside_another_rejection(cards: dict[str, int]) -> None:
    picky = (ServiceClass("gold", 1, (SloTarget("m", itl_ms=15.0, ttft_ms=5000.0),)),)
    (item,) = plan_fleet(make_fleet(cards=cards, classes=picky), IN_TURNS).unplaced
    assert set(item.rejections.values()) == {Rejection.NO_CARDS, Rejection.ITL_UNREACHABLE}
    assert "the fleet has no cards of any type that it could run on" in item.detail
    assert "of which 0 are free for it" in item.detail


def test_large_counts_have_separators() -> None:
    fleet = make_fleet(
        make_server(load=Load(30_000.0, 128, 256), max_replicas=10_000_000),
        cards={"B": 0, "C": 5000},
        profiles=PROFILES[1:2],
    )
    (item,) = plan_fleet(fleet, IN_TURNS).unplaced
    assert "of which 5,000 are free for it" in item.detail
    (received,) = plan_fleet(fleet, IN_TURNS).allocations
    assert received.replicas == 5000
    given_to_it = item.detail.split("best effort gave it ")[1]
    assert re.fullmatch(r"5,000 of the \d{1,3}(,\d{3})+ replicas on Cheap", given_to_it)
    assert re.search(r"\d{4}", item.detail + item.remedy) is None


def remedy(fleet: Fleet) -> tuple[str, str]:
    (item,) = plan_fleet(fleet, GREEDY).unplaced
    assert item.reason is UnplacedReason.NO_CANDIDATE
    return item.detail, item.remedy


def test_the_nearest_target_is_named() -> None:
    classes = (ServiceClass("gold", 1, (SloTarget("m", itl_ms=7.0, ttft_ms=5000.0),)),)
    detail, mend = remedy(make_fleet(classes=classes))
    assert "the ITL target is out of reach on Big, Cheap, Old" in detail
    assert "Big is nearest, with ITL at best" in mend
    reached = float(mend.split("ITL at best ")[1].split()[0])
    # Loosened to what is named, and a little more, it can be served.
    eased = (ServiceClass("gold", 1, (SloTarget("m", itl_ms=reached * 1.2, ttft_ms=5000.0),)),)
    assert plan_fleet(make_fleet(classes=eased), UNLIMITED).unplaced == ()


def only(profile: ModelProfile) -> tuple[ModelProfile, ...]:
    return (profile,)


@pytest.mark.parametrize(
    ("fleet", "detail", "mend"),
    [
        (
            make_fleet(make_server(service_class="silver")),
            "no target for the model",
            "give service class silver a target for model m",
        ),
        (make_fleet(profiles=()), "no profile on Big, Cheap, Old", "add a profile of m on Big"),
        (
            make_fleet(
                make_server(keep_accelerator=True, current=Allocation("Gone", 1)),
            ),
            "must stay on its accelerator",
            "release the server from accelerator Gone",
        ),
        (
            make_fleet(profiles=only(dataclasses.replace(PROFILES[0], required_memory_gb=999.0))),
            "memory is too small on Big",
            "an accelerator with more memory than Big",
        ),
        (
            make_fleet(
                profiles=only(
                    dataclasses.replace(PROFILES[0], parameters=TokenWorkParameters(0, 0, 0))
                )
            ),
            "all parameters of the profile are zero on Big",
            "measure the profile of m on Big",
        ),
        (
            make_fleet(make_server(max_replicas=1, load=Load(300.0, 128, 256))),
            "more replicas than allowed would be needed on Big, Cheap, Old",
            "where the bound is 1 (max_replicas)",
        ),
        (
            make_fleet(
                make_server(max_batch=1, max_queue=0),
                rules=dataclasses.replace(STOKER_RULES, max_blocking=1e-6),
            ),
            "too many requests would be turned away",
            "allow more requests to wait at a replica (max_queue is 0)",
        ),
        (
            dataclasses.replace(
                make_fleet(make_server(load=Load(1e-300, 128, 256))),
                settings=OptimizerSettings(analysis=Analysis.REFERENCE),
            ),
            "beyond what can be computed",
            "check the parameters of m",
        ),
        (make_fleet(accelerators=(), profiles=()), "no candidate", "give a prediction"),
    ],
)
def test_each_rejection_has_its_words_and_its_remedy(fleet: Fleet, detail: str, mend: str) -> None:
    found = remedy(fleet)
    assert detail in found[0]
    assert mend in found[1]


def test_timings_come_from_the_clock_given() -> None:
    ticks = ticking()
    plan = plan_fleet(make_fleet(), GREEDY, clock=lambda: next(ticks))
    assert plan.timings_ms == pytest.approx(
        {"candidates": 1.0, "place": 1.0, "assemble": 1.0, "total": 3.0}
    )


def test_settings_of_the_fleet_hold_where_none_are_given() -> None:
    fleet = dataclasses.replace(make_fleet(), settings=UNLIMITED)
    assert plan_fleet(fleet).method == "unlimited"
    assert plan_fleet(fleet, GREEDY).method == "greedy"
    assert effective_settings(OptimizerSettings()).solver is SolverKind.MILP
    assert effective_settings(OptimizerSettings()).analysis is DEFAULT_ANALYSIS
    of_fleet = effective_settings(OptimizerSettings(), Analysis.REFERENCE)
    assert of_fleet.analysis is Analysis.REFERENCE
    named = dataclasses.replace(fleet, settings=OptimizerSettings(analysis=Analysis.REFERENCE))
    assert plan_fleet(named, GREEDY).analysis is Analysis.REFERENCE
    assert effective_settings(GREEDY).solver is SolverKind.GREEDY


def test_estimates_that_do_not_fit_are_refused() -> None:
    wrong = CandidateEstimate("nobody", "Big", 1, 1, 1.0, 1.0, 1.0, 1.0, 0.5, 1.0)
    with pytest.raises(InvalidInputError, match="no server 'nobody'"):
        plan_fleet(make_fleet(), GREEDY, estimates=[wrong])
