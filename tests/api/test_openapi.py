"""The description of the service: complete, true to its own examples, and safe to play with."""

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api import example_answers, examples
from api.app import create_app, served_endpoints
from api.paths import template
from stoker.domain.replica import ReplicaQuestion
from tests.support.rest import rest_client

Client = TestClient[Litestar]
Json = dict[str, Any]

DOCUMENT: Json = dict(TestClient(create_app(stateful=True)).get("/openapi.json").json())


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


OPERATIONS = list(operations(DOCUMENT))
NAMES = [operation["operationId"] for _, _, operation in OPERATIONS]


def test_every_route_is_described() -> None:
    served = {
        (method, route.path_format)
        for route in create_app(stateful=True).routes
        for method in getattr(route, "methods", [])
        if method != "OPTIONS"
    }
    assert {(method, template(path)) for method, path, _ in OPERATIONS} == served
    assert len(set(NAMES)) == len(NAMES)


def test_a_stateless_service_describes_what_it_serves() -> None:
    with rest_client() as client:
        paths = client.get("/openapi.json").json()["paths"]
        assert client.get("/schema").json()["paths"] == paths
    assert set(paths) == {endpoint.path for endpoint in served_endpoints(stateful=False)}
    assert "/optimizeOne" in paths
    assert "/optimize" not in paths


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)
def test_an_operation_is_described_with_examples(method: str, path: str, operation: Json) -> None:
    assert operation["summary"]
    assert operation["tags"]
    (reply,) = operation["responses"]["200"]["content"].values()
    assert reply["examples"]
    for parameter in operation["parameters"]:
        assert parameter["description"]
        assert_fits(parameter["example"], parameter["schema"])
    if method == "POST":
        (body,) = operation["requestBody"]["content"].values()
        assert body["examples"]
        for example in body["examples"].values():
            assert_fits(example["value"], body["schema"])


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)
def test_examples_are_answered_as_described(method: str, path: str, operation: Json) -> None:
    with rest_client(stateful=True) as client:
        client.post("/optimizeOne", json=examples.SYSTEM)
        (reply,) = operation["responses"]["200"]["content"].values()
        bodies: Mapping[str, Json] = {"none": {"value": None}}
        if method == "POST":
            (body,) = operation["requestBody"]["content"].values()
            bodies = body["examples"]
        for example in bodies.values():
            values = {item["name"]: item["example"] for item in operation["parameters"]}
            answer = client.request(method, path.format(**values), json=example["value"])
            assert answer.status_code == 200, answer.text
            if answer.headers["content-type"].startswith("application/json"):
                assert_fits(answer.json(), reply["schema"])


def assert_fits(value: object, schema: Json) -> None:
    """A value keeps a schema of the document, and the schema keeps its own rules."""
    whole = {**schema, "components": DOCUMENT["components"]}
    validator = jsonschema.Draft202012Validator(whole)
    validator.check_schema(whole)
    validator.validate(value)


@pytest.mark.parametrize("name", ["PLAN", "INFERNO_PLAN", "PROBLEMS", "VALIDITY"])
def test_answers_shown_are_those_given(stateless: Client, name: str) -> None:
    path, body = {
        "PLAN": ("/v1/plan", examples.FLEET),
        "INFERNO_PLAN": ("/optimizeOne", examples.SYSTEM),
        "PROBLEMS": ("/v1/validate", examples.BROKEN_FLEET),
        "VALIDITY": ("/v1/validate", examples.FLEET),
    }[name]
    assert_alike(stateless.post(path, json=body).json(), getattr(example_answers, name))


@pytest.mark.parametrize("question", ReplicaQuestion)
def test_replica_answers_shown_are_those_given(
    stateless: Client, question: ReplicaQuestion
) -> None:
    answer = stateless.post(f"/v1/replica/{question.value}", json=examples.CASE).json()
    assert_alike(answer, example_answers.REPLICA_ANSWERS[question])


def test_catalogue_entries_shown_are_those_given(stateless: Client) -> None:
    cards = stateless.get("/v1/catalogue/accelerators").json()["accelerators"]
    assert example_answers.CARD in cards
    assert example_answers.ARCHITECTURE in stateless.get("/v1/catalogue/models").json()["models"]


def assert_alike(answer: Any, shown: Any) -> None:
    """Equal but for timings, and figures to the digits shown."""
    if isinstance(shown, dict):
        assert list(answer) == list(shown)
        for key in shown:
            if key != "timings_ms":
                assert_alike(answer[key], shown[key])
    elif isinstance(shown, list):
        assert len(answer) == len(shown)
        for given, wanted in zip(answer, shown, strict=True):
            assert_alike(given, wanted)
    elif isinstance(shown, float):
        assert answer == pytest.approx(shown, rel=1e-4, abs=1e-12)
    else:
        assert answer == shown
