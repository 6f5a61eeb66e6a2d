"""`POST /v1/diff`, and what `POST /v1/explain` is asked beside the plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api import examples
from api.example_difference import DIFFERENCE, REQUEST
from data.plan_reading import parse_plan
from optimizer.explaining.difference import compare_plans
from optimizer.explaining.difference_words import difference_words
from tests.support.rest import rest_client

Client = TestClient[Litestar]
SERVER = "Premium-granite_13b"


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with rest_client() as client:
        yield client


def test_the_example_is_what_is_answered(client: Client) -> None:
    answer = client.post("/v1/diff", json=REQUEST)
    assert answer.status_code == 200
    assert answer.json() == DIFFERENCE


def test_two_plans_of_the_service_differ_as_compared(client: Client) -> None:
    before = client.post("/v1/plan", json=examples.FLEET).json()
    scaled = {"fleet": examples.FLEET, "options": {"capacity_scale": 0.02}}
    after = client.post("/v1/plan", json=scaled).json()
    answer = client.post("/v1/diff", json={"before": before, "after": after}).json()
    assert answer["no_longer_served"] == [SERVER]
    difference = compare_plans(parse_plan(before), parse_plan(after))
    assert tuple(answer["words"]) == difference_words(difference)


def test_what_is_no_plan_is_named(client: Client) -> None:
    for body, path in (
        ({"before": {}}, "after"),
        ({**REQUEST, "then": {}}, "then"),
        ({**REQUEST, "after": {}}, "after."),
        ({**REQUEST, "before": 3}, "before"),
    ):
        answer = client.post("/v1/diff", json=body)
        assert answer.status_code == 422
        assert all(error["path"].startswith(path) for error in answer.json()["errors"])


def explained(client: Client, **asked: object) -> Any:
    answer = client.post("/v1/explain", json={"fleet": examples.FLEET, "explain": asked})
    assert answer.status_code == 200, answer.text
    return answer.json()["explanation"]


def test_the_error_of_profiles_gives_ranges_and_regret(client: Client) -> None:
    plain = explained(client)
    assert plain["regret"] is None
    assert plain["allocations"][SERVER]["replica_range"] is None
    off = explained(client, profile_error=0.2)
    assert off["regret"]["profiles"] == 1
    found = off["allocations"][SERVER]["replica_range"]
    assert (found["error"], found["source"]) == (0.2, "asked for")


def test_servers_shadow_prices_and_time_are_chosen(client: Client) -> None:
    assert list(explained(client, servers=[SERVER])["allocations"]) == [SERVER]
    assert explained(client, servers=[])["allocations"] == {}
    exact, relaxed = explained(client), explained(client, shadow="lp")
    assert {item["plan"]["evidence"] for item in exact["shadow_prices"]} != {"relaxed"}
    assert {item["plan"]["evidence"] for item in relaxed["shadow_prices"]} <= {"relaxed"}
    assert any("time" in note for note in explained(client, time_limit_s=1e-9)["notes"])


def test_what_cannot_be_explained_is_named(client: Client) -> None:
    for asked, path in (
        ({"servers": ["nobody"]}, "explain.servers[0]"),
        ({"profile_error": 1.0}, "explain.profile_error"),
        ({"shadow": "dual"}, "explain.shadow"),
        ({"time_limit_s": 0}, "explain.time_limit_s"),
        ({"server": "x"}, "explain.server"),
    ):
        answer = client.post("/v1/explain", json={"fleet": examples.FLEET, "explain": asked})
        assert answer.status_code == 422
        assert [error["path"] for error in answer.json()["errors"]] == [path]
