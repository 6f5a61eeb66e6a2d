import copy
import json
from pathlib import Path
from typing import Any

import pytest

from data.candidates_file import parse_candidates, read_candidates, write_candidates
from stoker.domain.candidate import CandidateEstimate
from stoker.domain.errors import InvalidInputError

ENTRY: dict[str, Any] = {
    "accelerator": "A",
    "numReplicas": 3,
    "maxBatch": 16,
    "cost": 480,
    "value": -52.8,
    "itlAverage": 12.5,
    "ttftAverage": 138.25,
    "rho": 0.5,
    "maxRPM": 45,
}
EMPTY = {key: "" if key == "accelerator" else 0 for key in ENTRY} | {"value": -67.365}


def test_units() -> None:
    (estimate,) = parse_candidates({"candidates": {"s": {"A": ENTRY}}})
    assert estimate == CandidateEstimate("s", "A", 3, 16, 4.8, -0.528, 138.25, 12.5, 0.5, 0.75)


def test_an_empty_allocation_stands_once_whatever_was_tried() -> None:
    table = {"candidates": {"s": {"A": EMPTY, "B": EMPTY}, "t": {"A": ENTRY}}}
    first, second = parse_candidates(table)
    assert (first.server, first.accelerator, first.value) == ("s", None, -0.67365)
    assert (second.server, second.accelerator) == ("t", "A")


def test_keys_in_any_case_but_names_as_they_are() -> None:
    entry = {key.upper(): value for key, value in ENTRY.items()}
    (estimate,) = parse_candidates({"Candidates": {"COST": {"A": entry}}})
    assert estimate.server == "COST"


def test_reference_tables_return(golden_dir: Path, tmp_path: Path) -> None:
    paths = sorted(golden_dir.glob("candidates_*.json"))
    assert paths
    for path in paths:
        estimates = read_candidates(path)
        table = json.loads(path.read_text(encoding="utf-8"))["candidates"]
        tried = sum(bool(e["accelerator"]) for row in table.values() for e in row.values())
        assert sum(item.accelerator is not None for item in estimates) == tried
        write_candidates(tmp_path / "again.json", estimates)
        assert read_candidates(tmp_path / "again.json") == estimates


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"accelerator": "B"}, "accelerator", '"B" is not the accelerator of the key'),
        ({"numReplicas": 0}, "numReplicas", "0 replicas"),
        ({"accelerator": ""}, "numReplicas", "without an accelerator"),
        ({"numReplicas": 1.5}, "numReplicas", "1.5 is not a whole number"),
        ({"cost": -1}, "cost", "-1 is out of bounds"),
        ({"cost": float("nan")}, "cost", "not a finite number"),
        ({"rate": 1}, "rate", "unknown key"),
        ({"maxRPM": None}, "maxRPM", "is missing"),
    ],
)
def test_mistakes(changes: dict[str, Any], path: str, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_candidates({"candidates": {"s": {"A": ENTRY | changes}}}, "c.json")
    (problem,) = caught.value.problems
    assert problem.path == f"candidates.s.A.{path}"
    assert problem.file == "c.json"
    assert message in problem.message


@pytest.mark.parametrize("document", [None, [], {}, {"candidates": 3}, {"candidates": {"s": []}}])
def test_what_is_no_table(document: object) -> None:
    with pytest.raises(InvalidInputError):
        parse_candidates(copy.deepcopy(document))


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no such file"):
        read_candidates(tmp_path / "none.json")
