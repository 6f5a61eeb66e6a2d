"""Profiles of overlapping memory traffic and computing, in the formats."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from data.decode import decode_yaml
from data.fleets import parse_fleet
from data.measurements import read_profiles
from data.overlap_fields import read_overlap
from data.profile_document import profile_document
from data.stoker_example import EXAMPLE
from data.stoker_format import document_to_fleet, fleet_schema, fleet_to_document
from stoker.domain.errors import InvalidInputError
from stoker.domain.profile import ModelProfile, OverlapParameters
from tests.support.cli import stoker

Document = dict[str, Any]

OVERLAP: Document = {
    "kind": "overlap",
    "base_ms": 2.5,
    "weights_ms": 4,
    "token_ms": 0.02,
    "sequence_ms": 0.02,
    "kv_token_ms": 4e-5,
    "attention_ms": 1e-6,
    "prompts_ms": 1,
    "first_token_ms": 12,
    "first_token_sequence_ms": 0.05,
    "first_token_output_ms": 0.001,
}
FIELDS = {key: value for key, value in OVERLAP.items() if key != "kind"}
PLACE = "profiles[0].parameters"


def document(**changes: object) -> Document:
    whole: Document = copy.deepcopy(dict(EXAMPLE))
    parameters = {**OVERLAP, **changes}
    whole["profiles"][0]["parameters"] = {
        key: value for key, value in parameters.items() if value is not ...
    }
    return whole


def test_parameters_are_read_and_written_as_they_are() -> None:
    (profile,) = parse_fleet(document()).profiles
    assert profile.parameters == OverlapParameters(**FIELDS)
    written: Any = fleet_to_document(parse_fleet(document()))
    assert written["profiles"][0]["parameters"] == OVERLAP


def test_delays_may_be_left_out_and_engine_time_may_not() -> None:
    bare = document(
        first_token_ms=..., first_token_sequence_ms=..., first_token_output_ms=..., token_ms=0
    )
    (profile,) = parse_fleet(bare).profiles
    assert isinstance(profile.parameters, OverlapParameters)
    assert profile.parameters.delays_ms == (0, 0, 0)
    written: Any = fleet_to_document(parse_fleet(bare))
    assert written["profiles"] == bare["profiles"]
    with pytest.raises(InvalidInputError, match="kv_token_ms: is missing"):
        parse_fleet(document(kv_token_ms=...))


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"base_ms": -1}, "base_ms", "-1 is out of bounds"),
        ({"token_ms": "1"}, "token_ms", '"1" is not a number'),
        ({"alpha_ms": 7}, "alpha_ms", "unknown key"),
        (
            {key: 0 for key in FIELDS if not key.startswith("first")},
            "",
            "every parameter of engine time is zero",
        ),
    ],
)
def test_a_mistake_is_one_problem_at_its_place(changes: Document, path: str, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        document_to_fleet(document(**changes))
    (problem,) = caught.value.problems
    assert problem.path == (f"{PLACE}.{path}" if path else PLACE)
    assert words in str(problem)


def test_a_line_carries_the_same_object() -> None:
    assert read_overlap(FIELDS, "overlap") == OverlapParameters(**FIELDS)
    with pytest.raises(InvalidInputError) as caught:
        read_overlap({**FIELDS, "base_ms": None, "base": 3}, "overlap", "cases.jsonl")
    assert {(item.path, item.file) for item in caught.value.problems} == {
        ("overlap.base_ms", "cases.jsonl"),
        ("overlap.base", "cases.jsonl"),
    }
    with pytest.raises(InvalidInputError, match="overlap: every parameter of engine time is zero"):
        read_overlap(dict.fromkeys(FIELDS, 0) | {"first_token_ms": 5}, "overlap")


def test_the_schema_knows_the_model() -> None:
    validator = jsonschema.Draft202012Validator(fleet_schema())
    validator.validate(document())
    for spoil in ({"weights_ms": ...}, {"weights_ms": -1}, {"kind": "overlaps"}):
        assert not validator.is_valid(document(**spoil))


def test_a_fitted_profile_is_one_of_a_fleet() -> None:
    fitted = ModelProfile("llama-3.1-8b", "H100", 1, 256, 128, OverlapParameters(**FIELDS))
    written: Any = json.loads(json.dumps(profile_document([fitted])))
    (back,) = read_profiles(decode_yaml(yaml.safe_dump(written)), "profile.yaml")
    assert dict(back.parameters) == FIELDS
    whole = document()
    whole["profiles"][0] = written["profiles"][0]
    (profile,) = parse_fleet(whole).profiles
    assert profile.parameters == OverlapParameters(**FIELDS)


def test_inferno_has_no_form_for_it(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump(document()))
    target = tmp_path / "system.json"
    result = stoker("convert", path, "--to", "inferno", "--output", target, columns=200)
    assert result.exit_code == 2
    assert (
        'the profile of "llama-3.1-8b" on "H100" has overlap parameters, which Inferno\'s format '
        "cannot hold (allowed: linear or token-work parameters)"
    ) in " ".join(result.stderr.split())
    assert not target.exists()


def test_the_reference_refuses_it_and_full_plans_with_it(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump(document()))
    refused = stoker("solve", path, "--analysis", "reference", columns=200)
    assert refused.exit_code == 2
    assert "overlap parameters are beyond the analysis reference" in " ".join(
        refused.stderr.split()
    )
    plan = tmp_path / "plan.json"
    late = {"first_token_ms": 400}
    replicas = []
    for changes in ({}, late):
        path.write_text(yaml.safe_dump(document(**changes)))
        solved = stoker("solve", path, "--analysis", "full", "--format", "json", "--output", plan)
        assert solved.exit_code == 0, solved.stderr
        (allocation,) = json.loads(plan.read_text())["allocations"].values()
        replicas.append(allocation)
        assert allocation["ttft_ms"] > (400 if changes else 12)
    # The delay is no engine time: tokens come as fast as without it.
    assert replicas[0]["itl_ms"] == pytest.approx(replicas[1]["itl_ms"], rel=0.2)
