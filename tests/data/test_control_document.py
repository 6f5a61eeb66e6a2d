"""Control documents with their fleets: what a loop cannot carry out is refused, with what can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from data.control_document.reading import read_control
from stoker.domain.errors import InvalidInputError
from tests.support.control_setup import fleet_document

CONTROL = {"version": 1, "kind": "control", "fleet": "fleet.yaml"}


def problems_of(folder: Path, **fleet: Any) -> list[str]:
    (folder / "fleet.yaml").write_text(yaml.safe_dump(fleet_document() | fleet))
    (folder / "control.yaml").write_text(yaml.safe_dump(CONTROL))
    try:
        read_control(folder / "control.yaml")
    except InvalidInputError as error:
        return [str(each) for each in error.problems]
    return []


def test_a_plain_fleet_is_controlled(tmp_path: Path) -> None:
    assert problems_of(tmp_path) == []


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (
            {
                "pools": [
                    {"name": "eu", "card_type": "H100", "cards": 8, "region": "eu"},
                    {"name": "us", "card_type": "H100", "cards": 8, "region": "us"},
                ],
                "capacity": {"L4": 16},
            },
            ["fleet.yaml: pools: has eu, us", "cluster.product_labels"],
        ),
        (
            {"sharing": [{"name": "all", "servers": ["chat", "mail"]}]},
            ["fleet.yaml: sharing: lets servers share replicas", "a fleet without sharing"],
        ),
    ],
)
def test_what_a_loop_cannot_carry_out_is_refused(
    tmp_path: Path, section: dict[str, Any], words: list[str]
) -> None:
    chat = fleet_document()["servers"][0]
    (problem,) = problems_of(tmp_path, servers=[chat, chat | {"name": "mail"}], **section)
    for each in words:
        assert each in problem
