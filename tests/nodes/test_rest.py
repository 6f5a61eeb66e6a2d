"""`POST /v1/placements`: what it answers, and what it refuses."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from api.example_placement import PLACEMENT, REQUEST
from api.placements import MAX_REPLICAS
from data.stoker_example import EXAMPLE
from tests.support.rest import rest_client

PATH = "/v1/placements"


def asked(**more: object) -> dict[str, Any]:
    return copy.deepcopy(REQUEST) | more


def test_the_example_is_what_is_answered() -> None:
    with rest_client() as client:
        answer = client.post(PATH, json=REQUEST)
    assert answer.status_code == 200
    assert answer.json() | {"timings_ms": {}} == PLACEMENT | {"timings_ms": {}}


def test_a_plan_is_placed_on_the_nodes_of_its_fleet_by_priority() -> None:
    fleet: Any = copy.deepcopy(dict(EXAMPLE)) | {
        "nodes": [{"name": "n", "card_type": "H100", "cards": 1}],
        "service_classes": [
            {"name": name, "priority": priority, "targets": []}
            for name, priority in (("interactive", 2), ("urgent", 1))
        ],
    }
    (server,) = fleet["servers"]
    fleet["servers"] = [
        server | {"name": "late"},
        server | {"name": "soon", "service_class": "urgent"},
    ]
    part = {"accelerator": "H100", "replicas": 1, "cards": 1, "card_type": "H100"}
    request = {"plan": {"allocations": {"late": part, "soon": part}}, "fleet": fleet}
    with rest_client() as client:
        answer = client.post(PATH, json=request)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()["placed"]) == ["soon"]
    assert [item["server"] for item in answer.json()["unfit"]] == ["late"]


MANY = {"accelerator": "A", "replicas": MAX_REPLICAS + 1, "cards": MAX_REPLICAS + 1}
HALF = {"accelerator": "A", "replicas": 2, "cards": 3, "card_type": "A100"}


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"plan": {"allocations": {"s": MANY | {"card_type": "A100"}}}}, "plan"),
        ({"plan": {"allocations": {"s": HALF}}}, "plan.allocations.s.cards"),
        ({"plan": 3}, "plan"),
        ({"nodes": [{"name": "n", "card_type": "A100"}]}, "nodes[0].cards"),
        ({"nodes": {}}, "nodes"),
        ({"strategy": "scatter"}, "strategy"),
        ({"most_per_node": 0}, "most_per_node"),
        ({"time_limit_s": 0}, "time_limit_s"),
        ({"colour": "red"}, "colour"),
        ({"fleet": "no such fleet"}, "fleet"),
    ],
)
def test_mistakes_are_named(changes: dict[str, object], path: str) -> None:
    with rest_client() as client:
        answer = client.post(PATH, json=asked(**changes))
    assert answer.status_code == 422
    assert path in {error["path"] for error in answer.json()["errors"]}


def test_nodes_must_come_from_somewhere() -> None:
    without = asked()
    del without["nodes"]
    with rest_client() as client:
        alone = client.post(PATH, json=without)
        small = client.post(PATH, json=without | {"fleet": "small"})
    assert alone.status_code == small.status_code == 422
    assert "the fleet tells of none" in small.json()["detail"]
