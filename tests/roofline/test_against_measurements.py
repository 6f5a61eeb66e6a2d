"""Estimates against measurements on real accelerators: the errors that docs/estimates.md shows.

The bounds of the whole are a little above what is reached; those of single groups are loose, and
there to notice a change.
"""

import re
from pathlib import Path

import pytest

from tests.roofline.report import TRUTH, comparisons, errors_by_group, macro, table

PAGE = Path(__file__).parents[2] / "docs" / "estimates.md"

pytestmark = pytest.mark.skipif(not TRUTH.is_dir(), reason="needs the measurements")

# Rows whose stated rates are hardly possible, see docs/estimates.md.
DOUBTFUL = ("Llama-3.1-8B", "H200-SXM-141GB", "vLLM")


def test_errors_over_all_groups() -> None:
    whole = macro(errors_by_group(comparisons()).values())
    assert whole.rows > 900
    assert whole.itl is not None
    assert whole.ttft_light is not None
    assert whole.ttft_closed is not None
    assert whole.itl <= 0.17  # target: 20%
    assert whole.ttft_light <= 0.28  # target: 40%
    assert whole.ttft_closed <= 0.38  # target: 55%


def test_errors_of_every_group() -> None:
    for group, errors in errors_by_group(comparisons()).items():
        assert errors.itl is not None
        if group == DOUBTFUL:
            continue
        assert errors.itl <= 0.30, group
        assert errors.ttft_light is None or errors.ttft_light <= 0.45, group
        assert errors.ttft_closed is None or errors.ttft_closed <= 0.60, group


def test_the_page_shows_the_errors_of_today() -> None:
    def cells(text: str) -> list[list[str]]:
        return [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in text.splitlines()
            if re.match(r"\|.*\|.*\| \d+ \|", line)
        ]

    today, shown = cells(table()), cells(PAGE.read_text(encoding="utf-8"))
    assert [row[:4] for row in shown] == [row[:4] for row in today]
    for was, now in zip(shown, today, strict=True):
        for left, right in zip(was[4:], now[4:], strict=True):
            assert bool(left) == bool(right)
            if left:
                assert float(left.rstrip("%")) == pytest.approx(
                    float(right.rstrip("%")), abs=0.15
                ), was
