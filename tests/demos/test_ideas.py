"""What each demonstration claims holds in its data."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

Runner = Callable[[str], tuple[dict[str, Any], Path]]


def test_rising_load_raises_latency_and_never_completes_more_than_offered(
    demo_data: Runner,
) -> None:
    data, _ = demo_data("01")
    points = data["points"]
    for lighter, heavier in pairwise(points):
        assert heavier["ttft_ms"] > lighter["ttft_ms"]
        assert heavier["itl_ms"] >= lighter["itl_ms"]
        assert heavier["throughput_rps"] >= lighter["throughput_rps"] * (1 - 1e-9)
        assert heavier["blocking"] >= lighter["blocking"]
    for point in points:
        completed = point["arrival_rate_rps"] * (1 - point["blocking"])
        assert point["throughput_rps"] == pytest.approx(completed)
        inside = point["arrival_rate_rps"] <= data["largest_rate_rps"] * (1 + 1e-9)
        kept = point["ttft_ms"] <= data["ttft_target_ms"] * (1 + 1e-6) and point["itl_ms"] <= data[
            "itl_target_ms"
        ] * (1 + 1e-6)
        assert kept == inside
    assert "TTFT reaches its target" in data["findings"][0]


def test_unlimited_plan_is_the_floor_and_places_everybody(demo_data: Runner) -> None:
    data, _ = demo_data("02")
    allocations = data["allocations"].values()
    assert len(allocations) == data["servers"]
    assert sum(item["cost_per_hour"] for item in allocations) == pytest.approx(
        data["cost_per_hour"]
    )
    assert data["cost_per_hour"] < data["dearest_cost_per_hour"]
    assert data["servers"] <= data["candidates"] <= data["pairs"]


def test_fewer_cards_cost_money_then_service_lowest_priority_first(demo_data: Runner) -> None:
    data, _ = demo_data("03")
    plans = data["plans"]
    assert all(a["capacity_scale"] > b["capacity_scale"] for a, b in pairwise(plans))
    assert all(a["served"] >= b["served"] for a, b in pairwise(plans))
    complete = [plan for plan in plans if not plan["unplaced"]]
    costs = [data["unlimited_cost_per_hour"], *(plan["cost_per_hour"] for plan in complete)]
    assert len(complete) >= 2
    assert costs == sorted(costs)
    last = plans[-1]
    assert last["unplaced"]
    assert all(server.startswith("Free-") for server in last["unplaced"])


def test_staying_put_costs_a_little_and_moves_less(demo_data: Runner) -> None:
    data, _ = demo_data("04")
    assert 0 < len(data["moved"]) < len(data["moved_anew"])
    assert data["cost_after_per_hour"] >= data["cost_after_anew_per_hour"]
    difference = sum(item["cost_difference_per_hour"] for item in data["changes"])
    assert difference == pytest.approx(data["cost_after_per_hour"] - data["cost_before_per_hour"])
    changed = {item["server"] for item in data["changes"]}
    assert set(data["moved"]) <= changed
    assert data["objective"] >= difference - 1e-9
    loads = data["factors"]
    for item in data["changes"]:
        factor = loads[item["server"].partition("-")[0]]
        if item["server"] not in data["moved"]:
            assert (item["cost_difference_per_hour"] > 0) == (factor > 1)


def test_more_load_never_costs_less(demo_data: Runner) -> None:
    data, _ = demo_data("05")
    points = data["points"]
    assert len(data["accelerators"]) > 1
    for lighter, heavier in pairwise(points):
        assert heavier["arrival_rate_rps"] > lighter["arrival_rate_rps"]
        assert heavier["cost_per_hour"] >= lighter["cost_per_hour"] - 1e-9
    per_request = [point["cost_per_hour"] / point["arrival_rate_rps"] for point in points]
    assert per_request[-1] < per_request[0]


def test_policies_keep_to_the_cards_and_to_the_servers_that_fit(demo_data: Runner) -> None:
    data, _ = demo_data("06")
    assert len(data["served"]) == 4
    for usage in data["usage"].values():
        assert all(used <= available for used, available in usage.values())
    assert len({tuple(served) for served in data["served"].values()}) == 1
    assert not data["best_effort"]["None"]
    assert any(data["best_effort"].values())
    for policy, shares in data["carried"].items():
        for name, share in shares.items():
            assert data["carried"]["None"][name] <= share + 1e-12 <= 1 + 1e-9
        assert data["cost_per_hour"][policy] >= data["cost_per_hour"]["None"] - 1e-9
    # The three that give out what is left do not all do it alike.
    assert len({str(given) for given in data["best_effort"].values()}) >= 3


def test_milp_is_never_worse_than_greedy_and_is_proven(demo_data: Runner) -> None:
    data, _ = demo_data("07")
    for match in data["matches"]:
        greedy, milp = match["greedy"], match["milp"]
        assert milp["served"] >= greedy["served"]
        if milp["served"] == greedy["served"]:
            assert milp["objective"] <= greedy["objective"] * (1 + 1e-6)
        assert milp["status"] == "optimal"
        assert milp["gap"] <= 1e-6
        assert greedy["gap"] is None
    assert any(match["milp"]["served"] > match["greedy"]["served"] for match in data["matches"])


def test_a_sweep_shows_where_cards_run_out_and_a_frontier_only_rises(demo_data: Runner) -> None:
    data, _ = demo_data("10")
    points, frontier = data["points"], data["frontier"]
    assert len(points) == 35
    for price in {point["price.A100"] for point in points}:
        mine = [point for point in points if point["price.A100"] == price]
        assert [point["cards"] for point in mine][-1] == "x1"
        assert all(a["served_priority_1"] <= b["served_priority_1"] for a, b in pairwise(mine))
    for fewer, more in pairwise(frontier):
        assert more["served"] > fewer["served"]
        assert more["cost_per_hour"] > fewer["cost_per_hour"]
        assert more["gap"] <= 1e-6
    whole = [p for p in points if p["cards"] == "x1" and p["price.A100"] == 0.4]
    assert frontier[-1]["cost_per_hour"] == pytest.approx(whole[0]["cost_per_hour"])
    assert "whole frontier" in data["claim"]


def test_pools_save_money_and_promises_take_it_back(demo_data: Runner) -> None:
    data, _ = demo_data("11")
    first, owned, spot, steady, safe, home, poor = data["plans"].values()
    assert first["cost_per_hour"] > owned["cost_per_hour"] > spot["cost_per_hour"]
    assert spot["cost_per_hour"] < steady["cost_per_hour"] < safe["cost_per_hour"]
    assert all(plan["status"] == "optimal" for plan in data["plans"].values())
    assert not any(plan["unplaced"] for plan in (first, owned, spot, steady, safe, home))
    assert safe["spare_replicas"] > steady["spare_replicas"] == 0
    assert home["away"] < safe["away"]
    assert home["cost_per_hour"] >= safe["cost_per_hour"]
    assert poor["unplaced"]
    assert all(server.startswith("Free-") for server in poor["unplaced"])
    assert set(poor["unplaced"].values()) <= {"budget", "spread"}
    assert poor["served"]["1"] == home["served"]["1"]
    for plan in data["plans"].values():
        assert sum(plan["cost_by_price"].values()) == pytest.approx(plan["cost_per_hour"])


def test_each_way_to_run_a_model_saves_something(demo_data: Runner) -> None:
    data, _ = demo_data("12")
    plans = list(data["plans"].values())
    assert all(plan["status"] == "optimal" and plan["served"] == 4 for plan in plans)
    for fewer, more in pairwise(plans):
        assert more["cost_per_hour"] < fewer["cost_per_hour"]
    one, batches, narrow, apart, sliced = (plan["allocations"] for plan in plans)
    assert batches["reports"]["max_batch"] < one["reports"]["max_batch"]
    assert "tp2" in narrow["chat"]["runs_on"]
    assert "prefill" in apart["reports"]["runs_on"]
    assert {sliced[name]["cards"] for name in ("titles", "tags")} == {0, 1}


def test_sharing_is_never_dearer_and_priorities_save_more(demo_data: Runner) -> None:
    data, _ = demo_data("13")
    apart, shared, turns = (
        [point["cost_per_hour"] for point in data["ways"][name]]
        for name in ("apart", "shared", "shared, with priorities")
    )
    served = {point["served"] for points in data["ways"].values() for point in points}
    assert served == {3}
    for own, line, turn in zip(apart, shared, turns, strict=True):
        assert turn <= line + 1e-9
        assert line <= own + 1e-9
    assert shared[0] < apart[0]
    assert any(turn < line for turn, line in zip(turns, shared, strict=True))


def test_what_is_cheaper_for_a_server_alone_is_no_cheaper_for_the_plan(demo_data: Runner) -> None:
    data, _ = demo_data("14")
    priced = [item for item in data["runner_ups"].values() if not item["no_longer_served"]]
    assert any(item["own_cost_change"] < 0 for item in priced)
    assert all(item["plan_value_change"] >= -1e-6 for item in priced)
    assert min(data["one_more_card"].values()) < 0
    assert data["changed"]


def test_a_loop_follows_the_load_of_a_day(demo_data: Runner) -> None:
    data, _ = demo_data("15")
    assert data["cycles"] >= 3
    for server in data["servers"].values():
        assert server["requests"] > 0
        assert 0 < server["cost_by_hindsight"] <= server["cost_of_peak"]
        # As many serve as were asked for, and no others.
        asked = {size for _, size in server["asked"]}
        assert max(size for _, size in server["serving"]) <= max(asked)


def test_a_plan_that_knows_its_nodes_has_a_place_for_all_and_spread_loses_less(
    demo_data: Runner,
) -> None:
    data, _ = demo_data("16")
    counted, packed, spread = data["ways"].values()
    free = data["free_cards"]
    assert counted["cards"] <= sum(free.values())
    lacking = counted["without_a_place"]["chat"]
    assert (lacking["replicas"], lacking["reason"]) == (1, "fragmented")
    assert counted["carried"]["chat"] < 1
    assert counted["cost_per_hour"] < packed["cost_per_hour"] == spread["cost_per_hour"]
    for way in (packed, spread):
        assert way["status"] == "optimal"
        assert way["proven"]
        assert not way["without_a_place"]
        assert way["carried"] == {"chat": 1, "mail": 1}
        for server, planned in way["allocations"].items():
            assert sum(way["standing"][server].values()) == planned["replicas"]
    each = {"A100": 1, "2xA100": 2, "4xA100": 4}
    for way in data["ways"].values():
        for node, cards in free.items():
            used = sum(
                nodes.get(node, 0) * each[way["allocations"][server]["accelerator"]]
                for server, nodes in way["standing"].items()
            )
            assert used <= cards
    assert len(packed["idle_nodes_used"]) < len(spread["idle_nodes_used"])
    for lost in ("carried_without_node", "carried_without_zone"):
        worst = [min(left["chat"] for left in way[lost].values()) for way in (packed, spread)]
        assert worst[0] < worst[1] < 1
    assert "no place" in data["findings"][1]


def test_each_aim_is_reached_best_by_the_plan_for_it_and_limits_are_kept(
    demo_data: Runner,
) -> None:
    data, _ = demo_data("17")
    plans = data["plans"]
    assert all(plan["status"] == "optimal" for plan in plans.values())
    cheapest, power, weighed, slack, fair, calm, few, dim, quota, queue = plans.values()
    alike = (cheapest, power, weighed, slack, fair, calm, few, dim)
    assert all(plan["served"] == cheapest["served"] for plan in alike)
    for measure, best in (
        ("power_w", power),
        ("share_of_targets", slack),
        ("worst_class_without", fair),
        ("servers_changed", calm),
    ):
        assert best[measure] < cheapest[measure]
        assert all(best[measure] <= plan[measure] + 1e-9 for plan in alike)
    assert power["power_w"] < weighed["power_w"] < cheapest["power_w"]
    limits = data["limits"]
    assert len(limits) == 3
    for name, limit in limits.items():
        assert plans[name][limit["of"]] <= limit["most"] + 1e-6 < cheapest[limit["of"]]
    # Cards that may not be used leave somebody out, of the lowest priority alone.
    assert quota["served"][:2] == cheapest["served"][:2]
    assert quota["served"][2] < cheapest["served"][2]
    assert queue["served"] >= cheapest["served"]
    assert set(cheapest["without_by_class"]) == {"Premium", "Bronze", "Free"}
    assert cheapest["without_by_class"]["Premium"] == pytest.approx(0.0, abs=1e-9)
