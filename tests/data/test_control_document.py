"""Control documents with their fleets: what a loop cannot carry out is refused, with what can."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.control_document.reading import read_control
from stoker.domain.errors import InvalidInputError
from tests.support.control_setup import fleet_document

CONTROL = {"version": 1, "kind": "control", "fleet": "fleet.yaml"}


def problems_of(folder: Path, **fleet: Any) -> list[str]:
    (folder / "fleet.yaml").write_text(yaml.safe_dump(fleet_document() | fleet))
    (folder / "control.yaml").write_text(yaml.safe_dump(CONTROL))
    try:
        read_control(folder / "control.yaml")
    except InvalidInputError as error:
        return [str(each) for each in error.problems]
    return []


def test_a_plain_fleet_is_controlled(tmp_path: Path) -> None:
    assert problems_of(tmp_path) == []


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (
            {
                "pools": [
                    {"name": "eu", "card_type": "H100", "cards": 8, "region": "eu"},
                    {"name": "us", "card_type": "H100", "cards": 8, "region": "us"},
                ],
                "capacity": {"L4": 16},
            },
            ["fleet.yaml: pools: has eu, us", "cluster.product_labels"],
        ),
        (
            {"sharing": [{"name": "all", "servers": ["chat", "mail"]}]},
            ["fleet.yaml: sharing: lets servers share replicas", "a fleet without sharing"],
        ),
    ],
)
def test_what_a_loop_cannot_carry_out_is_refused(
    tmp_path: Path, section: dict[str, Any], words: list[str]
) -> None:
    chat = fleet_document()["servers"][0]
    (problem,) = problems_of(tmp_path, servers=[chat, chat | {"name": "mail"}], **section)
    for each in words:
        assert each in problem


def test_labels_and_ages_reach_the_settings(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(yaml.safe_dump(fleet_document()))
    told = {
        "metrics": {"duplicate_labels": ["scraped_by"], "distinct_labels": ["replica"]},
        "cluster": {"namespaces": ["models"], "sole_tenant": True},
        "servers": [
            {
                "server": "chat",
                "queries": {"arrival_rate_rps": "sum(requests)"},
                "ages": {"arrival_rate_rps": "time() - max(timestamp(requests))"},
            }
        ],
    }
    path = tmp_path / "control.yaml"
    path.write_text(yaml.safe_dump(CONTROL | told))
    settings = read_control(path).settings
    assert settings.metrics.duplicate_labels == ("scraped_by",)
    assert settings.metrics.distinct_labels == ("replica",)
    assert settings.cluster.sole_tenant
    assert settings.servers["chat"].ages == told["servers"][0]["ages"]  # type: ignore[index]


def test_an_age_of_no_query_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(yaml.safe_dump(fleet_document()))
    path = tmp_path / "control.yaml"
    servers = [{"server": "chat", "ages": {"waiting": "vector(1)"}}]
    path.write_text(yaml.safe_dump(CONTROL | {"servers": servers}))
    with pytest.raises(InvalidInputError, match=r"waiting.* is the age of no query"):
        read_control(path)


def test_a_limit_of_a_cycle_below_one_replica_is_refused(tmp_path: Path) -> None:
    fleet = fleet_document()
    (h100,) = fleet["profiles"]
    eight = h100 | {"accelerator": "8xH100"}
    accelerators = [
        *fleet["accelerators"],
        {"name": "8xH100", "card_type": "H100", "cards": 8, "cost_per_hour": 24, "memory_gb": 640},
    ]
    path = tmp_path / "control.yaml"

    def refused(limit: int, *profiles: Any, workloads: Any = ()) -> str:
        told = fleet | {"accelerators": accelerators, "profiles": list(profiles)}
        (tmp_path / "fleet.yaml").write_text(json.dumps(told))
        rules: dict[str, Any] = {"stability": {"max_cards_change": limit}}
        if workloads:
            rules["servers"] = [{"server": "chat", "workloads": list(workloads)}]
        path.write_text(yaml.safe_dump(CONTROL | rules))
        try:
            read_control(path)
        except InvalidInputError as error:
            (problem,) = error.problems
            return str(problem)
        return ""

    problem = refused(4, eight)
    assert "stability.max_cards_change: is 4, less than the cards of one replica" in problem
    assert '8 of "chat"' in problem
    assert "at least 8" in problem
    assert not refused(8, eight)
    # Which of both runs, the cluster alone knows; unless the document tells it.
    assert not refused(4, h100, eight)
    workload = {"accelerator": "8xH100", "namespace": "models", "name": "chat"}
    assert refused(4, h100, eight, workloads=[workload])
    assert not refused(4, h100, eight, workloads=[workload | {"accelerator": "H100"}])


def test_what_no_workload_can_be_is_refused(tmp_path: Path) -> None:
    (mix,) = problems_of(tmp_path, optimizer={"heterogeneous": True})
    assert mix.startswith(f"{tmp_path}/fleet.yaml: optimizer.heterogeneous: is true")
    assert "false, for the loop" in mix
    chat, (h100,) = fleet_document()["servers"][0], fleet_document()["profiles"]
    apart = chat | {"serving": ["aggregated", "disaggregated"]}
    profiles = [h100 | {"disaggregated": {}}]
    (pools,) = problems_of(tmp_path, servers=[chat, apart | {"name": "mail"}], profiles=profiles)
    assert 'servers[1].serving: lets "mail" have a prefill and a decode pool' in pools
    assert "[aggregated], for the loop" in pools
