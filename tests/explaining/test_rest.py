"""`POST /v1/explain`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api import examples
from api.example_explanation import EXPLAINED
from tests.support.rest import rest_client

Client = TestClient[Litestar]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with rest_client() as client:
        yield client


def test_the_example_is_what_is_answered(client: Client) -> None:
    answer = client.post("/v1/explain", json=examples.FLEET)
    assert answer.status_code == 200
    assert rounded(answer.json()["explanation"]) == rounded(EXPLAINED["explanation"])


def rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return value


def test_options_reach_the_plan_and_its_explanation(client: Client) -> None:
    body = {"fleet": "small", "options": {"analysis": "reference", "capacity_scale": 0.5}}
    answer = client.post("/v1/explain", params={"solver": "greedy"}, json=body)
    assert answer.status_code == 200
    document = answer.json()
    assert document["plan"]["method"] == document["explanation"]["method"] == "greedy"
    assert set(document["plan"]["unplaced"]) == set(document["explanation"]["unplaced"])
    assert any("greedy" in note for note in document["explanation"]["notes"])


def test_bad_fleets_are_refused_as_when_planning(client: Client) -> None:
    assert client.post("/v1/explain", json={"fleet": "medium"}).status_code == 422
    assert client.post("/v1/explain", json={"fleet": "small", "x": 1}).status_code == 422
