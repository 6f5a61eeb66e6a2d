import copy
from importlib import resources
from typing import Any

import jsonschema
import pytest

from data.decode import decode_yaml
from data.fleets import builtin_names
from data.stoker_example import EXAMPLE
from data.stoker_format import fleet_schema

Json = dict[str, Any]


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = fleet_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", builtin_names())
def test_built_in_fleets_are_valid(name: str, validator: jsonschema.Draft202012Validator) -> None:
    text = (resources.files("data") / "builtin" / f"{name}.yaml").read_text(encoding="utf-8")
    validator.validate(decode_yaml(text).value)


def test_the_examples_of_the_schema_are_valid(
    validator: jsonschema.Draft202012Validator,
) -> None:
    examples = fleet_schema()["examples"]
    assert examples == [EXAMPLE]
    validator.validate(EXAMPLE)


@pytest.mark.parametrize(
    ("section", "changes"),
    [
        ("accelerators", {"cost": 3}),
        ("accelerators", {"cost_per_hour": -1}),
        ("accelerators", {"cost_per_hour": "1"}),
        ("accelerators", {"cards": 0}),
        ("profiles", {"parameters": {"kind": "linear", "alpha_ms": 1}}),
        ("service_classes", {"priority": 101}),
        ("servers", {"load": "none"}),
        ("servers", {"load": {"input_tokens": 1, "output_tokens": 1}}),
        (
            "servers",
            {
                "load": {
                    "arrival_rate_rps": 1,
                    "arrival_rate_rpm": 60,
                    "input_tokens": 1,
                    "output_tokens": 1,
                }
            },
        ),
    ],
)
def test_broken_fleets_are_invalid(
    section: str, changes: Json, validator: jsonschema.Draft202012Validator
) -> None:
    document: Json = copy.deepcopy(dict(EXAMPLE))
    document[section][0].update(changes)
    assert not validator.is_valid(document)


@pytest.mark.parametrize("key", ["version", "currency", "accelerators", "profiles", "servers"])
def test_required_sections(key: str, validator: jsonschema.Draft202012Validator) -> None:
    assert not validator.is_valid({name: value for name, value in EXAMPLE.items() if name != key})


def test_everything_is_described() -> None:
    schema: Json = fleet_schema()
    objects = [schema, *schema["$defs"].values()]
    for item in objects:
        assert item.get("title")
        assert item.get("description"), item["title"]
        for key, field in item["properties"].items():
            told = "description" in field or "const" in field
            assert told, f"{item['title']}.{key}"
