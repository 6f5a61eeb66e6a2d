"""Profiles that are measured curves, in the formats."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from data.curve_fields import CurveFields, read_curve
from data.fleets import parse_fleet
from data.inferno import fleet_to_system
from data.stoker_example import EXAMPLE
from data.stoker_format import document_to_fleet, fleet_schema, fleet_to_document
from stoker.domain.curve import IterationTable
from stoker.domain.errors import InvalidInputError
from tests.support.cli import stoker

Document = dict[str, Any]

CURVE: Document = {
    "kind": "curve",
    "batches": [1, 8, 64],
    "context_tokens": [128, 4096],
    "decode_ms": [[6, 6.5], [6.5, 8], [9, 20]],
    "prefill_tokens": [1, 512, 8192],
    "prefill_context_tokens": [0, 65536],
    "prefill_ms": [[6, 6], [14, 15.5], [160, 180]],
    "shared_ms": 5,
}


def document(**changes: object) -> Document:
    whole: Document = copy.deepcopy(dict(EXAMPLE))
    parameters = {**copy.deepcopy(CURVE), **changes}
    whole["profiles"][0]["parameters"] = {
        key: value for key, value in parameters.items() if value is not ...
    }
    return whole


def test_a_curve_is_read_and_written_as_it_is() -> None:
    (profile,) = parse_fleet(document()).profiles
    assert profile.parameters == IterationTable(
        (1, 8, 64),
        (128, 4096),
        ((6, 6.5), (6.5, 8), (9, 20)),
        (1, 512, 8192),
        (0, 65536),
        ((6, 6), (14, 15.5), (160, 180)),
        5,
    )
    written = fleet_to_document(parse_fleet(document()))
    assert written["profiles"][0]["parameters"] == CURVE  # type: ignore[index]


def test_what_prompts_read_and_what_is_shared_may_be_left_out() -> None:
    plain = document(prefill_context_tokens=..., shared_ms=..., prefill_ms=[[6], [14], [160]])
    (profile,) = parse_fleet(plain).profiles
    assert isinstance(profile.parameters, IterationTable)
    assert profile.parameters.prefill_contexts == (0.0,)
    assert profile.parameters.shared_ms == 0
    assert fleet_to_document(parse_fleet(plain)) == {
        **fleet_to_document(parse_fleet(document())),
        "profiles": plain["profiles"],
    }


def test_delays_of_first_tokens_are_read_and_written() -> None:
    delays = {"first_token_ms": 8, "first_token_sequence_ms": 0.5, "first_token_output_ms": 0.25}
    (profile,) = parse_fleet(document(**delays)).profiles
    assert isinstance(profile.parameters, IterationTable)
    assert profile.parameters.delays_ms == (8, 0.5, 0.25)
    written = fleet_to_document(parse_fleet(document(**delays)))
    assert written["profiles"][0]["parameters"] == CURVE | delays  # type: ignore[index]
    fields = CurveFields.of(profile.parameters)
    assert fields.to_domain() == profile.parameters


def test_a_table_is_the_same_as_its_fields() -> None:
    fields = CurveFields.model_validate({key: CURVE[key] for key in CURVE if key != "kind"})
    assert CurveFields.of(fields.to_domain()) == fields


def test_a_line_carries_the_same_object() -> None:
    fields = {key: CURVE[key] for key in CURVE if key != "kind"}
    (profile,) = parse_fleet(document()).profiles
    assert read_curve(fields, "curve") == profile.parameters
    spoiled = {**fields, "batches": [1, 1, 64], "decode_ms": [[6], "x"], "shared": 3}
    with pytest.raises(InvalidInputError) as caught:
        read_curve(spoiled, "curve", "cases.jsonl")
    assert [(item.path, item.file) for item in caught.value.problems] == [
        ("curve.batches", "cases.jsonl"),
        ("curve.decode_ms[1]", "cases.jsonl"),
        ("curve.shared", "cases.jsonl"),
    ]
    nothing = {**fields, "decode_ms": [[0, 0]] * 3, "prefill_ms": [[0, 0]] * 3, "shared_ms": 0}
    with pytest.raises(InvalidInputError, match="curve: every time is zero"):
        read_curve(nothing, "curve")
    with pytest.raises(InvalidInputError, match="curve: 5 is not a mapping"):
        read_curve(5, "curve")


PLACE = "profiles[0].parameters"


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"batches": ...}, "batches", "is missing (allowed: a list)"),
        ({"batches": []}, "batches", "is too short"),
        ({"batches": [8, 8, 64]}, "batches", "8.0 follows 8.0 (allowed: knots that ascend"),
        ({"batches": [1, "8", 64]}, "batches[1]", '"8" is not a number'),
        ({"context_tokens": [-1, 5]}, "context_tokens[0]", "-1 is out of bounds"),
        ({"prefill_tokens": list(range(501))}, "prefill_tokens", "at most 500"),
        (
            {"decode_ms": [[1, 2], [3, 4]]},
            "decode_ms",
            "2 rows for 3 knots of batches (allowed: 3, one for each)",
        ),
        (
            {"decode_ms": [[1, 2], [3], [4, 5]]},
            "decode_ms",
            "1 time in row 1 for 2 knots of context_tokens (allowed: 2, one for each)",
        ),
        ({"first_token_ms": -1}, "first_token_ms", "-1 is out of bounds"),
        ({"decode_ms": [[1, 2], [3, -4], [5, 6]]}, "decode_ms[1][1]", "-4 is out of bounds"),
        ({"decode_ms": [[1, 2], [3, None], [5, 6]]}, "decode_ms[1][1]", "null is not a number"),
        ({"prefill_ms": 5}, "prefill_ms", "5 is not a list"),
        (
            {"shared_ms": 7},
            "shared_ms",
            "7.0 is more than the least prefill time (allowed: from 0 to 6.0)",
        ),
        ({"alpha_ms": 7}, "alpha_ms", "unknown key"),
        (
            {"decode_ms": [[0, 0]] * 3, "prefill_ms": [[0, 0]] * 3, "shared_ms": 0},
            "",
            "every time is zero",
        ),
    ],
)
def test_a_mistake_is_one_problem_at_its_place(changes: Document, path: str, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        document_to_fleet(document(**changes))
    (problem,) = caught.value.problems
    assert problem.path == (f"{PLACE}.{path}" if path else PLACE)
    assert words in str(problem)


def test_the_schema_knows_curves() -> None:
    validator = jsonschema.Draft202012Validator(fleet_schema())
    validator.validate(document())
    broken: list[Callable[[Document], object]] = [
        lambda curve: curve.pop("decode_ms"),
        lambda curve: curve.update(batches=[]),
        lambda curve: curve.update(decode_ms=[["1"]]),
        lambda curve: curve.update(shared_ms=-1),
    ]
    for spoil in broken:
        whole = document()
        spoil(whole["profiles"][0]["parameters"])
        assert not validator.is_valid(whole)


def test_inferno_has_no_form_for_curves(tmp_path: Path) -> None:
    whole = document()
    whole["profiles"].append({**whole["profiles"][0], "accelerator": "4xH100"})
    with pytest.raises(InvalidInputError) as caught:
        fleet_to_system(parse_fleet(whole))
    assert len(caught.value.problems) == 2
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump(document()))
    for form in ("inferno", "inferno-dir"):
        target = tmp_path / form
        result = stoker("convert", path, "--to", form, "--output", target, columns=200)
        assert result.exit_code == 2
        assert (
            'the profile of "llama-3.1-8b" on "H100" is a measured curve, which Inferno\'s format '
            "cannot hold (allowed: linear or token-work parameters)"
        ) in " ".join(result.stderr.split())
        assert not target.exists()
    same = stoker("convert", path, "--to", "stoker")
    assert same.exit_code == 0
    assert parse_fleet(yaml.safe_load(same.stdout)) == parse_fleet(document())
