"""Groups too large to try all sets of: the plan says what its proof leaves out."""

from __future__ import annotations

import pytest

from data.stoker_format import document_to_fleet
from optimizer.sharing.allocations import sharing_notes
from tests.sharing.test_pools import document


@pytest.mark.parametrize(
    ("servers", "said"), [(3, None), (5, None), (6, "sets of 4 of"), (8, "sets of 4 to 6 of")]
)
def test_sizes_that_are_not_tried_are_told(servers: int, said: str | None) -> None:
    found = document(1.0, 1.0, 1.0)
    first = found["servers"][0]
    found["servers"] = [{**first, "name": f"s{index}"} for index in range(servers)]
    found["sharing"][0]["servers"] = [f"s{index}" for index in range(servers)]
    notes = sharing_notes(document_to_fleet(found), ())
    assert [said in note for note in notes if said] == ([True] if said else [])
    assert len(notes) == (said is not None)
