"""Sweeps over bounds of servers, quotas, spread, weights and documents of profiles."""

from dataclasses import replace
from pathlib import Path

import pytest

from data.fleets import read_fleet
from data.profile_document import read_profile_document
from data.yaml_writer import to_yaml
from optimizer.planner import plan_fleet
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.limits import Combination, ObjectiveName
from stoker.domain.pools import Pool, PoolWishes, QuotaGroup
from stoker.domain.profile import TokenWorkParameters
from stoker.domain.settings import Analysis, OptimizerSettings
from stoker.domain.workload import Load
from studies.sweeping.fingerprint import points_hash
from studies.sweeping.grid import grid_study, listed_study
from studies.sweeping.sweep import run_sweep
from tests.support.small_fleets import make_fleet, make_server

FLEET = make_fleet(
    make_server("a", max_replicas=9),
    make_server("b", service_class="bronze", batch_limits=(8, 16)),
)
POOLED = replace(
    FLEET,
    pools=(Pool("east", "C", 8, quota=6, quota_group="both"), Pool("west", "C", 8)),
    quotas=(QuotaGroup("both", 5),),
    wishes={"a": PoolWishes(prefer_pools=("east",))},
)


def changed(text: str, fleet: Fleet = FLEET) -> Fleet:
    study = grid_study(fleet, [text])
    (point,) = study.points
    return study.at(point)


def test_bounds_of_servers() -> None:
    assert [s.min_replicas for s in changed("min_replicas=3").servers] == [3, 3]
    assert [s.min_replicas for s in changed("min_replicas.gold=2").servers] == [2, 0]
    assert [s.max_replicas for s in changed("max_replicas.b=4").servers] == [9, 4]
    assert [s.max_replicas for s in changed("max_replicas.a=none").servers] == [None, None]
    limited = changed("max_batch=32")
    assert [s.max_batch for s in limited.servers] == [32, 32]
    assert [s.batch_limits for s in limited.servers] == [(), ()]


def test_bounds_that_leave_no_number_are_refused_at_set_up() -> None:
    words = "asks for 5 replicas of b or more, and for 2 at most"
    crossed = ["min_replicas.b=1,5", "max_replicas.b=2,8"]
    with pytest.raises(InvalidInputError, match=words) as error:
        grid_study(FLEET, crossed)
    assert [item.path for item in error.value.problems] == ["min_replicas.b=5, max_replicas.b=2"]
    assert len(grid_study(FLEET, crossed, in_step=True).points) == 2
    with pytest.raises(InvalidInputError, match="12 replicas of a or more, and for 9 at most"):
        grid_study(FLEET, ["min_replicas=12"])
    with pytest.raises(InvalidInputError, match=words):
        listed_study(FLEET, [{"min_replicas.b": "5", "max_replicas.b": "2"}])
    assert listed_study(FLEET, [{"min_replicas.b": "5", "max_replicas.b": "none"}]).points


def test_the_replicas_of_the_plan_are_another_parameter() -> None:
    limited = changed("max_replicas=7")
    assert limited.limits.max_replicas == 7
    assert [s.max_replicas for s in limited.servers] == [9, None]


def test_quotas_of_groups_and_pools() -> None:
    assert changed("quota.both=3", POOLED).quotas == (QuotaGroup("both", 3),)
    lifted = changed("quota.both=none", POOLED)
    assert lifted.quotas == ()
    assert [p.quota_group for p in lifted.pools] == [None, None]
    assert [p.quota for p in changed("quota.west=2", POOLED).pools] == [6, 2]
    assert [p.quota for p in changed("quota.east=none", POOLED).pools] == [None, None]


@pytest.mark.parametrize(
    "varied", [["quota.east=none", "cards=x2"], ["cards=x2", "quota.east=none"]]
)
def test_a_quota_that_is_lifted_holds_no_cards_back(varied: list[str]) -> None:
    pools = (Pool("a", "C", 8, quota_group="east"), Pool("b", "C", 8, quota_group="east"))
    servers = tuple(make_server(f"s{index}", load=Load(24.0, 128, 256)) for index in range(2))
    fleet = replace(
        make_fleet(*servers, cards={}),
        pools=(*pools, Pool("other", "B", 1, quota_group="north")),
        quotas=(QuotaGroup("east", 4), QuotaGroup("north", 1)),
        settings=OptimizerSettings(analysis=Analysis.REFERENCE),
    )
    study = grid_study(fleet, varied)
    doubled = study.at(study.points[0])
    assert sum(pool.cards for pool in doubled.pools if pool.card_type == "C") == 32
    (row,) = run_sweep(study).rows
    used = row["cards_C"]
    assert isinstance(used, int)
    assert used > 16
    assert row["served"] == 2
    assert [item.name for item in doubled.quotas] == ["north"]


def test_spread_keeps_other_wishes_and_starts_are_limits() -> None:
    wishes = changed("spread_zones.a=2", POOLED).wishes
    assert wishes == {"a": PoolWishes(prefer_pools=("east",), spread_zones=2)}
    assert changed("spread_zones=2", POOLED).wishes["b"].spread_zones == 2
    assert changed("replica_start_s=240").limits.replica_start_s == 240.0


def test_weights_add_up_with_what_is_aimed_at() -> None:
    objectives = changed("weight.energy=0.01").objectives
    assert objectives.combine is Combination.WEIGHTED
    assert [(term.name, term.weight) for term in objectives.terms] == [
        (ObjectiveName.COST, 1.0),
        (ObjectiveName.ENERGY, 0.01),
    ]
    again = changed("weight.cost=3", replace(FLEET, objectives=objectives)).objectives
    assert [term.weight for term in again.terms] == [3.0, 0.01]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("min_replicas=-1", "out of range"),
        ("max_replicas.a=0", "out of range"),
        ("max_batch=1.5", "not whole"),
        ("max_batch=x2", "is a multiple"),
        ("spread_zones=0", "out of range"),
        ("quota.north=3", "no quota and no pool 'north'"),
        ("quota=3", "no quota and no pool ''"),
        ("weight.speed=1", "'speed' is no objective"),
        ("weight.energy=0", "out of range"),
        ("profile.m=own", "takes no selector"),
        ("profile=missing.yaml", "there is no file 'missing.yaml'"),
        ("profile=3", "is a number"),
    ],
)
def test_mistakes_are_named(text: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        grid_study(POOLED, [text])


def document(path: Path, alpha_ms: float, model: str = "llama_13b") -> Path:
    parameters = {"kind": "token-work", "alpha_ms": alpha_ms, "beta_ms": 0.1, "gamma_ms": 0.0005}
    profile = {
        "model": model,
        "accelerator": "G2",
        "max_batch": 64,
        "at_tokens": 512,
        "parameters": parameters,
    }
    path.write_text(to_yaml({"version": 1, "profiles": [profile]}), encoding="utf-8")
    return path


def test_documents_of_profiles_are_swapped_in(tmp_path: Path) -> None:
    small = read_fleet("small")
    fleet = replace(
        small,
        servers=tuple(s for s in small.servers if s.model == "llama_13b"),
        settings=replace(small.settings, analysis=Analysis.REFERENCE),
    )
    fast, slow = document(tmp_path / "fast.yaml", 5.0), document(tmp_path / "slow.yaml", 9.0)
    study = grid_study(fleet, [f"profile=own,{fast},{slow}", "load=1,2"])
    results = run_sweep(study)
    assert [row["profile"] for row in results.rows][::2] == ["own", str(fast), str(slow)]
    for point, row in zip(study.points, results.rows, strict=True):
        assert row["cost_per_hour"] == plan_fleet(study.at(point)).cost_per_hour
    kept = {(p.model, p.accelerator) for p in fleet.profiles}
    for index, path in ((2, fast), (4, slow)):
        swapped = study.at(study.points[index])
        assert {(p.model, p.accelerator) for p in swapped.profiles} == kept
        (own,) = (p for p in swapped.profiles if (p.model, p.accelerator) == ("llama_13b", "G2"))
        (given,) = read_profile_document(path).profiles
        assert isinstance(own.parameters, TokenWorkParameters)
        assert own.parameters == given.parameters
    assert study.at(study.points[0]) == fleet


def test_what_is_in_a_document_tells_sweeps_apart(tmp_path: Path) -> None:
    path = document(tmp_path / "p.yaml", 5.0)
    fleet = read_fleet("small")
    first = points_hash(grid_study(fleet, [f"profile={path}"]))
    assert first == points_hash(grid_study(fleet, [f"profile={path}"]))
    document(path, 6.0)
    assert first != points_hash(grid_study(fleet, [f"profile={path}"]))


def test_a_document_of_no_use_is_refused(tmp_path: Path) -> None:
    path = document(tmp_path / "p.yaml", 5.0, model="another-model")
    with pytest.raises(InvalidInputError, match="the fleet has no use for"):
        grid_study(read_fleet("small"), [f"profile={path}"])


def test_rows_of_bounds_and_weights_are_plans_one_by_one() -> None:
    small = read_fleet("small")
    fleet = replace(
        small,
        servers=small.servers[:2],
        settings=replace(small.settings, analysis=Analysis.REFERENCE),
    )
    for varied in ("min_replicas=0,30", "max_batch=8,none", "weight.energy=0.0001,1"):
        study = grid_study(fleet, [varied])
        costs = [row["cost_per_hour"] for row in run_sweep(study).rows]
        alone = [plan_fleet(study.at(point)).cost_per_hour for point in study.points]
        assert costs == pytest.approx(alone)
        assert costs[0] != costs[1]
