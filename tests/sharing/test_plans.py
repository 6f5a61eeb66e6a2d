"""Plans whose servers may share replicas: proven by trying everything, and told in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import optimizer.sharing.place as sharing_place
from controller.planning import plan_now
from data.plan_csv import plan_to_csv
from data.plan_format import plan_to_document
from data.plan_reading import parse_plan
from data.planned_replicas import parse_planned_replicas
from data.stoker_format import document_to_fleet
from optimizer.candidates import build_candidates
from optimizer.planner import place, plan_fleet
from optimizer.preparation import effective_settings
from optimizer.sharing.candidates import SharedCandidate, SharedFleet, shared_candidates
from optimizer.sharing.check import check_sharing_of_plan
from optimizer.sharing.sets import SharedWay, member_sets, shared_ways
from optimizer.table import CandidateTable
from stoker.cli.allocation_rows import allocation_rows
from stoker.cli.inferno_plans import refuse_untold
from stoker.domain.errors import InvalidInputError, PlanCheckError
from stoker.domain.fleet import Fleet
from stoker.domain.latency import Latency
from stoker.domain.plan import PlanStatus
from stoker.domain.reasons import UnplacedReason
from stoker.domain.settings import Analysis, OptimizerSettings, SaturationPolicy, SolverKind
from stoker.domain.sharing import SharingGroup

H100 = {"kind": "token-work", "alpha_ms": 6, "beta_ms": 0.02, "gamma_ms": 4e-5}
SLICED = [
    {"name": "H100", "card_type": "card", "slice": {"parts": 2}, "cost_per_hour": 4.0},
    {"name": "L40S", "cost_per_hour": 1.4},
]
L40S = {"kind": "token-work", "alpha_ms": 14, "beta_ms": 0.05, "gamma_ms": 1e-4}


def _document(
    rates: Sequence[float],
    *,
    capacity: dict[str, int] | None = None,
    priorities: Sequence[int] = (1, 1, 2, 2),
    sharing: Sequence[dict[str, Any]] | None = None,
    **changes: object,
) -> dict[str, Any]:
    names = [f"s{index}" for index in range(len(rates))]
    target = {"ttft_ms": {"p95": 500}, "itl_ms": {"p95": 30}}
    late = {"ttft_ms": {"p95": 4000}, "itl_ms": {"p95": 40}}
    tokens = [(600, 200), (1500, 120), (3000, 300), (200, 60)]
    return {
        "version": 1,
        "currency": "USD",
        "accelerators": [
            {"name": "H100", "cost_per_hour": 4.0},
            {"name": "L40S", "cost_per_hour": 1.4},
        ],
        "capacity": {"H100": 20, "L40S": 20} if capacity is None else capacity,
        "profiles": [
            {
                "model": "m",
                "accelerator": name,
                "max_batch": batch,
                "at_tokens": 256,
                "kv_tokens": kv,
                "parameters": parameters,
            }
            for name, batch, kv, parameters in (
                ("H100", 64, 400_000, H100),
                ("L40S", 32, 120_000, L40S),
            )
        ],
        "service_classes": [
            {"name": "high", "priority": 1, "targets": [{"model": "m", **target}]},
            {"name": "low", "priority": 2, "targets": [{"model": "m", **late}]},
        ],
        "servers": [
            {
                "name": name,
                "service_class": "high" if priorities[index] == 1 else "low",
                "model": "m",
                "load": {
                    "arrival_rate_rps": rates[index],
                    "input_tokens": tokens[index][0],
                    "output_tokens": tokens[index][1],
                    "input_tokens_cv": 0.6,
                    "output_tokens_cv": 0.7,
                },
                **changes,
            }
            for index, name in enumerate(names)
        ],
        "sharing": [{"name": "all", "servers": names, "priorities": True}]
        if sharing is None
        else list(sharing),
    }


def _fleet(rates: Sequence[float], **changes: Any) -> Fleet:
    return document_to_fleet(_document(rates, **changes))


Sets = Sequence[tuple[tuple[int, ...], int, int, float]]


def best(
    table: CandidateTable, sets: Sets, capacity: Sequence[int]
) -> tuple[tuple[int, ...], float]:
    """Return how many of each priority are served, negative, and the least value: by trying all.

    Args:
        table: Candidates of each server alone.
        sets: Members, card type, cards and value of each set on common replicas.
        capacity: Cards by type.
    """
    levels = sorted(set(table.priority.tolist()))
    found: list[tuple[tuple[int, ...], float]] = []

    def ways(server: int) -> Iterator[tuple[tuple[int, ...], int, int, float]]:
        yield (), -1, 0, 0.0
        for row in range(int(table.row_start[server]), int(table.row_start[server + 1])):
            if table.accepted[row]:
                yield (
                    (server,),
                    int(table.card_type[row]),
                    int(table.cards[row]),
                    float(table.value[row]),
                )
        for item in sets:
            if item[0][0] == server:
                yield item

    def search(server: int, left: list[int], served: frozenset[int], value: float) -> None:
        if server == len(table.servers):
            counts = tuple(
                -sum(int(table.priority[one]) == level for one in served) for level in levels
            )
            found.append((counts, value))
            return
        if server in served:
            search(server + 1, left, served, value)
            return
        for members, card_type, cards, more in ways(server):
            if served & set(members) or (card_type >= 0 and cards > left[card_type]):
                continue
            rest = list(left)
            if card_type >= 0:
                rest[card_type] -= cards
            search(server + 1, rest, served | set(members), value + more)

    search(0, list(capacity), frozenset(), 0.0)
    return min(found, key=lambda item: (item[0], round(item[1], 9)))


@cache
def _tables(servers: int) -> tuple[Fleet, CandidateTable]:
    fleet = _fleet([1.0] * servers)
    return fleet, build_candidates(replace(fleet, sharing=()), Analysis.FULL)


@pytest.mark.parametrize("seed", range(90))
def test_the_choice_is_the_best_of_all_partitions(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(seed)
    fleet, table = _tables(int(random.integers(2, 5)))
    count = len(table.server)
    names = [server.name for server in fleet.servers]
    groups = [names] if len(names) < 4 or seed % 2 else [names[:2], names[2:]]
    fleet = replace(
        fleet,
        sharing=tuple(SharingGroup(str(k), tuple(own)) for k, own in enumerate(groups)),
    )
    table = replace(
        table,
        replicas=np.ones(count, dtype=np.int64),
        cards_per_replica=random.integers(1, 7, count),
        value=np.round(random.uniform(-2.0, 8.0, count), 3),
        rejection=np.where(random.random(count) < 0.2, 1, 0),
        priority=random.integers(1, 3, len(names)),
    )
    capacity = random.integers(0, 12, len(table.card_types))
    candidates = [
        SharedCandidate(
            SharedWay(index, members, kind, kind, 8, 80, 1, 10),
            2,
            int(random.integers(1, 9)),
            int(kind),
            5.0,
            float(np.round(random.uniform(-3.0, 9.0), 3)),
        )
        for index, own in enumerate(groups)
        for members in member_sets(sorted(names.index(name) for name in own))
        for kind in range(len(table.card_types))
        if random.random() < 0.7
    ]
    fitting = tuple(item for item in candidates if item.cards <= capacity[item.card_type])
    monkeypatch.setattr(sharing_place, "shared_candidates", lambda *_: fitting)
    fleet = replace(
        fleet,
        capacity=tuple(
            replace(item, count=int(capacity[table.card_types.index(item.card_type)]))
            for item in fleet.capacity
        ),
    )
    outcome = place(fleet, table, effective_settings(OptimizerSettings()), {}, lambda: 0.0)
    sets = [(item.way.members, item.card_type, item.cards, item.value) for item in candidates]
    counts, value = best(table, sets, capacity.tolist())
    served = outcome.placement.served
    levels = sorted(set(table.priority.tolist()))
    assert tuple(-int(served[table.priority == level].sum()) for level in levels) == counts
    assert outcome.objective == pytest.approx(value, abs=1e-9)
    # Who shares stands on nothing else, and everybody is where the plan says.
    shared = [member for choice in outcome.shared for member in choice.members]
    alone = table.server[outcome.placement.row].tolist()
    assert sorted([*shared, *alone]) == np.flatnonzero(served).tolist()
    used = np.zeros(len(capacity), dtype=np.int64)
    for choice in outcome.shared:
        used[next(i.card_type for i in fitting if i.way.profile == choice.profile)] += choice.cards
    np.add.at(used, table.card_type[outcome.placement.row], table.cards[outcome.placement.row])
    assert (used <= capacity).all()


@pytest.mark.parametrize(
    ("rates", "capacity", "limits"),
    [
        ([0.6, 0.3, 0.2], {"H100": 3, "L40S": 2}, {}),
        ([4.0, 0.5, 1.0], {"H100": 2, "L40S": 1}, {}),
        ([3.0, 1.0, 2.0], {"H100": 2, "L40S": 2}, {"max_batch": [8, 16, 32]}),
        ([9.0, 4.0, 3.0], {"H100": 1, "L40S": 3}, {"router": "shortest-queue"}),
    ],
)
def test_pruning_never_changes_the_best_plan(
    rates: list[float], capacity: dict[str, int], limits: dict[str, object]
) -> None:
    """Against every set in every way, the dominated ones too."""
    fleet = _fleet(rates, capacity=capacity, **limits)
    plan = plan_fleet(fleet)
    table = build_candidates(replace(fleet, sharing=()), Analysis.FULL)
    shared = SharedFleet(fleet)
    everything = _all_candidates(shared, table)
    kept = shared_candidates(shared, table, np.full(len(table.card_types), 10_000))
    assert len(kept) <= len(everything)
    sets = [(item.way.members, item.card_type, item.cards, item.value) for item in everything]
    counts, value = best(table, sets, [capacity[name] for name in table.card_types])
    assert [-item.served for item in plan.services] == list(counts)
    assert plan.objective == pytest.approx(value, abs=1e-9)


def _all_candidates(shared: SharedFleet, table: CandidateTable) -> list[SharedCandidate]:
    """Return every set in every way, each predicted by itself."""
    import optimizer.sharing.candidates as module

    ways = shared_ways(shared.fleet, shared.arrays)
    replicas = [float(module.fewest_replicas(shared, [way])[0]) for way in ways]
    return [
        module._candidate(shared, way, int(count))
        for way, count in zip(ways, replicas, strict=True)
        if np.isfinite(count)
    ]


def test_small_servers_share_one_replica() -> None:
    plan = plan_fleet(_fleet([0.6, 0.3, 0.2]))
    apart = plan_fleet(replace(_fleet([0.6, 0.3, 0.2]), sharing=()))
    assert plan.status is PlanStatus.OPTIMAL
    assert (apart.cost_per_hour, plan.cost_per_hour) == pytest.approx((3 * 1.4, 1.4))
    host, *others = plan.allocations
    assert host.shared_with == ("s1", "s2")
    assert (host.counted_with, host.cards, host.cost_per_hour) == (None, 1, 1.4)
    for item in others:
        assert item.counted_with == "s0"
        assert (item.replicas, item.cards, item.cost_per_hour, item.value) == (1, 0, 0.0, 0.0)
    assert [item.engine_priority for item in plan.allocations] == [0, 0, 1]
    # Each class has latencies of its own, within targets of its own.
    means = [item.latencies[Latency.TTFT].mean_ms or 0.0 for item in plan.allocations]
    assert 0.0 < means[0] < means[1] < means[2]  # the longer prompts
    assert {item.card_type: item.used for item in plan.usage} == {"H100": 0, "L40S": 1}
    assert any("share 1 × L40S" in note for note in plan.notes)


def test_who_gains_nothing_stays_apart() -> None:
    """Tight targets of one class would bind the long prompts of the other."""
    document = _document([40.0, 0.2], priorities=[1, 2], capacity={"H100": 20, "L40S": 0})
    document["service_classes"][0]["targets"][0] |= {"itl_ms": {"p99": 9.0}}
    document["servers"][1]["load"] |= {"input_tokens": 8000, "arrival_rate_rps": 6.0}
    shared = plan_fleet(document_to_fleet(document))
    del document["sharing"]
    apart = plan_fleet(document_to_fleet(document))
    assert all(not item.shared_with for item in shared.allocations)
    assert shared.allocations == apart.allocations
    assert shared.objective == apart.objective


def test_priorities_let_more_share() -> None:
    """Without them, all requests wait alike; with them those of the first class less."""
    group = {"name": "all", "servers": ["s0", "s2"]}
    document = _document([12.0, 0.1, 5.0])
    costs = {}
    for priorities in (False, True):
        document["sharing"] = [group | {"priorities": priorities}]
        plan = plan_fleet(document_to_fleet(document))
        costs[priorities] = plan.cost_per_hour
        assert {item.engine_priority for item in plan.allocations if not priorities} <= {None}
    assert costs[True] <= costs[False]


@given(
    rates=st.lists(st.sampled_from([0.1, 0.5, 2.0, 6.0, 15.0]), min_size=2, max_size=3),
    priorities=st.booleans(),
    cards=st.tuples(st.integers(0, 6), st.integers(0, 6)),
    policy=st.sampled_from([SaturationPolicy.NONE, SaturationPolicy.PRIORITY_EXHAUSTIVE]),
)
@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_sharing_serves_as_many_and_is_never_dearer(
    rates: list[float], priorities: bool, cards: tuple[int, int], policy: SaturationPolicy
) -> None:
    group = {"name": "g", "servers": [f"s{k}" for k in range(len(rates))], "priorities": priorities}
    fleet = _fleet(rates, capacity={"H100": cards[0], "L40S": cards[1]}, sharing=[group])
    fleet = replace(fleet, settings=replace(fleet.settings, saturation_policy=policy))
    shared, apart = plan_fleet(fleet), plan_fleet(replace(fleet, sharing=()))
    own = [-item.served for item in shared.services]
    other = [-item.served for item in apart.services]
    assert own <= other
    if own == other:
        assert shared.objective <= apart.objective + 1e-9
    for item in shared.unplaced:
        assert item.reason in (UnplacedReason.CAPACITY, UnplacedReason.NO_CANDIDATE)


def test_an_unlimited_plan_shares_too() -> None:
    fleet = _fleet([0.6, 0.3, 0.2], capacity={"H100": 0, "L40S": 0})
    plan = plan_fleet(fleet, OptimizerSettings(unlimited=True))
    assert plan.cost_per_hour == pytest.approx(1.4)
    assert all(item.available is None for item in plan.usage)


def test_what_runs_is_what_the_value_is_counted_from() -> None:
    """The first member runs the common replica already: nothing changes, and nothing is paid."""
    document = _document([0.6, 0.3, 0.2])
    document["servers"][0]["current"] = {"accelerator": "L40S", "replicas": 1}
    assert plan_fleet(document_to_fleet(document)).objective == 0.0
    # Another member runs elsewhere: that is torn down, and the penalty is on it alone.
    document["servers"][1]["current"] = {"accelerator": "H100", "replicas": 1}
    plan = plan_fleet(document_to_fleet(document))
    assert plan.allocations[1].counted_with == "s0"
    assert plan.objective == pytest.approx(1.4 - 5.4 + 0.1 * 4.0)


def test_bounds_on_replicas_and_a_kept_accelerator_hold_for_all() -> None:
    document = _document([0.6, 0.3], min_replicas=2)
    document["servers"][1] |= {
        "keep_accelerator": True,
        "current": {"accelerator": "H100", "replicas": 2},
    }
    plan = plan_fleet(document_to_fleet(document))
    assert [(item.accelerator, item.replicas) for item in plan.allocations] == [("H100", 2)] * 2
    assert plan.allocations[1].counted_with == "s0"


def test_servers_of_unknown_load_and_without_load_stay_out() -> None:
    document = _document([0.6, 0.3, 0.2, 0.0])
    document["servers"][1]["load"] = "unknown"
    document["servers"][1]["current"] = {"accelerator": "L40S", "replicas": 1}
    plan = plan_fleet(document_to_fleet(document))
    by_name = {item.server: item for item in plan.allocations}
    assert by_name["s0"].shared_with == ("s2",)
    assert by_name["s1"].shared_with == ()
    assert by_name["s3"].accelerator is None


def test_a_plan_is_written_and_read_back() -> None:
    fleet = _fleet([0.6, 0.3, 0.2])
    plan = plan_fleet(fleet)
    document = plan_to_document(plan)
    told: Any = document["allocations"]
    assert told["s1"]["shared_with"] == ["s0", "s2"]
    assert told["s1"]["counted_with"] == "s0"
    assert told["s0"]["counted_with"] is None
    again = parse_plan(document)
    assert [item.shared_with for item in again.allocations] == [
        item.shared_with for item in plan.allocations
    ]
    assert plan_to_document(again) == document
    assert "shared_with" in plan_to_csv(plan).splitlines()[0]
    assert ",s0,1" in plan_to_csv(plan).splitlines()[3]
    rows = allocation_rows(fleet, plan)
    assert [row.hardware for row in rows] == ["1 × L40S", "the 1 of s0", "the 1 of s0"]
    # Replicas that are shared have one place on nodes.
    assert [(item.server, item.replicas) for item in parse_planned_replicas(document)] == [
        ("s0", 1)
    ]
    plain = plan_fleet(replace(fleet, sharing=()))
    assert "shared_with" not in str(plan_to_document(plain))
    assert "shared_with" not in plan_to_csv(plain)


@pytest.mark.parametrize(
    "change",
    [
        {"shared_with": ("s2",)},
        {"counted_with": None},
        {"replicas": 2},
        {"cards": 1},
        {"shared_with": ("s0", "s9")},
        {"shared_with": ()},
    ],
)
def test_a_plan_that_contradicts_itself_is_caught(change: dict[str, Any]) -> None:
    fleet, plan = _checked()
    broken = replace(plan.allocations[1], **change)
    allocations = (plan.allocations[0], broken, *plan.allocations[2:])
    check_sharing_of_plan(fleet, plan)
    with pytest.raises(PlanCheckError):
        check_sharing_of_plan(fleet, replace(plan, allocations=allocations))


@cache
def _checked() -> tuple[Fleet, Any]:
    fleet = _fleet([0.6, 0.3, 0.2])
    return fleet, plan_fleet(fleet)


@pytest.mark.parametrize(
    ("changed", "settings", "words"),
    [
        ({}, OptimizerSettings(solver=SolverKind.GREEDY), "optimizer.solver"),
        ({}, OptimizerSettings(heterogeneous=True), "optimizer.heterogeneous"),
        ({}, OptimizerSettings(analysis=Analysis.REFERENCE), "analysis"),
        ({"limits": {"budget_per_hour": 5}}, OptimizerSettings(unlimited=True), "unlimited"),
        (
            {"accelerators": SLICED, "capacity": {"card": 5, "L40S": 20}},
            None,
            "accelerators.H100.slice",
        ),
    ],
)
def test_what_is_not_combined_is_refused(
    changed: dict[str, Any], settings: OptimizerSettings | None, words: str
) -> None:
    document = _document([0.6, 0.3]) | changed
    with pytest.raises(InvalidInputError) as error:
        plan_fleet(document_to_fleet(document), settings)
    assert words in str(error.value)


def test_what_plans_each_server_alone_refuses_sharing() -> None:
    fleet, _ = _checked()
    with pytest.raises(InvalidInputError, match="sharing"):
        build_candidates(fleet, Analysis.FULL)
    with pytest.raises(InvalidInputError, match="sharing of replicas"):
        refuse_untold(fleet, OptimizerSettings())
    loads = {server.name: server.load for server in fleet.servers if server.load}
    assert "sharing" in plan_now(fleet, loads, None, {}, 10.0).failure


def test_sets_are_all_small_ones_and_the_largest() -> None:
    assert len(list(member_sets(range(4)))) == 6 + 4 + 1
    assert len(list(member_sets(range(6)))) == 15 + 20 + 6 + 1
    assert list(member_sets([5])) == []
    assert list(member_sets([2, 7])) == [(2, 7)]
