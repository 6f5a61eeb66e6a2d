"""The last check: a sound plan passes, and each rule broken by hand is found."""

import dataclasses
from collections.abc import Callable

import pytest

from optimizer.check import check_plan
from optimizer.planner import plan_fleet
from stoker.domain.allocation import PlannedAllocation
from stoker.domain.errors import PlanCheckError
from stoker.domain.fleet import Capacity, Fleet
from stoker.domain.plan import Plan, Unplaced
from stoker.domain.reasons import UnplacedReason
from stoker.domain.server import Allocation
from stoker.domain.settings import OptimizerSettings, SolverKind
from stoker.domain.workload import Load
from tests.support.small_fleets import make_fleet, make_server

FLEET = make_fleet(
    make_server("a", min_replicas=1, max_replicas=30),
    make_server("b", service_class="bronze"),
    make_server("idle", load=Load(0.0, 128, 256)),
)
PLAN = plan_fleet(FLEET, OptimizerSettings(solver=SolverKind.GREEDY))


def check(plan: Plan, fleet: Fleet = FLEET, *, own: bool = True) -> None:
    check_plan(fleet, plan, unlimited=False, own_predictions=own)


def change(index: int, **changes: object) -> Plan:
    items = list(PLAN.allocations)
    items[index] = dataclasses.replace(items[index], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(PLAN, allocations=tuple(items))


def test_a_sound_plan_passes() -> None:
    assert len(PLAN.allocations) == 3
    check(PLAN)
    check(PLAN, own=False)


def test_capacity_is_counted_in_cards() -> None:
    first = PLAN.allocations[0]
    used = sum(a.cards for a in PLAN.allocations if a.card_type == first.card_type)
    tight = tuple(
        Capacity(c.card_type, used if c.card_type == first.card_type else c.count)
        for c in FLEET.capacity
    )
    usage = tuple(
        dataclasses.replace(u, available=used) if u.card_type == first.card_type else u
        for u in PLAN.usage
    )
    plan = dataclasses.replace(PLAN, usage=usage)
    check(plan, dataclasses.replace(FLEET, capacity=tight))
    short = tuple(
        dataclasses.replace(c, count=c.count - (c.card_type == first.card_type)) for c in tight
    )
    with pytest.raises(
        PlanCheckError, match=f"{used} cards of {first.card_type} used of {used - 1}"
    ):
        check(plan, dataclasses.replace(FLEET, capacity=short))


FIRST = PLAN.allocations[0]
TAMPERED: dict[str, tuple[Callable[[], Plan], str]] = {
    "cards": (lambda: change(0, cards=FIRST.cards + 1), "a claims .* cards and uses"),
    "replicas": (lambda: change(0, replicas=FIRST.replicas - 1), "replicas carry|and uses"),
    "minimum": (lambda: change(0, replicas=0), "below its minimum"),
    "maximum": (lambda: change(0, replicas=31), "above its maximum"),
    "cost": (lambda: change(0, cost_per_hour=FIRST.cost_per_hour + 1e-6), "a costs"),
    "total cost": (lambda: dataclasses.replace(PLAN, cost_per_hour=1.0), "is not the sum"),
    "objective": (lambda: dataclasses.replace(PLAN, objective=1.0), "is not the total value"),
    "ttft": (lambda: change(0, ttft_ms=1000.002), "a: TTFT 1000.002 ms is not within 1000.0"),
    "itl": (lambda: change(0, itl_ms=60.001), "a: ITL 60.001 ms is not within 60.0"),
    "unknown latency": (lambda: change(0, itl_ms=None), "a: ITL None"),
    "rate": (lambda: change(0, max_rate_rps=0.01), "requests/s of 4.0"),
    "served flag": (lambda: change(0, fully_served=False), "a is neither served and unplaced"),
    "unknown server": (lambda: change(0, server="x"), "allocations name an unknown server x"),
    "dropped": (
        lambda: dataclasses.replace(PLAN, allocations=PLAN.allocations[1:]),
        "a is neither served",
    ),
    "twice": (
        lambda: dataclasses.replace(PLAN, allocations=(FIRST, *PLAN.allocations)),
        "a stands 2 times in allocations",
    ),
    "both": (
        lambda: dataclasses.replace(
            PLAN, unplaced=(Unplaced("a", UnplacedReason.CAPACITY, "", ""),)
        ),
        "a is both served and unplaced",
    ),
    "usage": (lambda: dataclasses.replace(PLAN, usage=PLAN.usage[:1]), "does not add up"),
    "availability": (
        lambda: dataclasses.replace(
            PLAN, usage=tuple(dataclasses.replace(u, available=999) for u in PLAN.usage)
        ),
        "claims 999 cards available",
    ),
    "usage cost": (
        lambda: dataclasses.replace(
            PLAN, usage=tuple(dataclasses.replace(u, cost_per_hour=9.0) for u in PLAN.usage)
        ),
        "cost by card type",
    ),
    "class count": (
        lambda: dataclasses.replace(
            PLAN, services=tuple(dataclasses.replace(s, served=0) for s in PLAN.services)
        ),
        "servers are served, the plan says 0",
    ),
    "class bound": (
        lambda: dataclasses.replace(
            PLAN, services=tuple(dataclasses.replace(s, bound=0) for s in PLAN.services)
        ),
        "bound below its count",
    ),
    "empty though loaded": (
        lambda: change(0, accelerator=None, replicas=0, cards=0),
        "a has an empty allocation, though it needs replicas",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_each_broken_rule_is_found(name: str) -> None:
    tamper, message = TAMPERED[name]
    with pytest.raises(PlanCheckError, match=message):
        check(tamper())


def test_a_kept_accelerator_is_kept() -> None:
    other = next(name for name in ("Big", "Cheap") if name != FIRST.accelerator)
    kept = dataclasses.replace(
        FLEET.servers[0], keep_accelerator=True, current=Allocation(other, 1)
    )
    fleet = dataclasses.replace(FLEET, servers=(kept, *FLEET.servers[1:]))
    with pytest.raises(PlanCheckError, match=f"a does not stay on {other}"):
        check(PLAN, fleet)


def test_parts_of_a_mix_are_looked_at_one_by_one() -> None:
    fleet = make_fleet(make_server("a", load=Load(22.0, 128, 256)), cards={"B": 2, "C": 40})
    plan = plan_fleet(fleet, OptimizerSettings(heterogeneous=True))
    check(plan, fleet)
    (mixed,) = plan.allocations

    def tampered(**changes: object) -> PlannedAllocation:
        part = dataclasses.replace(mixed.mix[0], **changes)  # type: ignore[arg-type]
        return dataclasses.replace(mixed, mix=(part, *mixed.mix[1:]))

    for allocation, message in (
        (tampered(itl_ms=60.1), "ITL 60.1 ms is not within"),
        (tampered(replicas=mixed.mix[0].replicas + 1), "the replicas of its parts are not"),
        (tampered(cost_per_hour=0.0), "the parts of its mix do not add up"),
        (tampered(replicas=0), "has a part without replicas"),
    ):
        with pytest.raises(PlanCheckError, match=message):
            check(dataclasses.replace(plan, allocations=(allocation,)), fleet)


def test_somebody_else_s_predictions_are_taken_as_they_are() -> None:
    check(change(0, ttft_ms=5000.0), own=False)
    with pytest.raises(PlanCheckError):
        check(change(0, ttft_ms=5000.0))
