"""`stoker horizon`: from a fleet and a file of demand to schedules."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import pytest

from data.fleets import read_fleet
from tests.support.cli import stoker

HOURS = 6


@pytest.fixture
def demand(tmp_path: Path) -> Path:
    rows = ["hour,server,arrival_rate_rps"]
    for server in read_fleet("small").servers:
        assert server.load is not None
        for hour in range(HOURS):
            rate = 0.4 * server.load.arrival_rate_rps * (1 + 0.6 * math.sin(hour))
            rows.append(f"{hour},{server.name},{rate:.4f}")
    path = tmp_path / "demand.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


OPTIONS = (
    "--gap",
    0.05,
    "--reserved",
    "0.7",
    "--reserved",
    "G2=0.5",
    "--spot",
    "0.35",
    "--start-up-hours",
    1,
)


def test_json_csv_table_and_picture(demand: Path, tmp_path: Path) -> None:
    command = ("horizon", "small", "--demand", demand, *OPTIONS)
    result = stoker(*command, "--format", "json", "--plots", tmp_path)
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert (tmp_path / "horizon.png").read_bytes().startswith(b"\x89PNG")
    assert answer["status"] in ("optimal", "feasible")
    assert answer["hours"] == HOURS
    assert sum(answer["costs"].values()) == pytest.approx(answer["cost"])
    assert 0 < answer["bound"] <= answer["cost"]
    assert set(answer["servers"]) == {server.name for server in read_fleet("small").servers}
    rows = list(csv.DictReader(io.StringIO(stoker(*command, "--format", "csv").stdout)))
    assert {row["server"] for row in rows} == set(answer["servers"])
    table = stoker(*command).stdout
    assert "of the least possible, analysis full" in table
    assert "G2" in table


def test_a_trace_plans_its_server_alone(tmp_path: Path) -> None:
    name = read_fleet("small").servers[0].name
    trace = tmp_path / "trace.csv"
    rows = "".join(f"{arrival},64,32\n" for arrival in range(0, 4000, 40))
    trace.write_text(f"arrival_s,in_tokens,out_tokens\n{rows}", encoding="utf-8")
    asked = ("horizon", "small", "--demand", trace, "--trace-server", name)
    result = stoker(*asked, "--format", "json")
    assert result.exit_code == 0, result.output
    assert list(json.loads(result.stdout)["servers"]) == [name]


def test_mistakes_end_with_code_2(demand: Path, tmp_path: Path) -> None:
    for options, message in (
        (("--reserved", "cheap"), '"cheap" is not a number'),
        (("--spot", "H900=0.3"), "no accelerator has such cards"),
        (("--quantile", "1.5"), "1.5 is out of bounds"),
        (("--weekly", "--quantile", "0.9"), "history of 6 hours"),
        (("--confidence", "1"), "1 is out of bounds"),
        (("--trace-server", "nobody"), "is no server of the fleet"),
        (("--reserved", "G2=0.6", "--reserved", "G2=0.9"), "G2 has a factor already: G2=0.9"),
        (("--spot", "0.6", "--spot", "0.6"), "--spot: all types have a factor already: 0.6"),
        (("--spot-share", 0.3), "--spot-share: 0.3, without --spot"),
        (("--spot-interruptions", 0.3), "--spot-interruptions: 0.3, without --spot"),
        (("--reserved-term-hours", 24), "--reserved-term-hours: 24, without --reserved"),
    ):
        path = demand
        if "--trace-server" in options:
            path = tmp_path / "trace.csv"
            path.write_text("arrival_s,in_tokens,out_tokens\n1,2,3\n", encoding="utf-8")
        result = stoker("horizon", "small", "--demand", path, *options)
        assert result.exit_code == 2, options
        assert message in result.stderr
    short = tmp_path / "short.csv"
    short.write_text("\n".join(demand.read_text().splitlines()[:-1]) + "\n", encoding="utf-8")
    result = stoker("horizon", "small", "--demand", short)
    assert result.exit_code == 2
    assert "hours without a row: 5" in result.stderr
