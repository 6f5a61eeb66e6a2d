"""The page on formats: its example is read, and it names every key."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from data.decode import decode_yaml
from data.fleets import parse_fleet
from data.plan_format import plan_to_document
from data.stoker_example import EXAMPLE
from data.stoker_format import fleet_schema
from stoker.domain.curve import IterationTable
from stoker.domain.errors import InvalidInputError
from stoker.domain.profile import OverlapParameters
from stoker.domain.routing import Router
from tests.support.plans import mixed_plan

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_example_is_the_one_of_the_schema(page: str) -> None:
    example, *_ = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert parse_fleet(decode_yaml(example).value) == parse_fleet(EXAMPLE)


def test_the_router_and_the_batch_limit_shown_are_such(page: str) -> None:
    document: Any = copy.deepcopy(EXAMPLE)
    _, servers, *_ = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    document |= decode_yaml(servers).value
    (server,) = parse_fleet(document).servers
    assert (server.router, server.choose_batch) == (Router.SHORTEST_QUEUE, True)


def test_the_curve_shown_is_one(page: str) -> None:
    document: Any = copy.deepcopy(EXAMPLE)
    _, _, curve, _ = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    document["profiles"][0]["parameters"] = decode_yaml(curve).value
    (profile,) = parse_fleet(document).profiles
    assert isinstance(profile.parameters, IterationTable)
    assert profile.parameters.decode_ms == ((6.0, 6.5), (6.5, 8.0), (9.0, 20.0))


def test_the_overlap_parameters_shown_are_such(page: str) -> None:
    document: Any = copy.deepcopy(EXAMPLE)
    *_, overlap = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    document["profiles"][0]["parameters"] = decode_yaml(overlap).value
    (profile,) = parse_fleet(document).profiles
    assert profile.parameters == OverlapParameters(2.5, 4, 0.02, 0.02, 4e-5, 1e-6, 1, 12, 0.05)


def test_the_errors_shown_are_those_told(page: str) -> None:
    (shown,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    document: Any = decode_yaml(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0]).value
    document["accelerators"][0]["cost_per_hour"] = "2.5"
    document["servers"][0]["model"] = "llama-3.1-80b"
    with pytest.raises(InvalidInputError) as caught:
        parse_fleet(document, file="fleet.yaml")
    assert shown == f"{caught.value}\n"


def test_every_key_of_the_format_is_named(page: str) -> None:
    schema: Any = fleet_schema()
    keys = {key for item in (schema, *schema["$defs"].values()) for key in item["properties"]}
    missing = {key for key in keys if not re.search(rf"`{key}\b", page)}
    assert not missing


def test_every_key_of_a_plan_is_named(page: str) -> None:
    plan: Any = plan_to_document(mixed_plan())
    inner = [
        *plan["allocations"].values(),
        *plan["unplaced"].values(),
        *plan["usage"].values(),
        *plan["services"],
    ]
    missing = {key for item in (plan, *inner) for key in item if f"`{key}`" not in page}
    assert not missing
