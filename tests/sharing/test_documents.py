"""Sharing in documents of fleets and plans: read, checked, and written back."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from data.stoker_format import document_to_fleet, fleet_schema, fleet_to_document
from stoker.domain.errors import InvalidInputError
from stoker.domain.sharing import SharingGroup
from tests.support.configured_fleets import TP1, configured_document, profile, server

GROUP: dict[str, Any] = {"name": "m", "servers": ["a", "b"], "priorities": True}


def _document(*groups: dict[str, Any], **changes: object) -> dict[str, Any]:
    servers = (server("a"), server("b", **changes), server("c"))
    return configured_document([profile(TP1)], *servers) | {"sharing": list(groups)}


def test_groups_are_read_and_written_back() -> None:
    plain = {"name": "n", "servers": ["c", "a"]}
    document = _document({**GROUP, "servers": ["b"]} | {"servers": ["b", "d"]}, plain)
    document["servers"].append(server("d"))
    fleet = document_to_fleet(document)
    assert fleet.sharing == (
        SharingGroup("m", ("b", "d"), priorities=True),
        SharingGroup("n", ("c", "a")),
    )
    written = fleet_to_document(fleet)
    assert document_to_fleet(written) == fleet
    assert written["sharing"] == document["sharing"]
    jsonschema.validate(written, fleet_schema())
    assert "sharing" not in fleet_to_document(document_to_fleet(_document()))


@pytest.mark.parametrize(
    ("groups", "changes", "words"),
    [
        ([{**GROUP, "servers": ["a", "x"]}], {}, "no server is called"),
        ([{**GROUP, "servers": ["a"]}], {}, "sharing[0].servers"),
        ([GROUP, {**GROUP, "servers": ["a", "c"]}], {}, "is used twice"),
        ([GROUP, {**GROUP, "name": "n", "servers": ["a", "c"]}], {}, 'the server "a" is used'),
        ([{**GROUP, "servers": ["a", "a"]}], {}, 'the server "a" is used twice'),
        ([GROUP], {"router": "shortest-queue"}, "more than one router"),
        ([GROUP], {"model": "other"}, "more than one model"),
        ([GROUP], {"max_batch": "auto"}, "max_batch is auto"),
        ([GROUP], {"serving": ["aggregated", "disaggregated"]}, "disaggregated"),
        ([{**GROUP, "priorities": 1}], {}, "priorities"),
        ([{**GROUP, "extra": 1}], {}, "extra"),
    ],
)
def test_what_makes_no_sense_is_refused(
    groups: list[dict[str, Any]], changes: dict[str, object], words: str
) -> None:
    with pytest.raises(InvalidInputError) as error:
        document_to_fleet(_document(*groups, **changes))
    assert words in str(error.value)
    assert "sharing" in str(error.value)
