"""What each parameter does to a fleet."""

from dataclasses import replace

import pytest

from stoker.domain.accelerator import Accelerator, Slice
from stoker.domain.curve import IterationTable
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency
from stoker.domain.limits import Survival
from stoker.domain.pools import Pool
from stoker.domain.profile import LinearParameters, OverlapParameters, TokenWorkParameters
from stoker.domain.server import Allocation
from stoker.domain.settings import SaturationPolicy, SolverKind
from stoker.domain.slo import PercentileTarget, SloTarget
from stoker.domain.workload import Load
from studies.sweeping.changes import faster
from studies.sweeping.grid import grid_study
from studies.sweeping.parameters import KINDS
from tests.support.configured_fleets import TP1, TP2, configured_fleet, profile, server
from tests.support.small_fleets import make_fleet, make_server

FLEET = make_fleet(
    make_server("a", current=Allocation("Cheap", 3, cost_per_hour=3.0)),
    make_server("b", service_class="bronze", current=Allocation("Cheap", 3, cost_per_hour=9.0)),
    make_server("c", load=None),
)


def changed(text: str, fleet: Fleet = FLEET) -> Fleet:
    study = grid_study(fleet, [text])
    (point,) = study.points
    return study.at(point)


def rates(fleet: Fleet) -> list[float | None]:
    return [server.load.arrival_rate_rps if server.load else None for server in fleet.servers]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("load=2", [8.0, 8.0, None]),
        ("load=x2", [8.0, 8.0, None]),
        ("load.a=0.5", [2.0, 4.0, None]),
        ("load.bronze=0", [4.0, 0.0, None]),
        ("load.m=3", [12.0, 12.0, None]),
        ("load.gold/m=3", [12.0, 4.0, None]),
        ("rate.b=7", [4.0, 7.0, None]),
        ("rate=x0.25", [1.0, 1.0, None]),
    ],
)
def test_rates(text: str, expected: list[float | None]) -> None:
    assert rates(changed(text)) == expected


def test_an_unknown_load_alone_cannot_vary() -> None:
    with pytest.raises(InvalidInputError, match="has a known load"):
        grid_study(FLEET, ["load.c=2"])


def test_figures_of_loads() -> None:
    fleet = changed("arrival_cv.a=2.5")
    assert [server.load.arrival_cv for server in fleet.servers if server.load] == [2.5, 1.0]
    fleet = changed("input_tokens=x2")
    assert fleet.servers[0].load == Load(4.0, 256, 256)


def test_prices_of_cards_and_of_units() -> None:
    prices = {item.name: item.cost_per_hour for item in changed("price.C=0.8").accelerators}
    assert prices == {"Big": 5.0, "Cheap": 0.8, "Old": 0.8}
    prices = {item.name: item.cost_per_hour for item in changed("price.B=2").accelerators}
    assert prices == {"Big": 4.0, "Cheap": 1.0, "Old": 0.5}  # two cards a unit
    prices = {item.name: item.cost_per_hour for item in changed("price.Old=2").accelerators}
    assert prices == {"Big": 5.0, "Cheap": 1.0, "Old": 2.0}
    prices = {item.name: item.cost_per_hour for item in changed("price=x0.5").accelerators}
    assert prices == {"Big": 2.5, "Cheap": 0.5, "Old": 0.25}


def test_what_runs_at_the_fleets_prices_is_priced_anew_and_what_does_not_is_not() -> None:
    fleet = changed("price.Cheap=2")
    costs = [server.current.cost_per_hour for server in fleet.servers if server.current]
    assert costs == [6.0, 9.0]


@pytest.mark.parametrize(("configuration", "cost"), [("tp1", 3.0), ("tp2", 6.0)])
def test_what_runs_is_priced_by_its_own_configuration(configuration: str, cost: float) -> None:
    now = {
        "accelerator": "H100",
        "configuration": configuration,
        "replicas": 3,
        "cost_per_hour": 2.5 * cost,
    }
    for profiles in ([TP1, TP2], [TP2, TP1]):
        fleet = configured_fleet(list(map(profile, profiles)), server(current=now))
        (changed_server,) = changed("price.H100=1", fleet).servers
        assert changed_server.current is not None
        assert changed_server.current.cost_per_hour == cost


def test_cards() -> None:
    counts = {item.card_type: item.count for item in changed("cards.C=7").capacity}
    assert counts == {"B": 8, "C": 7}
    counts = {item.card_type: item.count for item in changed("cards=x0.7").capacity}
    assert counts == {"B": 5, "C": 14}  # rounded down, and 0.7 of 20 is 14
    counts = {item.card_type: item.count for item in changed("cards=0").capacity}
    assert counts == {"B": 0, "C": 0}


def target(fleet: Fleet, service_class: str) -> SloTarget:
    (item,) = (item for item in fleet.service_classes if item.name == service_class)
    return item.targets[0]


def test_targets() -> None:
    fleet = changed("targets.gold=0.5")
    assert target(fleet, "gold") == SloTarget("m", ttft_ms=500.0, itl_ms=30.0)
    assert target(fleet, "bronze") == target(FLEET, "bronze")
    fleet = changed("target.ttft_ms=700")
    assert [target(fleet, name).ttft_ms for name in ("gold", "bronze")] == [700.0, 700.0]
    fleet = changed("target.bronze/m.itl_ms=x2")
    assert [target(fleet, name).itl_ms for name in ("gold", "bronze")] == [60.0, 240.0]
    fleet = changed("target.gold.tps=900")
    assert target(fleet, "gold").tps == 900.0


def test_targets_of_percentiles() -> None:
    fleet = changed("target.gold.ttft_ms.p99.9=1500")
    promise = PercentileTarget(Latency.TTFT, 99.9, 1500.0)
    assert target(fleet, "gold").percentiles == (promise,)
    again = changed("target.gold.ttft_ms.p99.9=x2", fleet)
    assert target(again, "gold").percentiles == (replace(promise, limit_ms=3000.0),)
    assert target(changed("target.ttft_ms.p95=x2"), "gold") == target(FLEET, "gold")
    halved = changed("targets=0.5", fleet)
    assert target(halved, "gold").percentiles == (replace(promise, limit_ms=750.0),)


def test_speed_divides_the_times_of_the_engine_alone() -> None:
    fleet = changed("speed.m/Old=2")
    assert fleet.profiles[2].parameters == LinearParameters(15.0, 0.75, 20.0, 0.025)
    assert fleet.profiles[:2] == FLEET.profiles[:2]
    assert changed("speed.Big=4").profiles[0].parameters == TokenWorkParameters(2, 0.005, 0.00005)
    overlap = OverlapParameters(*(float(k) for k in range(1, 11)))
    assert faster(overlap, 2.0) == OverlapParameters(
        0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 8.0, 9.0, 10.0
    )
    table = IterationTable((1.0,), (1.0,), ((4.0,),), (1.0,), (0.0,), ((6.0,),), 2.0, 5.0)
    assert faster(table, 2.0) == IterationTable(
        (1.0,), (1.0,), ((2.0,),), (1.0,), (0.0,), ((3.0,),), 1.0, 5.0
    )


def test_settings_and_rules() -> None:
    assert changed("solver=greedy").settings.solver is SolverKind.GREEDY
    policy = changed("saturation-policy=RoundRobin").settings.saturation_policy
    assert policy is SaturationPolicy.ROUND_ROBIN
    assert changed("unlimited=true").settings.unlimited is True
    assert changed("exact_servers=5").settings.exact_servers == 5
    assert changed("relative_gap=0.01").settings.relative_gap == 0.01
    assert changed("max_blocking=none").rules.max_blocking is None
    assert changed("transition_penalty=0.5").rules.transition_penalty == 0.5


POOLED = replace(
    FLEET,
    pools=(
        Pool("east", "C", 12, zone="a", price_per_card_hour=0.9, node_cards=(8, 4)),
        Pool("west", "C", 8, zone="b", price_factor=0.5),
        Pool("lab", "B", 8),
    ),
)


def cards(fleet: Fleet) -> tuple[dict[str, int], dict[str, int]]:
    return (
        {pool.name: pool.cards for pool in fleet.pools},
        {item.card_type: item.count for item in fleet.capacity},
    )


def test_pools_and_their_types_add_up() -> None:
    pools, types = cards(changed("cards.C=x0.6", POOLED))
    assert pools == {"east": 7, "west": 4, "lab": 8}
    assert types == {"B": 8, "C": 11}
    fleet = changed("cards.east=20", POOLED)
    assert cards(fleet) == ({"east": 20, "west": 8, "lab": 8}, {"B": 8, "C": 28})
    assert fleet.pools[0].node_cards == (8, 4, 8)
    assert cards(changed("cards.B=3", POOLED))[0]["lab"] == 3
    with pytest.raises(InvalidInputError, match="which of several pools"):
        changed("cards.C=5", POOLED)


def test_prices_of_pools() -> None:
    def prices(text: str) -> list[tuple[float | None, float]]:
        return [
            (pool.price_per_card_hour, pool.price_factor) for pool in changed(text, POOLED).pools
        ]

    assert prices("price.C=x2") == [(1.8, 1.0), (None, 0.5), (None, 1.0)]
    assert prices("price.C=2") == [(0.9, 1.0), (None, 0.5), (None, 1.0)]
    assert prices("price.west=x0.5") == [(0.9, 1.0), (None, 0.25), (None, 1.0)]
    assert prices("price.pool:west=3") == [(0.9, 1.0), (3.0, 0.5), (None, 1.0)]


def test_limits_and_headroom() -> None:
    assert changed("budget=12.5").limits.budget_per_hour == 12.5
    assert changed("budget=none").limits.budget_per_hour is None
    assert changed("max_changes=2").limits.max_changes == 2
    assert changed("surge=1.2").limits.headroom.surge == 1.2
    assert changed("survive=zone").limits.headroom.survive is Survival.ZONE
    assert changed("survive=none").limits == FLEET.limits


def test_parameters_are_applied_in_the_order_given() -> None:
    study = grid_study(FLEET, ["rate.a=10", "load=2"])
    assert rates(study.at(study.points[0]))[0] == 20.0
    study = grid_study(FLEET, ["load=2", "rate.a=10"])
    assert rates(study.at(study.points[0]))[0] == 10.0


def test_every_kind_is_documented() -> None:
    assert all(kind.meaning and str(kind.domain) for kind in KINDS)


SLICED = replace(
    FLEET,
    accelerators=(
        Accelerator("A100", "A100", 1, 2.4),
        Accelerator("A100-3g", "A100", 1, 0.9, slice=Slice(sevenths=3)),
        Accelerator("A100-1g", "A100", 1, 0.3, slice=Slice(sevenths=1)),
        Accelerator("L4-half", "L4", 1, 0.4, slice=Slice(parts=2)),
    ),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("price.type:A100=4.2", [4.2, 1.8, 0.6, 0.4]),
        ("price.L4=1", [2.4, 0.9, 0.3, 0.5]),
        ("price=7", [7.0, 3.0, 1.0, 3.5]),
        ("price.A100-1g=0.5", [2.4, 0.9, 0.5, 0.4]),
        ("price.accelerator:A100=3", [3.0, 0.9, 0.3, 0.4]),
        ("price.A100=x2", [4.8, 1.8, 0.6, 0.4]),
    ],
)
def test_a_slice_costs_its_share_of_the_card(text: str, expected: list[float]) -> None:
    prices = [item.cost_per_hour for item in changed(text, SLICED).accelerators]
    assert prices == pytest.approx(expected)
