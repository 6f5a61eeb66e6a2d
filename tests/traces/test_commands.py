"""`stoker trace` and `stoker backtest`: answers in every format, pictures, errors, exit codes."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import pytest

from tests.support.cli import stoker
from tests.support.traces import generated


@pytest.fixture(scope="module")
def trace_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trace = generated(requests=200, rate_rps=4.0)
    path = tmp_path_factory.mktemp("trace") / "trace.csv"
    rows = zip(
        (trace.arrival_ms / 1000).tolist(),
        trace.input_tokens.tolist(),
        trace.output_tokens.tolist(),
        strict=True,
    )
    lines = ["arrival_s,in_tokens,out_tokens", *(f"{a},{i},{o}" for a, i, o in rows)]
    path.write_text("\n".join(lines))
    return path


BOUND = "patient_any_router_bound"
ASKED = ("--fleet", "small", "--model", "granite_13b", "--ttft", 2000, "--itl", 120)

CONFIGURED = """
version: 1
currency: USD
accelerators: [{name: A, cost_per_hour: 2}]
capacity: {A: 100}
profiles:
- {model: m, accelerator: A, configuration: fast, max_batch: 64, at_tokens: 128,
   parameters: {kind: token-work, alpha_ms: 7, beta_ms: 0.02, gamma_ms: 0.00005}}
- {model: m, accelerator: A, configuration: slow, accelerators_per_replica: 2, max_batch: 64,
   at_tokens: 128,
   parameters: {kind: token-work, alpha_ms: 9, beta_ms: 0.03, gamma_ms: 0.00005}}
service_classes: [{name: c, priority: 1, targets: [{model: m, ttft_ms: 500}]}]
servers:
- {name: s, service_class: c, model: m,
   load: {arrival_rate_rps: 1, input_tokens: 100, output_tokens: 100}}
"""


def test_answers_agree_in_every_format(trace_file: Path, tmp_path: Path) -> None:
    asked = (trace_file, *ASKED, "--accelerator", "A100", "--accelerator", "G2")
    result = stoker("trace", *asked, "--format", "json", "--plots", tmp_path)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    rows = list(csv.DictReader(StringIO(stoker("trace", *asked, "--format", "csv").stdout)))
    table = stoker("trace", *asked, columns=200).stdout
    assert [each["accelerator"] for each in document["fleets"]] == [r["accelerator"] for r in rows]
    for fleet, row in zip(document["fleets"], rows, strict=True):
        assert int(row["replicas"]) == fleet["replicas"] == fleet["answer"]["replicas"]
        assert fleet["answer"]["attainment"] >= 0.95
        assert fleet["lower_bound"] == {
            "replicas": fleet["replicas"],
            "router": "shortest-queue",
            "proved": True,
        }
        bounds = [fleet[name]["replicas"] for name in ("any_router_bound", BOUND)]
        assert bounds == sorted(bounds)
        assert bounds[-1] <= fleet["replicas"] == int(row["lower_bound"])
        assert fleet["accelerator"] in table
        if fleet["one_less"] is not None:
            assert fleet["one_less"]["attainment"] < 0.95
    costs = [fleet["cost_per_hour"] for fleet in document["fleets"]]
    assert costs == sorted(costs)
    assert document["best"] == {"granite_13b": document["fleets"][0]["accelerator"]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["attainment-1.png", "load.png"]


def test_a_target_out_of_reach_is_explained(trace_file: Path) -> None:
    result = stoker(
        "trace", trace_file, "--fleet", "small", "--model", "granite_13b", "--ttft", 5,
        "--accelerator", "A100",
    )  # fmt: skip
    assert result.exit_code == 3
    assert "miss a target even on an idle replica" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--fleet", "small"), "--ttft"),
        (("--fleet", "small", "--ttft", 5, "--attainment", 101), "--attainment"),
        (("--fleet", "small", "--ttft", 5, "--router", "fastest"), "--router"),
        (("--fleet", "small", "--ttft", 5, "--model", "no"), "--model"),
        (("--fleet", "small", "--ttft", 5, "--accelerator", "no"), "--accelerator"),
    ],
)
def test_mistakes_are_named(trace_file: Path, options: tuple[object, ...], message: str) -> None:
    result = stoker("trace", trace_file, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "allowed" in result.stderr


def test_the_best_router_takes_no_more_than_any_of_them(trace_file: Path) -> None:
    asked = (trace_file, *ASKED, "--accelerator", "A100", "--speed", 6, "--format", "json")
    found = {}
    for router in ("shortest-queue", "least-kv", "round-robin", "best"):
        document = json.loads(stoker("trace", *asked, "--router", router).stdout)
        found[router] = document["fleets"][0]
    best = found.pop("best")
    assert best["replicas"] == min(each["replicas"] for each in found.values())
    assert best["lower_bound"]["replicas"] == best["replicas"]
    assert found[best["router"]]["replicas"] == best["replicas"]
    table = stoker("trace", *asked[:-2], "--router", "best", columns=200).stdout
    assert best["router"] in table
    assert "Router" in table


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    for command in (("trace",), ("backtest", "--model", "m", "--accelerator", "a")):
        result = stoker(command[0], tmp_path / "none.csv", "--fleet", "small", *command[1:])
        assert result.exit_code == 2
        first, second = result.stderr.splitlines()[:2]
        assert "none.csv: cannot be read: No such file" in first
        assert "--ttft: no target is given" in second


def test_backtests_in_every_format(trace_file: Path, tmp_path: Path) -> None:
    asked = ("backtest", trace_file, *ASKED, "--accelerator", "A100", "--interval", 20)
    result = stoker(*asked, "--startup", 5, "--format", "json", "--plots", tmp_path)
    assert result.exit_code in (0, 3), result.output
    document = json.loads(result.stdout)
    assert set(document["policies"]) == {"planned", "hindsight", "static"}
    assert document["policies"]["hindsight"]["cost"] <= document["policies"]["static"]["cost"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cost.png", "replicas.png"]
    assert 0 < document["least_cost"] <= document["policies"]["hindsight"]["cost"]
    table = stoker(*asked, "--startup", 5, columns=200).stdout
    assert "proven lower bound, any router" in table
    assert "best found in hindsight" in table
    below = document["least_below_hindsight"]
    assert below == pytest.approx(
        1 - document["least_cost"] / document["policies"]["hindsight"]["cost"], abs=1e-12
    )
    proven = "is proven to be the least" if below < 1e-9 else "not a proven optimum"
    assert proven in table
    kept = document["policies"]["planned"]["attainment"] >= 0.95
    assert result.exit_code == (0 if kept else 3)


def test_requests_at_one_moment_have_no_rate(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("arrival_s,in_tokens,out_tokens\n" + "5,100,20\n" * 3)
    asked = ("trace", path, *ASKED, "--accelerator", "A100")
    assert json.loads(stoker(*asked, "--format", "json").stdout)["arrival_rate_rps"] is None
    assert "; 0.0 min, 100 tokens in, 20 out;" in stoker(*asked, columns=200).stdout


def test_of_several_configurations_one_is_named(trace_file: Path, tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(CONFIGURED)
    asked = (trace_file, "--fleet", fleet, "--model", "m", "--ttft", 2000, "--interval", 20)
    both = stoker("backtest", *asked, "--accelerator", "A")
    assert both.exit_code == 2
    assert "--configuration: m on A has 2 configurations (allowed: fast, slow)" in both.stderr
    other = stoker("backtest", *asked, "--accelerator", "A", "--configuration", "tp4")
    assert other.exit_code == 2
    assert "(allowed: fast, slow)" in other.stderr
    found = stoker(
        "backtest", *asked, "--accelerator", "A", "--configuration", "slow", columns=200
    ).stdout
    assert found.startswith("m on A slow:")
    table = stoker("trace", *asked[:-2], columns=200).stdout
    assert "m: 1 × A fast, 2.00 USD an hour" in " ".join(table.split())


def test_a_backtest_that_costs_nothing_compares_nothing(trace_file: Path, tmp_path: Path) -> None:
    moment, free = tmp_path / "trace.csv", tmp_path / "free.yaml"
    moment.write_text("arrival_s,in_tokens,out_tokens\n" + "5,100,20\n" * 3)
    free.write_text(CONFIGURED.replace("cost_per_hour: 2", "cost_per_hour: 0"))
    ways = (
        ("backtest", moment, *ASKED, "--accelerator", "A100"),
        ("backtest", trace_file, "--fleet", free, "--model", "m", "--ttft", 2000,
         "--accelerator", "A", "--configuration", "fast", "--interval", 20),
    )  # fmt: skip
    for asked in ways:
        table = stoker(*asked, "--plots", tmp_path, columns=200)
        assert table.exit_code == 0, table.output
        assert "it costs the lower bound" in " ".join(table.stdout.split())
        assert all(
            line.endswith("–") for line in table.stdout.splitlines() if line.startswith("never")
        )
        document = json.loads(stoker(*asked, "--format", "json").stdout)
        assert document["least_cost"] == document["least_below_hindsight"] == 0.0


def test_too_many_intervals_are_refused(trace_file: Path) -> None:
    result = stoker("backtest", trace_file, *ASKED, "--accelerator", "A100", "--interval", 0.01)
    assert result.exit_code == 2
    assert "--interval" in result.stderr
