"""Candidates of the reference's systems against those of the reference."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from data.fleets import read_fleet
from optimizer.candidates import build_candidates
from optimizer.table import ACCEPTED, EMPTY, CandidateTable
from stoker.domain.fleet import Fleet
from tests.support.golden_systems import SYSTEMS

RELATIVE = 1e-4
FLOAT32_REPLICAS = 10_000
"""Above it the reference's float32 cannot tell neighbouring replica counts apart; Stoker's own
bound on replicas stands there too."""


def fleet_of(golden_dir: Path, name: str, max_replicas: int = FLOAT32_REPLICAS) -> Fleet:
    fleet = read_fleet(golden_dir / "systems" / f"{SYSTEMS[name]}.json")
    rules = dataclasses.replace(fleet.rules, max_replicas=max_replicas)
    return dataclasses.replace(fleet, rules=rules)


def rows_of(table: CandidateTable) -> dict[tuple[str, str | None], int]:
    return {
        (
            table.servers[table.server[row]],
            None if table.accelerator[row] == EMPTY else table.accelerators[table.accelerator[row]],
        ): row
        for row in range(len(table.server))
    }


def exceptions(golden_dir: Path, name: str) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    entry = json.loads((golden_dir / "candidate_exceptions.json").read_text()).get(name, {})
    return (
        {(server, acc) for server, acc in entry.get("accepted_though_over", [])},
        {(server, acc) for server, acc in entry.get("refused_though_feasible", [])},
    )


@pytest.mark.parametrize("name", SYSTEMS)
def test_candidates_agree_with_the_reference(golden_dir: Path, name: str) -> None:
    golden = json.loads((golden_dir / f"candidates_{name}.json").read_text())["candidates"]
    over, _ = exceptions(golden_dir, name)
    table = build_candidates(fleet_of(golden_dir, name))
    rows = rows_of(table)
    compared = 0
    for server, candidates in golden.items():
        for tried, candidate in candidates.items():
            if (server, tried) in over:
                assert table.rejection[rows[server, tried]] != ACCEPTED, (server, tried)
                continue
            if candidate["numReplicas"] > FLOAT32_REPLICAS:
                assert table.rejection[rows[server, tried]] != ACCEPTED, (server, tried)
                continue
            row = rows[server, candidate["accelerator"] or None]
            assert table.rejection[row] == ACCEPTED, (server, tried)
            assert table.replicas[row] == candidate["numReplicas"], (server, tried)
            assert table.max_batch[row] == candidate["maxBatch"], (server, tried)
            figures = (
                ("cost", 100 * table.cost_per_hour[row]),
                ("value", 100 * table.value[row]),
                ("rho", table.utilization[row]),
                ("maxRPM", 60 * table.max_rate_rps[row]),
            )
            for key, mine in figures:
                assert mine == pytest.approx(candidate[key], rel=RELATIVE, abs=1e-9), (server, key)
            if candidate["accelerator"]:
                assert table.itl_ms[row] == pytest.approx(candidate["itlAverage"], rel=RELATIVE)
                assert table.ttft_ms[row] == pytest.approx(candidate["ttftAverage"], rel=RELATIVE)
            compared += 1
    assert compared >= 50


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_the_reference_refuses_wrongly_is_accepted_and_nothing_else(
    golden_dir: Path, name: str
) -> None:
    golden = json.loads((golden_dir / f"candidates_{name}.json").read_text())["candidates"]
    _, refused = exceptions(golden_dir, name)
    table = build_candidates(fleet_of(golden_dir, name, max_replicas=2_000_000))
    rows = rows_of(table)
    extra = {
        (server, accelerator)
        for (server, accelerator), row in rows.items()
        if accelerator is not None
        and table.rejection[row] == ACCEPTED
        and accelerator not in golden.get(server, {})
    }
    assert refused <= extra
    # All of the reference's wrong refusals are at batch limit 1, also those not listed.
    assert {int(table.max_batch[rows[pair]]) for pair in extra} <= {1}


@pytest.mark.parametrize("name", SYSTEMS)
def test_no_accepted_candidate_breaks_a_target(golden_dir: Path, name: str) -> None:
    fleet = fleet_of(golden_dir, name)
    table = build_candidates(fleet)
    classes = {item.name: item for item in fleet.service_classes}
    checked = 0
    for row in np.flatnonzero(table.accepted & (table.accelerator != EMPTY)):
        server = fleet.servers[table.server[row]]
        target = classes[server.service_class].target_for(server.model)
        assert target is not None
        assert server.load is not None
        if server.load.is_zero:
            continue
        assert target.ttft_ms is None or table.ttft_ms[row] <= target.ttft_ms * (1 + 1e-6)
        assert target.itl_ms is None or table.itl_ms[row] <= target.itl_ms * (1 + 1e-6)
        total = table.total_rate_rps[table.server[row]]
        assert table.replicas[row] * table.max_rate_rps[row] >= total * (1 - 1e-12)
        checked += 1
    assert checked >= 50
