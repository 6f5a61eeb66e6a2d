"""What a table of iteration times must be."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from stoker.domain.curve import IterationTable, tabulate
from stoker.domain.profile import all_zero

TABLE = IterationTable((1, 2), (0, 10), ((1, 2), (3, 4)), (1,), (0,), ((5,),), 2)


def test_functions_become_tables() -> None:
    found = tabulate(
        lambda batch, context: batch + context,
        lambda tokens, reads: 10 * tokens + reads,
        batches=[1, 2],
        contexts=[0, 100],
        prefill_tokens=[1, 4],
        prefill_contexts=[0, 8],
        shared_ms=1.5,
    )
    assert found == IterationTable(
        (1, 2), (0, 100), ((1, 101), (2, 102)), (1, 4), (0, 8), ((10, 18), (40, 48)), 1.5
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batches": ()}, "decode_ms: each axis needs at least one knot"),
        ({"batches": (1, 1)}, "decode_ms: knots must ascend"),
        ({"batches": (1, math.nan)}, "decode_ms: knots must be finite and at least 0"),
        ({"prefill_tokens": (-1,)}, "prefill_ms: knots must be finite and at least 0"),
        ({"contexts": (0, 1, 2)}, r"decode_ms: the grid is not of the shape \(2, 3\)"),
        ({"decode_ms": ((1, 2), (3,))}, r"decode_ms: the grid is not of the shape \(2, 2\)"),
        ({"decode_ms": ((1, 2), (3, -4))}, "decode_ms: times must be finite and at least 0"),
        ({"prefill_ms": ((math.inf,),)}, "prefill_ms: times must be finite"),
        ({"shared_ms": 6}, "shared_ms is 6"),
        ({"shared_ms": -1}, "shared_ms is -1"),
    ],
)
def test_other_tables_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TABLE, **change)  # type: ignore[arg-type]


def test_only_tables_without_any_time_describe_no_hardware() -> None:
    nothing = IterationTable((1,), (0,), ((0,),), (1,), (0,), ((0,),))
    assert all_zero(nothing)
    assert not all_zero(TABLE)
    assert not all_zero(replace(nothing, prefill_ms=((1,),)))
