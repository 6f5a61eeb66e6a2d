"""`stoker solve` of servers behind routers and with chosen batch limits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli import stoker
from tests.support.routed_fleets import routed_document

TARGETS = {"ttft_ms": {"p95": 2000}, "itl_ms": {"p95": 20}}


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.json"
    document = routed_document("shortest-queue", max_batch="auto", targets=TARGETS)
    path.write_text(json.dumps(document))
    return path


def test_the_report_tells_router_and_batch_limit(fleet: Path) -> None:
    result = stoker("solve", fleet)
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "Router shortest-queue: s" in lines
    (batch,) = [line for line in lines if line.startswith("Batch s: ")]
    assert batch.endswith("rather than 256: p95 ITL")


def test_the_json_and_the_csv_tell_them(fleet: Path) -> None:
    found = json.loads(stoker("solve", fleet, "--format", "json").stdout)["allocations"]["s"]
    assert found["router"] == "shortest-queue"
    assert found["batch_choice"]["largest"] == 256
    assert found["batch_choice"]["binding"] == "itl_ms.p95"
    header, row = stoker("solve", fleet, "--format", "csv").stdout.splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=True))
    assert (cells["router"], cells["max_batch"]) == ("shortest-queue", str(found["max_batch"]))


def test_the_default_is_not_worth_a_line(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    path.write_text(json.dumps(routed_document()))
    lines = [line.split()[:1] for line in stoker("solve", path).stdout.splitlines()]
    assert ["Router"] not in lines
    assert ["Status"] in lines


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--analysis", "reference"), "servers.s.router: shortest-queue is beyond the analysis"),
        (("--heterogeneous",), "servers.s.router: shortest-queue is beyond plans that mix"),
    ],
)
def test_what_cannot_be_combined_is_refused(
    fleet: Path, options: tuple[str, ...], words: str
) -> None:
    result = stoker("solve", fleet, *options)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
