"""Candidates in several configurations, each as if it were the only one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from optimizer.candidates import build_candidates
from optimizer.configurations import pruning
from optimizer.configurations.pruning import pruned
from optimizer.table import CandidateTable
from stoker.domain.fleet import Fleet
from stoker.domain.routing import Router
from stoker.domain.settings import Analysis
from tests.support.configured_fleets import DP2, FP8, LOAD, TP1, TP2, configured_fleet, profile
from tests.support.configured_fleets import server as server_document

FIGURES = (
    "replicas",
    "cards_per_replica",
    "cost_per_hour",
    "ttft_ms",
    "itl_ms",
    "utilization",
    "blocking",
    "max_rate_rps",
    "max_batch",
    "max_queue",
    "rejection",
)


@pytest.fixture
def every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no row out."""
    monkeypatch.setattr("optimizer.candidates.pruned", lambda table, visible: table)


def table_of(fleet: Fleet, analysis: Analysis = Analysis.FULL) -> CandidateTable:
    return build_candidates(fleet, analysis)


def figures(table: CandidateTable, row: int) -> list[float]:
    return [float(getattr(table, name)[row]) for name in FIGURES]


@pytest.mark.usefixtures("every_row")
@pytest.mark.parametrize(
    ("analysis", "router"),
    [
        (Analysis.REFERENCE, Router.RANDOM),
        (Analysis.FULL, Router.RANDOM),
        (Analysis.FULL, Router.ROUND_ROBIN),
    ],
)
def test_each_configuration_is_counted_as_if_alone(analysis: Analysis, router: Router) -> None:
    targets = {"ttft_ms": 300, "itl_ms": 20}
    own = server_document(router=router.label)
    configurations = [TP1, TP2, FP8, DP2]
    whole = table_of(
        configured_fleet([profile(item) for item in configurations], own, targets=targets), analysis
    )
    rows = np.flatnonzero(whole.accelerator == 0)
    assert [whole.configurations[whole.configured[row]] for row in rows] == [
        item["configuration"] for item in configurations
    ]
    for row, configuration in zip(rows.tolist(), configurations, strict=True):
        alone = table_of(configured_fleet([profile(configuration)], own, targets=targets), analysis)
        assert figures(whole, row) == pytest.approx(figures(alone, 0), rel=1e-5, nan_ok=True)


@pytest.mark.usefixtures("every_row")
def test_each_batch_limit_is_counted_as_if_alone() -> None:
    limits = [8, 24, 64]
    whole = table_of(configured_fleet([profile(TP1)], server_document(max_batch=limits)))
    rows = np.flatnonzero(whole.accelerator == 0)
    assert whole.max_batch[rows].tolist() == limits
    for row, limit in zip(rows.tolist(), limits, strict=True):
        alone = table_of(configured_fleet([profile(TP1)], server_document(max_batch=limit)))
        assert figures(whole, row) == pytest.approx(figures(alone, 0), rel=1e-5)


@pytest.mark.usefixtures("every_row")
def test_engines_of_a_replica_are_replicas_of_one_engine() -> None:
    both = table_of(configured_fleet([profile(TP1), profile(DP2)]))
    single, double = np.flatnonzero(both.accelerator == 0)
    assert both.cards_per_replica[[single, double]].tolist() == [1, 2]
    assert both.max_rate_rps[double] == pytest.approx(2 * both.max_rate_rps[single], rel=1e-5)
    assert both.replicas[double] == math.ceil(both.replicas[single] / 2)
    # With as many engines the two are the same: figures are those of an engine.
    fleet = configured_fleet([profile(TP1)], server_document(min_replicas=4))
    four = table_of(fleet)
    fleet = configured_fleet([profile(DP2)], server_document(min_replicas=2))
    two = table_of(fleet)
    assert (four.replicas[0], two.replicas[0]) == (4, 2)
    for name in ("ttft_ms", "itl_ms", "utilization", "blocking", "max_batch"):
        assert getattr(two, name)[0] == pytest.approx(getattr(four, name)[0], rel=1e-5)


@pytest.mark.parametrize("router", [Router.ROUND_ROBIN, Router.SHORTEST_QUEUE])
def test_engines_behind_a_router_are_as_many_replicas(router: Router) -> None:
    own = server_document(router=router.label)
    engines = table_of(configured_fleet([profile(TP1)], own))
    replicas = table_of(configured_fleet([profile(DP2)], own))
    assert replicas.replicas[0] == math.ceil(engines.replicas[0] / 2)


def test_what_is_no_better_in_anything_is_left_out() -> None:
    slower = {**TP1, "configuration": "slow"}
    slower["parameters"] = {**TP1["parameters"], "alpha_ms": 8.2}
    table = table_of(configured_fleet([profile(slower), profile(TP1)]))
    (row,) = np.flatnonzero(table.accelerator == 0)
    assert table.configurations[table.configured[row]] == "tp1"
    assert table.row_start.tolist() == [0, 2]  # a row on H100, and the reason on A100


def test_fleets_without_choices_keep_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = configured_fleet([profile(TP1), profile(TP1, "A100")])
    table = table_of(fleet)
    assert pruned(table) is table
    monkeypatch.setattr(pruning, "_pairs_within", None)  # not even looked for
    assert len(table_of(fleet).server) == 2


def test_a_server_without_load_fills_no_batch() -> None:
    idle = {**LOAD, "arrival_rate_rps": 0}
    own = server_document(load=idle, min_replicas=2, max_batch=[8, 16])
    table = table_of(configured_fleet([profile(TP1), profile(TP2)], own))
    rows = np.flatnonzero(table.accelerator == 0)
    assert table.replicas[rows].tolist() == [2, 2]
    nothing = server_document(load=idle, max_batch=[8, 16])
    assert table_of(configured_fleet([profile(TP1)], nothing)).accelerator.tolist() == [-1]


def test_rows_of_all_servers_stand_where_the_table_says() -> None:
    fleet = configured_fleet(
        [profile(TP1), profile(TP2), profile(FP8, "A100")],
        server_document("a", max_batch=[4, 64]),
        server_document("b", load={**LOAD, "arrival_rate_rps": 0}),
        server_document("c", load="unknown"),
        server_document("d"),
    )
    table = table_of(fleet)
    for server in range(len(fleet.servers)):
        span = table.server[table.row_start[server] : table.row_start[server + 1]]
        assert (span == server).all()
        assert len(span)
    assert table.row_start[-1] == len(table.server)
