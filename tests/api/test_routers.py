"""Routers and chosen batch limits over REST."""

from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from tests.support.rest import rest_client
from tests.support.routed_fleets import routed_document

Client = TestClient[Litestar]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with rest_client() as client:
        yield client


def test_a_plan_tells_router_and_batch_limit(client: Client) -> None:
    targets = {"ttft_ms": {"p95": 2000}, "itl_ms": {"p95": 20}}
    body = routed_document("round-robin", max_batch="auto", targets=targets)
    answer = client.post("/v1/plan", json=body)
    assert answer.status_code == 200
    found = answer.json()["allocations"]["s"]
    assert found["router"] == "round-robin"
    assert found["max_batch"] < found["batch_choice"]["largest"] == 256
    random = client.post("/v1/plan", json=routed_document(targets=targets, max_batch="auto"))
    assert random.json()["allocations"]["s"]["replicas"] >= found["replicas"]


@pytest.mark.parametrize(
    ("change", "field"),
    [({"router": "fastest"}, "servers[0].router"), ({"max_batch": "best"}, "servers[0].max_batch")],
)
def test_other_words_are_refused(client: Client, change: dict[str, str], field: str) -> None:
    body = routed_document()
    servers = body["servers"]
    assert isinstance(servers, list)
    servers[0].update(change)
    answer = client.post("/v1/plan", json=body)
    assert answer.status_code == 422
    assert field in answer.text


def test_the_reference_refuses_a_router(client: Client) -> None:
    body = routed_document("least-kv", targets={"ttft_ms": 100}) | {"analysis": "reference"}
    answer = client.post("/v1/plan", json=body)
    assert answer.status_code == 422
    assert "servers.s.router" in answer.text
