"""What a horizon heeds of a fleet beyond counts of cards, and what it refuses by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from optimizer.horizon.plan import plan_horizon
from stoker.domain.accelerator import Slice
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.horizon import (
    CardTerms,
    HorizonPlan,
    HorizonTerms,
    HourlyDemand,
    ReservedTerms,
    SpotTerms,
)
from stoker.domain.limits import Headroom, Limits, Objective, ObjectiveName, Objectives, Survival
from stoker.domain.pools import Pool, PoolWishes, PriceKind, QuotaGroup
from stoker.domain.serving import Serving
from stoker.domain.settings import Analysis
from stoker.domain.sharing import SharingGroup
from tests.support.cli import stoker
from tests.support.small_fleets import BIG, CHEAP, LOAD, make_fleet, make_server

RATES = (2.0, 6.0, 20.0, 12.0)
PRICE = CHEAP.cost_per_hour


def demand(known: Fleet, scale: float = 1.0) -> HourlyDemand:
    loads = tuple(replace(LOAD, arrival_rate_rps=scale * rate) for rate in RATES)
    names = tuple(server.name for server in known.servers)
    return HourlyDemand(names, (loads,) * len(names))


def fleet(*own: Pool, cards: int = 60, **changes: object) -> Fleet:
    """Return a fleet of one server on cards of one type at one price each."""
    made = make_fleet(make_server("one"), cards={"C": cards}, accelerators=(CHEAP,))
    told = [item for item in made.profiles if item.accelerator == CHEAP.name]
    made = replace(made, profiles=tuple(told), pools=own)
    return replace(made, **changes)  # type: ignore[arg-type]


def plan(known: Fleet, terms: HorizonTerms | None = None, scale: float = 1.0) -> HorizonPlan:
    return plan_horizon(
        known,
        demand(known, scale),
        terms or HorizonTerms(),
        analysis=Analysis.REFERENCE,
        gap=0.0,
        method="milp",
    )


def pool(name: str, cards: int, **changes: object) -> Pool:
    return replace(Pool(name, "C", cards), **changes)  # type: ignore[arg-type]


RESERVED = pool("held", 9, price_kind=PriceKind.RESERVED, price_factor=0.6)
SPOT = pool(
    "spare", 6, price_kind=PriceKind.SPOT, price_factor=0.3, interruptions_per_hour=0.02, zone="b"
)


def test_pools_of_one_price_are_their_cards() -> None:
    whole = plan(fleet(cards=40))
    parts = plan(fleet(pool("a", 30), pool("b", 50, quota=10, zone="b")))
    assert parts.cost == whole.cost
    assert parts.cards[0].available == (40,) * len(RATES)


def test_the_price_of_a_pool_is_paid() -> None:
    own = plan(fleet(cards=40)).cost
    assert plan(fleet(pool("a", 40, price_factor=0.5))).cost == pytest.approx(0.5 * own)
    dear = fleet(pool("a", 40, price_per_card_hour=3.0 * PRICE))
    assert plan(dear).cost == pytest.approx(3.0 * own)


def test_kinds_of_pools_are_the_terms_of_a_horizon() -> None:
    terms = HorizonTerms(
        default=CardTerms(ReservedTerms(0.6, 9), SpotTerms(0.3, 0.02, 1.0, 6)), confidence=0.9
    )
    told = plan(fleet(cards=95), terms)
    pooled = plan(fleet(pool("a", 80), RESERVED, SPOT), HorizonTerms(confidence=0.9))
    assert pooled.cost == pytest.approx(told.cost)
    assert pooled.cards[0].reserved == told.cards[0].reserved > 0
    assert pooled.cards[0].spot == told.cards[0].spot
    assert any(pooled.cards[0].spot)
    assert any("commitments of C" in note for note in pooled.notes)


def test_cards_that_are_not_on_demand_are_committed_though_it_does_not_pay() -> None:
    free = plan(fleet(pool("a", 80), RESERVED))
    most = max(free.cards[0].on_demand) + free.cards[0].reserved
    scarce = plan(fleet(pool("a", most - 9), RESERVED))
    assert free.cards[0].reserved < 9 == scarce.cards[0].reserved
    assert max(scarce.cards[0].on_demand) <= most - 9
    assert scarce.cost > free.cost
    short = plan(fleet(pool("a", most - 10), RESERVED))
    assert [item.reason for item in short.unscheduled] == ["capacity"]


@pytest.mark.parametrize("method", ["milp", "columns"])
def test_both_methods_keep_to_the_cards_of_each_kind(method: str) -> None:
    servers = tuple(make_server(name) for name in ("one", "two"))
    known = replace(fleet(pool("a", 7), RESERVED, SPOT), servers=servers)
    found = plan_horizon(
        known,
        demand(known, 0.5),
        HorizonTerms(confidence=0.9),
        analysis=Analysis.REFERENCE,
        method=method,
    )
    (cards,) = found.cards
    assert not found.unscheduled
    assert max(cards.on_demand) <= 7
    assert cards.reserved <= 9
    assert max(cards.spot) <= 6
    assert found.bound is not None
    assert found.bound <= found.cost


def test_replicas_of_several_cards_fill_pools_one_by_one() -> None:
    two = replace(CHEAP, cards=2, cost_per_hour=2.0 * PRICE)
    known = replace(fleet(pool("a", 31), pool("b", 11)), accelerators=(two,))
    assert plan(known).cards[0].available == (40,) * len(RATES)


def test_a_quota_of_one_kind_bounds_its_pools() -> None:
    known = fleet(
        pool("a", 30, quota_group="all"),
        pool("b", 30, quota_group="all"),
        quotas=(QuotaGroup("all", 40),),
    )
    assert plan(known).cards[0].available == (40,) * len(RATES)


def test_surge_multiplies_every_rate() -> None:
    surged = plan(fleet(limits=Limits(headroom=Headroom(surge=1.5))))
    assert surged.cost == plan(fleet(), scale=1.5).cost > plan(fleet()).cost
    assert any("limits.headroom.surge" in note for note in surged.notes)


def test_one_replica_may_be_lost() -> None:
    spared = plan(fleet(limits=Limits(headroom=Headroom(survive=Survival.REPLICA))))
    plain = plan(fleet())
    needed = [hour.needed for hour in plain.schedules[0].hours]
    assert [hour.needed for hour in spared.schedules[0].hours] == [need + 1 for need in needed]
    capped = Limits(
        max_replicas_per_server=max(needed), headroom=Headroom(survive=Survival.REPLICA)
    )
    assert plan(fleet(limits=capped)).unscheduled


def test_a_server_has_no_more_replicas_than_its_limit() -> None:
    peak = max(hour.needed for hour in plan(fleet()).schedules[0].hours)
    assert not plan(fleet(limits=Limits(max_replicas_per_server=peak))).unscheduled
    assert plan(fleet(limits=Limits(max_replicas_per_server=peak - 1))).unscheduled


def test_the_share_of_spot_replicas_is_bounded_by_limits() -> None:
    limits = Limits(max_server_spot_share=0.25)
    terms = HorizonTerms(confidence=0.9)
    found = plan(fleet(pool("a", 80), SPOT, limits=limits), terms)
    hours = found.schedules[0].hours
    assert any(hour.spot for hour in hours)
    assert all(hour.spot <= 0.25 * (hour.firm + hour.spot) for hour in hours)


def test_slices_that_nobody_uses_do_not_set_the_price_of_a_card() -> None:
    slice_ = replace(CHEAP, name="Part", cost_per_hour=0.1, slice=Slice(parts=4))
    known = fleet()
    assert plan(replace(known, accelerators=(CHEAP, slice_))).cost == plan(known).cost


_LAST = make_server("one", serving=(Serving.AGGREGATED, Serving.DISAGGREGATED))
_SLICED = replace(CHEAP, slice=Slice(sevenths=3))
_DEARER = pool("b", 4, price_factor=1.2)
_MIXED = (replace(BIG, card_type="C"), CHEAP)


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("limits.budget_per_hour", {"limits": Limits(budget_per_hour=5.0)}),
        ("limits.power_w", {"limits": Limits(power_w=500.0)}),
        ("limits.idle_power_w", {"limits": Limits(idle_power_w=500.0)}),
        ("limits.max_replicas", {"limits": Limits(max_replicas=5)}),
        ("limits.max_changes", {"limits": Limits(max_changes=0)}),
        ("limits.max_spot_share", {"limits": Limits(max_spot_share=0.5)}),
        ("limits.replica_start_s", {"limits": Limits(replica_start_s=90.0)}),
        (
            "limits.headroom.survive",
            {"limits": Limits(headroom=Headroom(survive=Survival.ZONE))},
        ),
        ("objectives", {"objectives": Objectives((Objective(ObjectiveName.ENERGY),))}),
        ("servers.one.pools", {"wishes": {"one": PoolWishes(pools=("a",))}}),
        ("servers.one.prefer_pools", {"wishes": {"one": PoolWishes(prefer_pools=("a",))}}),
        ("servers.one.spread_zones", {"wishes": {"one": PoolWishes(spread_zones=2)}}),
        ("servers.one.max_zone_share", {"wishes": {"one": PoolWishes(max_zone_share=0.5)}}),
        ("servers.one.max_spot_share", {"wishes": {"one": PoolWishes(max_spot_share=0.5)}}),
        ("servers.one.serving", {"servers": (_LAST,)}),
        ("sharing.pair", {"sharing": (SharingGroup("pair", ("one",)),)}),
        ("accelerators.Cheap.slice", {"accelerators": (_SLICED,)}),
        ("pools.b.price_factor", {"pools": (pool("a", 4), _DEARER)}),
        (
            "pools.held.price_factor",
            {"pools": (pool("a", 4), replace(RESERVED, price_factor=1.5))},
        ),
        (
            "pools.other.interruptions_per_hour",
            {"pools": (SPOT, replace(SPOT, name="other", interruptions_per_hour=0.5))},
        ),
        (
            "quotas.all",
            {
                "pools": (
                    pool("a", 9, quota_group="all"),
                    replace(RESERVED, quota_group="all"),
                ),
                "quotas": (QuotaGroup("all", 10),),
            },
        ),
    ],
)
def test_what_a_horizon_does_not_heed_is_refused(path: str, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError) as error:
        plan(fleet(**changes))  # type: ignore[arg-type]
    (problem,) = error.value.problems
    assert problem.path == path
    assert problem.message
    assert problem.allowed


def test_replicas_of_several_sizes_in_several_pools_are_refused() -> None:
    known = make_fleet(make_server("one"), cards={"C": 20}, accelerators=_MIXED)
    one = replace(known, pools=(pool("a", 20),))
    assert plan(one).cost > 0
    with pytest.raises(InvalidInputError, match=r"pools\.b\.card_type"):
        plan(replace(known, pools=(pool("a", 10), pool("b", 10))))


def test_what_pools_tell_is_not_told_twice() -> None:
    known = fleet(pool("a", 20), RESERVED)
    for path, terms in (
        ("pools.held.price_kind", HorizonTerms(default=CardTerms(ReservedTerms(0.5)))),
        ("--unlimited", HorizonTerms(unlimited=True)),
        ("card_types.C.cards", HorizonTerms(by_type={"C": CardTerms(cards=(4,))})),
    ):
        with pytest.raises(InvalidInputError) as error:
            plan(known, terms)
        assert [problem.path for problem in error.value.problems] == [path]


def test_starts_in_whole_hours_cover_those_of_the_fleet() -> None:
    known = fleet(limits=Limits(replica_start_s=90.0))
    assert plan(known, HorizonTerms(start_up_hours=1)).cost > 0


def test_the_command_names_what_it_refuses(tmp_path: Path) -> None:
    document = tmp_path / "fleet.yaml"
    document.write_text(
        """
version: 1
currency: USD
accelerators: [{name: A, cost_per_hour: 2}]
pools: [{name: here, card_type: A, cards: 4}]
limits: {budget_per_hour: 3}
profiles:
- model: m
  accelerator: A
  max_batch: 8
  at_tokens: 64
  parameters: {kind: token-work, alpha_ms: 8, beta_ms: 0.1, gamma_ms: 0.0001}
service_classes: [{name: c, priority: 1, targets: [{model: m, itl_ms: 60}]}]
servers:
- name: s
  service_class: c
  model: m
  load: {arrival_rate_rps: 1, input_tokens: 64, output_tokens: 64}
""",
        encoding="utf-8",
    )
    rows = tmp_path / "demand.csv"
    rows.write_text("hour,server,arrival_rate_rps\n0,s,1\n", encoding="utf-8")
    result = stoker("horizon", document, "--demand", rows)
    assert result.exit_code == 2
    assert "limits.budget_per_hour" in result.stderr
