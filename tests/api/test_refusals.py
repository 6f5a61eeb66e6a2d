"""Bad requests get problem details with a message, and never a server error."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient

from api import examples
from api.bodies import MAX_DEPTH, decode_body
from api.problems import RequestRefusedError
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan
from stoker.domain.settings import OptimizerSettings
from tests.support.rest import rest_client

Client = TestClient[Litestar]

POSTS = [
    "/v1/plan",
    "/v1/validate",
    "/v1/replica/solve",
    "/v1/replica/target",
    "/v1/replica/concurrency",
    "/optimizeOne",
    "/optimize",
    "/setAccelerators",
    "/addAccelerator",
    "/setCapacities",
    "/setCapacity",
    "/setModels",
    "/addModelAcceleratorPerf",
    "/setServiceClasses",
    "/addServiceClassModelTargets",
    "/setServers",
    "/addServer",
]

UNREADABLE = {
    "empty": b"",
    "blank": b" \n",
    "not JSON": b"{",
    "text": b"hello",
    "trailing": b"{} {}",
    "NaN": b'{"count": NaN}',
    "Infinity": b'{"count": -Infinity}',
    "overflow": b'{"count": 1e999}',
    "huge number": b'{"count": ' + b"9" * 10_000 + b"}",
    "not UTF-8": b'{"name": "\xff"}',
    "lone surrogate": b'{"name": "\\ud800"}',
    "deep": b'{"a":' * 500 + b"1" + b"}" * 500,
    "very deep": b"[" * 1_000_000,
    "array": b"[]",
    "string": b'"large"',
    "number": b"1",
    "null": b"null",
    "true": b"true",
}


def assert_problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["type"]
    assert problem["message"] == problem["detail"] != ""
    assert problem["instance"].startswith("/")
    return problem


@pytest.fixture(scope="module")
def client() -> Any:
    with rest_client(stateful=True) as client:
        yield client


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("path", POSTS)
def test_a_body_that_cannot_be_read(client: Client, path: str, body: bytes) -> None:
    assert_problem(client.post(path, content=body), 400)


WRONG = [
    ("/setCapacity", {"type": "A100", "count": -1}, "count"),
    ("/setCapacity", {"type": "A100", "count": "3"}, "count"),
    ("/setCapacity", {"type": "A100", "count": 1.5}, "count"),
    ("/setCapacity", {"type": "A100", "count": 10**30}, "count"),
    ("/setCapacity", {"type": "", "count": 1}, "type"),
    ("/setCapacity", {"count": 1}, "type"),
    ("/setCapacity", {"type": "A100", "count": 1, "TYPE": "G2"}, "type"),
    ("/setCapacity", {"type": "A100", "count": 1, "colour": "red"}, "colour"),
    ("/setCapacities", {"count": {"type": "A100", "count": 1}}, "count"),
    ("/setCapacities", {"count": [{"type": "A", "count": 1}] * 2}, "count[1].type"),
    ("/addAccelerator", {**examples.ACCELERATOR, "cost": -1}, "cost"),
    ("/addAccelerator", {**examples.ACCELERATOR, "power": 5}, "power"),
    ("/addServer", {**examples.SERVER, "currentAlloc": []}, "currentAlloc"),
    ("/optimize", {"unlimited": "yes"}, "unlimited"),
    ("/optimize", {"saturationPolicy": "Sometimes"}, "saturationPolicy"),
    ("/optimize", {"optimizer": 5}, ""),
    ("/optimizeOne", {}, "system"),
    ("/optimizeOne", {"system": {"serverData": {"servers": 3}}}, "system.serverData.servers"),
]


@pytest.mark.parametrize(("path", "body", "where"), WRONG)
def test_what_is_wrong_is_named(client: Client, path: str, body: object, where: str) -> None:
    problem = assert_problem(client.post(path, json=body), 400)
    assert where in [error["path"] for error in problem["errors"]]


def test_all_problems_are_told_at_once(client: Client) -> None:
    body = {"accelerators": [{"name": "A", "type": "A", "cost": -1}, {"name": "B", "cost": 1}]}
    problem = assert_problem(client.post("/setAccelerators", json=body), 400)
    paths = [error["path"] for error in problem["errors"]]
    assert paths == ["accelerators[0].cost", "accelerators[1].type"]


@pytest.mark.parametrize(
    ("name", "value", "message", "allowed"),
    [
        ("solver", "zz", '"zz" is not one of the choices', "milp, greedy"),
        (
            "solver",
            "gredy",
            '"gredy" is not one of the choices; did you mean "greedy"?',
            "milp, greedy",
        ),
        ("analysis", "none", '"none" is not one of the choices', "reference, full"),
        ("unlimited", "maybe", '"maybe" is neither true nor false', "true or false"),
        ("time_limit_s", "nan", '"nan" is not a finite number', "a number, above 0"),
        ("backend", "x" * 41, "is too long", "text of at most 40 characters"),
        (
            "capacity_scale",
            "-1",
            '"-1" is out of bounds',
            "a number, at least 0 and at most 1e+06",
        ),
    ],
)
def test_a_wrong_option_is_told_in_our_own_words(
    client: Client, name: str, value: str, message: str, allowed: str
) -> None:
    answer = client.post("/v1/plan", params={name: value}, json=examples.FLEET)
    (error,) = assert_problem(answer, 422)["errors"]
    assert error == {"path": f"query.{name}", "message": message, "allowed": allowed}


def test_a_native_document_that_is_wrong(client: Client) -> None:
    problem = assert_problem(client.post("/v1/plan", json=examples.BROKEN_FLEET), 422)
    assert [error["path"] for error in problem["errors"]] == ["currency", "capacity.A100"]


@pytest.mark.parametrize("name", ["huge", "/etc/passwd", "../large", "large.yaml", ""])
def test_a_name_leads_to_built_in_fleets_alone(client: Client, name: str) -> None:
    problem = assert_problem(client.post("/v1/plan", json={"fleet": name}), 422)
    assert problem["errors"][0]["allowed"] == "large, small"
    if name:
        assert_problem(client.get(f"/v1/fleets/{name.strip('/')}"), 404)


@pytest.mark.parametrize(
    ("options", "query", "where"),
    [
        ({"solver": "fast"}, {}, "options.solver"),
        ({"unlimited": "yes"}, {}, "options.unlimited"),
        ({"time_limit_s": -1}, {}, "options.time_limit_s"),
        ({"colour": 1}, {}, "options.colour"),
        ([], {}, "options"),
        ({}, {"time_limit_s": "nan"}, "query.time_limit_s"),
        ({}, {"unlimited": "maybe"}, "query.unlimited"),
        ({}, {"colour": "red"}, "query.colour"),
    ],
)
def test_wrong_options_are_named(
    client: Client, options: object, query: dict[str, str], where: str
) -> None:
    body = {"fleet": "small", "options": options}
    problem = assert_problem(client.post("/v1/plan", json=body, params=query), 422)
    assert [error["path"] for error in problem["errors"]] == [where]


@pytest.mark.parametrize("options", [{"backend": "cplex"}, {"backend": "x"}])
def test_what_is_not_available_is_told(client: Client, options: dict[str, str]) -> None:
    problem = assert_problem(
        client.post("/v1/plan", json={"fleet": "small", "options": options}), 400
    )
    assert next(iter(options.values())) in problem["message"].lower()


def test_unknown_routes_and_methods(client: Client) -> None:
    assert_problem(client.get("/getEverything"), 404)
    assert_problem(client.get("/"), 404)
    refused = client.get("/optimizeOne")
    assert_problem(refused, 405)
    assert "POST" in refused.headers["allow"]
    assert_problem(client.delete("/getServers"), 405)


@pytest.mark.parametrize("path", POSTS)
def test_a_body_too_large_is_not_read(path: str) -> None:
    with rest_client(stateful=True, max_body_bytes=1000) as client:
        assert_problem(client.post(path, content=b" " * 1001), 413)
        assert_problem(client.post(path, content=iter([b" " * 600] * 2)), 413)
        assert_problem(client.post(path, content=b" " * 1000), 400)


def test_a_case_that_cannot_be_asked(client: Client) -> None:
    problem = assert_problem(
        client.post("/v1/replica/solve", json={**examples.CASE, "maxBatchSize": 0}), 422
    )
    assert problem["errors"][0]["path"] == "maxBatchSize"


@pytest.mark.parametrize(
    "body", [{"cases": {}}, {"cases": [], "extra": 1}, {"cases": [1] * 10_001}]
)
def test_a_list_of_cases_that_is_none(client: Client, body: object) -> None:
    assert_problem(client.post("/v1/replica/solve", json=body), 422)


def test_an_error_inside_is_told_without_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    def broken(fleet: Fleet, settings: OptimizerSettings, /) -> Plan:
        raise ZeroDivisionError("secret")

    with rest_client(planner=broken) as client:
        answer = client.post("/v1/plan", json=examples.FLEET)
    assert_problem(answer, 500)
    assert "secret" not in answer.text
    assert "ZeroDivisionError" in caplog.text


def test_nesting_is_bounded_exactly() -> None:
    deepest = b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)
    assert decode_body(deepest)
    with pytest.raises(RequestRefusedError, match="deeper than 32"):
        decode_body(b"[" + deepest + b"]")


@given(st.binary(max_size=200) | st.text(max_size=50).map(lambda text: json.dumps(text).encode()))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    statuses = []
    try:
        decode_body(body)
    except RequestRefusedError as error:
        statuses.append(error.status)
    assert set(statuses) <= {400}
