"""The `/v1` interface and what those who run the service ask."""

import copy
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api import examples, readiness
from api.native import MAX_TOTAL_BATCH
from data.catalogue import load_catalogue
from data.fleets import builtin_names
from data.stoker_format import fleet_schema
from stoker.domain.errors import SolverUnavailableError
from tests.support.rest import rest_client

Client = TestClient[Litestar]


@pytest.fixture(scope="module")
def client() -> Any:
    with rest_client() as client:
        yield client


def planned(client: Client, body: object, **query: object) -> dict[str, Any]:
    answer = client.post("/v1/plan", json=body, params={k: str(v) for k, v in query.items()})
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


def test_milp_is_the_default(client: Client) -> None:
    plan = planned(client, examples.FLEET)
    assert (plan["status"], plan["method"]) == ("optimal", "milp-exact")
    assert plan["allocations"]["Premium-granite_13b"]["replicas"] == 3


def test_options_stand_in_the_body_or_in_the_query(client: Client) -> None:
    greedy = {"solver": "greedy"}
    for body in (
        {"fleet": examples.FLEET, "options": greedy},
        {**examples.FLEET, "options": greedy},
        {**examples.SYSTEM, "options": greedy},
    ):
        assert planned(client, body)["method"] == "greedy"
    assert planned(client, examples.FLEET, solver="greedy")["method"] == "greedy"


def test_the_query_wins_over_the_body_and_both_over_the_fleet(client: Client) -> None:
    fleet = {**examples.FLEET, "optimizer": {"solver": "greedy"}}
    assert planned(client, fleet)["method"] == "greedy"
    body = {"fleet": fleet, "options": {"solver": "milp"}}
    assert planned(client, body)["method"] == "milp-exact"
    assert planned(client, body, solver="greedy")["method"] == "greedy"
    assert planned(client, body, unlimited=True)["method"] == "unlimited"


def test_card_counts_can_be_scaled(client: Client) -> None:
    fleet = {**examples.FLEET, "capacity": {"A100": 7}}
    assert planned(client, fleet)["usage"]["A100"]["available"] == 7
    for body, query in (
        (fleet, {"capacity_scale": 0.5}),
        ({"fleet": fleet, "options": {"capacity_scale": 0.5}}, {}),
    ):
        plan = planned(client, body, **query)
        assert plan["usage"]["A100"] == {"used": 3, "available": 3, "cost_per_hour": 1.2}
    assert planned(client, fleet, capacity_scale=0)["unplaced"]


def test_money_of_an_inferno_system_is_in_currency_units(client: Client) -> None:
    plan = planned(client, examples.SYSTEM)
    assert plan["cost_per_hour"] == pytest.approx(1.2)
    assert plan["currency"] == "USD"


def test_servers_without_a_place_are_part_of_the_plan(client: Client) -> None:
    plan = planned(client, {**examples.FLEET, "capacity": {"A100": 1}})
    assert plan["unplaced"]["Premium-granite_13b"]["reason"] == "capacity"
    assert plan["unplaced"]["Premium-granite_13b"]["remedy"]


def test_validity_tells_every_problem(client: Client) -> None:
    assert client.post("/v1/validate", json=examples.FLEET).json() == {
        "valid": True,
        "problems": [],
        "notes": [],
    }
    loose = copy.deepcopy(examples.FLEET)
    loose["capacity"] = {}
    answer = client.post("/v1/validate", json=loose).json()
    assert answer["valid"] is True
    assert any("A100" in note for note in answer["notes"])
    answer = client.post("/v1/validate", json=examples.BROKEN_FLEET)
    assert answer.status_code == 200
    assert answer.json()["valid"] is False
    paths = [problem["path"] for problem in answer.json()["problems"]]
    assert paths == ["currency", "capacity.A100"]


def test_a_replica_is_asked_alone_or_with_others(client: Client) -> None:
    one = client.post("/v1/replica/solve", json=examples.CASE).json()
    assert one["status"] == "ok"
    assert one["throughput"] == pytest.approx(2, rel=1e-6)
    wrapped = client.post("/v1/replica/solve", json={"input": examples.CASE}).json()
    assert wrapped == one
    cases = [{**examples.CASE, "RPS": 0}, examples.CASE, 5, {"input": examples.CASE}]
    answers = client.post("/v1/replica/solve", json={"cases": cases}).json()["answers"]
    assert [answer["status"] for answer in answers] == ["invalid", "ok", "invalid", "ok"]
    assert answers[1] == answers[3] == one
    assert "RPS" in answers[0]["message"]


def test_targets_that_cannot_be_kept_are_an_answer(client: Client) -> None:
    answer = client.post("/v1/replica/target", json={**examples.CASE, "targetITL": 0.001})
    assert answer.status_code == 200
    assert answer.json()["status"] == "infeasible"
    assert answer.json()["message"]


def test_the_work_of_one_concurrency_request_is_bounded(client: Client) -> None:
    cases = [{**examples.CASE, "maxBatchSize": MAX_TOTAL_BATCH // 2}] * 2
    over = [*cases, {**examples.CASE, "maxBatchSize": 1}]
    answer = client.post("/v1/replica/concurrency", json={"cases": over})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {
            "path": "cases",
            "message": "maxBatchSize adds up to 131,073 over the cases",
            "allowed": "at most 131,072 in one request; send several requests",
        }
    ]
    assert client.post("/v1/replica/solve", json={"cases": over}).status_code == 200
    assert client.post("/v1/replica/concurrency", json={"cases": over[1:]}).status_code == 200


FLEET = {**examples.CASE, "replicas": 4, "router": "round_robin", "RPS": 6}
POOLS = {**examples.CASE, "cards": 4, "transferMs": 10}


def test_a_fleet_and_pools_are_asked_like_a_replica(client: Client) -> None:
    fleet, pools = client.post("/v1/replica/target", json={"cases": [FLEET, POOLS]}).json()[
        "answers"
    ]
    alone = client.post("/v1/replica/target", json={**examples.CASE, "percentiles": [95]}).json()
    assert fleet["throughput"] > 3.9 * alone["throughput"]
    assert pools["status"] == "ok"
    assert [split["prefillReplicas"] for split in pools["splits"]] == [1, 2, 3]
    best = max(split["RPS"] for split in pools["splits"])
    assert pools["offeredRPS"] == pytest.approx(best)
    assert pools["bottleneck"] in ("prefill", "decode")
    assert client.post("/v1/replica/target", json=POOLS).json() == pools


def test_pools_that_do_not_go_together_are_refused(client: Client) -> None:
    answer = client.post("/v1/replica/solve", json={**POOLS, "decodeReplicas": 2, "replicas": 3})
    assert answer.status_code == 422
    assert [problem["path"] for problem in answer.json()["errors"]] == [
        "replicas",
        "decodeReplicas",
    ]
    no_limit = client.post("/v1/replica/concurrency", json=FLEET).json()
    assert no_limit["status"] == "invalid"
    assert "replicas is 4 (allowed: one replica" in no_limit["message"]


def test_the_splits_of_one_request_are_bounded(client: Client) -> None:
    cases = [{**examples.CASE, "cards": 1024}] * 5
    answer = client.post("/v1/replica/target", json={"cases": cases})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["message"] == "cards can be split in 5,115 ways over the cases"
    assert "at most 4,096" in error["allowed"]


def test_no_case_is_answered_by_nothing(client: Client) -> None:
    assert client.post("/v1/replica/solve", json={"cases": []}).json() == {"answers": []}


def test_the_catalogue_is_shown_whole_and_by_any_name(client: Client) -> None:
    catalogue = load_catalogue()
    cards = client.get("/v1/catalogue/accelerators").json()["accelerators"]
    models = client.get("/v1/catalogue/models").json()["models"]
    assert [card["name"] for card in cards] == [card.name for card in catalogue.accelerators]
    assert [model["name"] for model in models] == [model.name for model in catalogue.models]
    for card in cards:
        for name in (card["name"], *card["aliases"]):
            assert client.get(f"/v1/catalogue/accelerators/{name}").json() == card
    for model in models:
        for name in (model["name"], *model["aliases"]):
            assert client.get(f"/v1/catalogue/models/{name}").json() == model


@pytest.mark.parametrize("kind", ["accelerators", "models"])
def test_a_name_outside_the_catalogue_is_not_found(client: Client, kind: str) -> None:
    answer = client.get(f"/v1/catalogue/{kind}/abacus")
    assert answer.status_code == 404
    assert "abacus" in answer.json()["message"]


def test_built_in_fleets_can_be_read_and_sent_back(client: Client) -> None:
    names = client.get("/v1/fleets").json()["fleets"]
    assert names == list(builtin_names())
    for name in names:
        document = client.get(f"/v1/fleets/{name}").json()
        assert client.post("/v1/validate", json=document).json()["valid"]
        assert client.post("/v1/validate", json={"fleet": name}).json()["valid"]


def test_the_schema_is_that_of_the_format(client: Client) -> None:
    assert client.get("/v1/schema").json() == fleet_schema()


def test_health_and_readiness(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"status": "ready"}

    def missing(name: str) -> tuple[str, str]:
        raise SolverUnavailableError("no solver is installed")

    monkeypatch.setattr(readiness, "default_backend", missing)
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert "no solver is installed" in answer.json()["message"]
    assert client.get("/health").status_code == 200


def test_metrics_count_requests_and_plans() -> None:
    with rest_client() as client:
        client.post("/v1/plan", json=examples.FLEET)
        client.post("/optimizeOne", json=examples.SYSTEM)
        client.get("/getServer/nobody")
        client.get("/somewhere/else")
        answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    for line in (
        'stoker_http_requests_total{method="POST",route="/v1/plan",status="200"} 1.0',
        'stoker_http_requests_total{method="GET",route="/getServer/{name}",status="404"} 1.0',
        'stoker_http_requests_total{method="GET",route="unmatched",status="404"} 1.0',
        'stoker_plans_total{status="optimal"} 1.0',
        'stoker_plans_total{status="feasible"} 1.0',
        'stoker_solve_seconds_count{method="milp-exact"} 1.0',
        'stoker_solve_seconds_count{method="greedy"} 1.0',
        "stoker_solves_in_flight 0.0",
    ):
        assert line in lines


def test_each_application_counts_for_itself() -> None:
    with rest_client() as one, rest_client() as other:
        one.post("/v1/plan", json=examples.FLEET)
        assert "stoker_plans_total{" in one.get("/metrics").text
        assert "stoker_plans_total{" not in other.get("/metrics").text
