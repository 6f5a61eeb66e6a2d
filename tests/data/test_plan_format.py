import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest

from data.plan_csv import plan_to_csv
from data.plan_format import plan_to_document, plan_to_inferno
from stoker.domain.latency import Latency, LatencyStatistics
from stoker.domain.plan import Plan
from stoker.domain.slo import PercentileTarget, SloTarget
from tests.support.plans import LONG_NAME, allocation, mixed_fleet, mixed_plan


def document(plan: Plan) -> Any:
    return json.loads(json.dumps(plan_to_document(plan), allow_nan=False))


class TestJson:
    def test_the_keys_and_their_order(self) -> None:
        result = document(mixed_plan())
        assert list(result) == [
            "status",
            "objective",
            "bound",
            "gap",
            "cost_per_hour",
            "currency",
            "analysis",
            "method",
            "backend",
            "allocations",
            "unplaced",
            "usage",
            "services",
            "notes",
            "timings_ms",
        ]
        assert list(result["allocations"][LONG_NAME]) == [
            "accelerator",
            "configuration",
            "parallel",
            "serving",
            "sliced",
            "replicas",
            "router",
            "max_batch",
            "batch_choice",
            "max_queue",
            "cost_per_hour",
            "value",
            "ttft_ms",
            "itl_ms",
            "utilization",
            "blocking",
            "max_rate_rps",
            "arrival_rate_rps",
            "service_class",
            "model",
            "cards",
            "card_type",
            "fully_served",
            "estimate",
            "targets",
            "binding",
            "kv_use",
            "preemptions_per_request",
            "latencies",
        ]

    def test_figures(self) -> None:
        result = document(mixed_plan())
        assert result["status"] == "feasible"
        assert result["usage"]["A100"] == {"used": 8, "available": 8, "cost_per_hour": 1230.0}
        assert result["services"][1] == {"priority": 10, "servers": 3, "served": 0, "bound": 1}
        assert result["unplaced"]["Bronze-never"] == {
            "reason": "no_candidate",
            "detail": "No accelerator reaches ITL 1 ms.",
            "remedy": "Raise the ITL target.",
            "rejections": {"A100": "itl_unreachable", "L4": "no_profile"},
        }
        assert result["allocations"][LONG_NAME]["targets"] == {
            "ttft_ms": 500.0,
            "itl_ms": 40.0,
            "e2e_ms": None,
            "tps": None,
        }
        assert result["allocations"][LONG_NAME]["estimate"] == "fitted"

    def test_percentiles_and_what_binds(self) -> None:
        percentile = PercentileTarget(Latency.TTFT, 95.0, 800.0)
        told = allocation(
            "told",
            targets=SloTarget("m", 500.0, 40.0, None, 9000.0, (percentile,)),
            latencies={Latency.TTFT: LatencyStatistics(35.21, {95.0: 61.5, 99.9: None})},
            binding="ttft_ms.p95",
        )
        figures = document(mixed_plan(allocations=(told,)))["allocations"]["told"]
        assert figures["targets"] == {
            "ttft_ms": {"mean": 500.0, "p95": 800.0},
            "itl_ms": 40.0,
            "e2e_ms": 9000.0,
            "tps": None,
        }
        assert figures["latencies"] == {"ttft_ms": {"mean": 35.21, "p95": 61.5, "p99.9": None}}
        assert figures["binding"] == "ttft_ms.p95"
        row = next(csv.DictReader(io.StringIO(plan_to_csv(mixed_plan(allocations=(told,))))))
        assert row["percentile_targets"] == "e2e_ms.mean=9000; ttft_ms.p95=800"
        assert (row["binding"], row["e2e_ms"]) == ("ttft_ms.p95", "")

    def test_unknown_figures_are_null(self) -> None:
        odd = allocation("odd", ttft_ms=float("nan"), itl_ms=float("inf"), blocking=None)
        plan = mixed_plan(allocations=(odd,), bound=None, gap=None, backend="")
        result = document(plan)
        figures = result["allocations"]["odd"]
        assert [figures[key] for key in ("ttft_ms", "itl_ms", "blocking")] == [None] * 3
        assert [result[key] for key in ("bound", "gap", "backend")] == [None] * 3
        assert document(mixed_plan())["allocations"]["Premium-idle"]["accelerator"] is None

    def test_a_mix_lists_its_parts(self) -> None:
        result = document(mixed_plan())["allocations"]
        parts = result["Premium-mix"]["mix"]
        assert [(item["accelerator"], item["replicas"]) for item in parts] == [
            ("A100", 2),
            ("L4", 1),
        ]
        assert "mix" not in result[LONG_NAME]


class TestInferno:
    def test_cents_minutes_and_load(self) -> None:
        plan = mixed_plan(allocations=(allocation(LONG_NAME), allocation("Bronze-out")))
        result = plan_to_inferno(plan, mixed_fleet())
        assert result["allocations"][LONG_NAME] == {  # type: ignore[index]
            "accelerator": "2xA100",
            "numReplicas": 3,
            "maxBatch": 32,
            "cost": 480,
            "itlAverage": 19.397,
            "ttftAverage": 35.21,
            "load": {
                "arrivalRate": 120,
                "throughput": 0,
                "avgInTokens": 128,
                "avgOutTokens": 1024,
            },
        }

    def test_an_empty_allocation_has_no_accelerator(self) -> None:
        idle = mixed_plan().allocations[2]
        result = plan_to_inferno(mixed_plan(allocations=(idle,)), mixed_fleet())
        entry = result["allocations"]["Premium-idle"]  # type: ignore[index]
        assert (entry["accelerator"], entry["numReplicas"], entry["cost"]) == ("", 0, 0)

    def test_a_mix_stands_as_its_largest_part_and_lists_all(self) -> None:
        fleet, plan = mixed_fleet(), mixed_plan()
        mixed = plan.allocations[1]
        entry: Any = plan_to_inferno(plan, fleet)["allocations"]
        entry = entry["Premium-mix"]
        assert (entry["accelerator"], entry["numReplicas"]) == (
            mixed.accelerator,
            mixed.replicas,
        )
        assert entry["cost"] == pytest.approx(100 * mixed.cost_per_hour)
        told = [(part["accelerator"], part["numReplicas"], part["cost"]) for part in entry["mix"]]
        assert told == [("A100", 2, 120), ("L4", 1, 120)]
        assert [part["load"]["arrivalRate"] for part in entry["mix"]] == [48, 24]
        assert {part["load"]["avgOutTokens"] for part in entry["mix"]} == {1024}

    def test_a_mix_of_one_accelerator_is_told(self) -> None:
        mixed = mixed_plan().allocations[1]
        single = replace(mixed, mix=mixed.mix[:1])
        result = plan_to_inferno(mixed_plan(allocations=(single,)), mixed_fleet())
        assert "mix" not in result["allocations"]["Premium-mix"]  # type: ignore[index]


class TestCsv:
    def test_a_row_for_each_allocation_part_and_unserved_server(self) -> None:
        rows = list(csv.DictReader(io.StringIO(plan_to_csv(mixed_plan()))))
        assert [(row["server"], row["accelerator"]) for row in rows] == [
            (LONG_NAME, "2xA100"),
            ("Premium-mix", "A100"),
            ("Premium-mix", "L4"),
            ("Premium-idle", ""),
            ("Bronze-best", "2xA100"),
            ("Bronze-out", ""),
            ("Bronze-never", ""),
        ]
        first, best = rows[0], rows[4]
        assert (first["ttft_ms"], first["ttft_target_ms"], first["currency"]) == (
            "35.21",
            "500.0",
            "EUR",
        )
        assert (best["itl_ms"], best["fully_served"], best["unplaced_reason"]) == (
            "",
            "false",
            "capacity",
        )

    def test_names_are_quoted_where_they_must(self) -> None:
        odd = allocation('a,"b"\n')
        rows = list(csv.DictReader(io.StringIO(plan_to_csv(mixed_plan(allocations=(odd,))))))
        assert rows[0]["server"] == 'a,"b"\n'
