"""`POST /v1/horizon`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api import examples
from api.example_horizon import PLAN, REQUEST
from tests.support.rest import rest_client

Client = TestClient[Litestar]
Body = dict[str, Any]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with rest_client() as client:
        yield client


def asked(**changes: object) -> Body:
    return {**REQUEST, **changes}


def errors(client: Client, body: Body) -> list[str]:
    answer = client.post("/v1/horizon", json=body)
    assert answer.status_code == 422, answer.text
    return [error["path"] for error in answer.json()["errors"]]


def test_the_example_is_what_is_answered(client: Client) -> None:
    answer = client.post("/v1/horizon", json=REQUEST)
    assert answer.status_code == 200
    found = answer.json()
    assert set(found) == set(PLAN)
    for key in ("cost", "bound"):
        assert found[key] == pytest.approx(PLAN[key])
    assert found["costs"] == pytest.approx(PLAN["costs"])
    for key in ("status", "hours", "unscheduled", "method", "notes"):
        assert found[key] == PLAN[key]
    (own,), (shown,) = found["servers"].values(), servers_of(PLAN).values()
    for key in ("accelerator", "needed", "firm", "spot", "runs"):
        assert own[key] == shown[key]


def servers_of(plan: Body) -> Body:
    return dict(plan["servers"])


def test_terms_reach_the_plan(client: Client) -> None:
    plain = client.post("/v1/horizon", json=asked(options={})).json()
    spot = {"price_factor": 0.2, "most_share": 1.0, "interruptions_per_hour": 0.0}
    cheap = client.post("/v1/horizon", json=asked(options={"spot": spot})).json()
    assert cheap["cost"] == pytest.approx(0.2 * plain["cost"])
    few = {"card_types": {"A100": {"cards": [5]}}}
    scarce = client.post("/v1/horizon", json=asked(options=few)).json()
    assert scarce["unscheduled"]["Premium-granite_13b"]["reason"] == "capacity"


def test_what_a_horizon_does_not_heed_is_refused_by_name(client: Client) -> None:
    bounded = {**examples.FLEET, "limits": {"budget_per_hour": 2.0}}
    assert errors(client, asked(fleet=bounded)) == ["limits.budget_per_hour"]


def test_what_is_wrong_is_named(client: Client) -> None:
    row = {"hour": 0, "server": "nobody", "arrival_rate_rps": 1.0}
    far = {"hour": 2_500, "server": "Premium-granite_13b", "arrival_rate_rps": 1.0}
    unknown = {"card_types": {"H900": {"cards": [1]}}}
    assert errors(client, {"fleet": "small"}) == ["demand"]
    assert errors(client, asked(more=1)) == ["more"]
    assert errors(client, asked(options={"gap": -1})) == ["options.gap"]
    assert errors(client, asked(options={"spot": {}})) == ["options.spot.price_factor"]
    assert errors(client, asked(options=unknown)) == ["card_types.H900"]
    assert errors(client, asked(fleet="medium")) == ["fleet"]
    assert errors(client, asked(demand=[far])) == ["demand"]
    assert "server" in errors(client, asked(demand=[row]))


def test_the_time_limit_of_the_service_is_the_longest(client: Client) -> None:
    for limit_s in (1e-6, 1e6):
        answer = client.post("/v1/horizon", json=asked(options={"time_limit_s": limit_s}))
        assert answer.status_code == 200 or answer.json()["type"].endswith("time-limit")
