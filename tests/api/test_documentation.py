"""docs/rest.md: every route stands in it, and its examples work as printed."""

import json
import re
from pathlib import Path

import pytest

from api.app import served_endpoints
from api.options import PlanOptions
from tests.support.rest import rest_client

PAGE = (Path(__file__).parents[2] / "docs" / "rest.md").read_text()

REQUESTS = re.findall(r"```http\n(GET|POST) (\S+)\n(.*?)```", PAGE, re.DOTALL)
ROUTES = set(re.findall(r"`(GET|POST) (/\S*?)`", PAGE))


def test_the_page_lists_the_routes_that_are_served() -> None:
    served = {(endpoint.method, endpoint.path) for endpoint in served_endpoints(stateful=True)}
    assert served == ROUTES


def test_routes_of_stateful_services_are_listed_apart() -> None:
    before, apart = PAGE.split("Only with `--stateful`:")
    for endpoint in served_endpoints(stateful=True):
        listed = apart if endpoint.changes_state else before
        assert f"`{endpoint.method} {endpoint.path}`" in listed


def test_every_option_is_explained() -> None:
    for name in PlanOptions.model_fields:
        assert f"| `{name}` |" in PAGE


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
def test_examples_work(method: str, path: str, body: str) -> None:
    with rest_client() as client:
        answer = client.request(method, path, content=body)
    assert answer.status_code == 200
    assert answer.json().get("unplaced", {}) == {}


def test_the_problem_shown_is_the_one_given() -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    with rest_client(stateful=True) as client:
        answer = client.post("/setCapacity", json={"type": "A100", "count": -1})
    assert answer.json() == json.loads(shown)
