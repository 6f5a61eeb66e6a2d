import re
from pathlib import Path

import pytest

from stoker.cli.plots.write import (
    ALTERNATIVES,
    BATCHES,
    CARDS,
    LATENCIES,
    LIMITS,
    LOAD,
    MATRIX,
    POOLS,
    RANGES,
    SHADOW_PRICES,
    STATES,
)

DOCS = Path(__file__).parents[2] / "docs"


def test_every_picture_of_a_plan_is_on_the_page() -> None:
    page = (DOCS / "plots.md").read_text(encoding="utf-8")
    assert f"`{ALTERNATIVES}`" in page
    for name in (
        *(BATCHES, CARDS, LATENCIES, LIMITS, LOAD, MATRIX, POOLS, RANGES, SHADOW_PRICES, STATES),
        "difference.png",
    ):
        assert f"`{name}`" in page
        assert f"(images/plots/{name})" in page


def test_pictures_of_the_page_are_there_and_small() -> None:
    page = (DOCS / "plots.md").read_text(encoding="utf-8")
    for path in re.findall(r"\]\((images/[^)]+)\)", page):
        assert (DOCS / path).stat().st_size < 150_000


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (DOCS / "plots.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "docs/plots.md", "exec"), {})
    assert {path.name for path in Path("plots").iterdir()} == {"matrix.png", "load.png"}
