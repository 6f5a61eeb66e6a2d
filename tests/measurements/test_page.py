"""docs/measurements.md says what is read and written."""

import json
import re
from pathlib import Path

from data.measurements import read_measurements
from data.measurements.plausibility import SHORTEST_ITL_MS
from data.measurements.rows import FIELDS
from profiler.fit import fit
from profiler.fit.observations import SATURATED_WORDS, SPOILED_WORDS
from stoker.cli.compared import ComparedPoint
from stoker.cli.fit_output import fit_document
from stoker.cli.predict_output import Prediction, point_document
from stoker.domain.measurement import Arrival
from tests.support.measured import measured_rows

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "measurements.md").read_text(encoding="utf-8")


def first_column(heading: str) -> list[str]:
    """Return the names in the first column of the table after a piece of text."""
    table = PAGE[PAGE.index(heading) :]
    rows = re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE)
    end = table.find("\n\n", table.index("| `"))
    rows = [row for row in rows if table.index(f"| {row} |") < end]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def test_every_field_of_a_row_is_explained_and_no_other() -> None:
    assert sorted(first_column("| field | meaning |")) == sorted(FIELDS)


def test_the_example_row_is_read() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
    (row,) = read_measurements(json.dumps(json.loads(example)), "page").rows
    assert (row.ttft.p50_ms, row.arrival) == (31.5, Arrival.POISSON)


def test_the_keys_of_a_fit_are_explained() -> None:
    result = fit(measured_rows()[:1], "token-work")
    assert sorted(first_column("| key | meaning |")) == sorted(fit_document(result))


def test_the_keys_of_a_prediction_are_explained() -> None:
    point = ComparedPoint(measured_rows()[0], 1.0, 1.0)
    part = PAGE[PAGE.index("Each line of the answer") :]
    for name in point_document(Prediction(point, 1.0, 1.0, 1.0, saturated=False)):
        assert f"`{name}`" in part, name


def test_words_and_bounds_are_those_of_the_code() -> None:
    quality = next(line for line in PAGE.splitlines() if line.startswith("| `quality`"))
    told = set(re.findall(r"`(\w+)`", quality))
    assert set(SATURATED_WORDS) <= told
    assert told - {"quality", "ok", *SATURATED_WORDS} <= set(SPOILED_WORDS)
    assert f"an ITL below {SHORTEST_ITL_MS} ms" in PAGE
    for pattern in Arrival:
        assert pattern is Arrival.UNKNOWN or f"`{pattern.value}`" in PAGE


def test_pictures_and_pages_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
