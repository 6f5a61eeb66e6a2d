"""Whatever stands in a file, it is read or refused with reasons: never anything else."""

import copy
import csv
import io
import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.measurements import Unrecorded, read_measurements
from stoker.domain.errors import InvalidInputError
from tests.support.benchmark_files import (
    guidellm_03,
    guidellm_05,
    guidellm_csv_03,
    guidellm_csv_05,
    row,
    sglang_result,
    vllm_result,
)

BESIDE = Unrecorded(gpu="H100", n_gpus=1)
FILES = [[row()], [vllm_result(input_lens=[5, 6])], [sglang_result()], guidellm_03(), guidellm_05()]
TABLES = [guidellm_csv_03(), guidellm_csv_05(), "model,in_tokens,out_tokens,rate\nm,5,6,7\n"]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([10**400, -1, 0, "inf", [], {}, [1], {"mean": 1}]),
)


def read_or_refuse(text: str) -> None:
    for skip in (False, True):
        refused: InvalidInputError | None = None
        try:
            reading = read_measurements(text, "file", BESIDE, skip_bad_rows=skip)
        except InvalidInputError as error:
            refused = error
        if refused is None:
            assert reading.rows
        else:
            assert refused.problems
            assert all(problem.file == "file" for problem in refused.problems)


def places(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """Yield the place of every value inside a document."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key)
            yield from places(item, (*path, key))


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    read_or_refuse(text)


@given(st.sampled_from(FILES), st.data(), LEAVES)
def test_any_value_anywhere_in_a_json_file(
    document: object, data: st.DataObject, leaf: object
) -> None:
    changed = copy.deepcopy(document)
    *path, last = data.draw(st.sampled_from(list(places(changed))))
    parent = changed
    for key in path:
        parent = parent[key]  # type: ignore[index]
    parent[last] = leaf  # type: ignore[index]
    read_or_refuse(json.dumps(changed))


@given(st.sampled_from(TABLES), st.data(), st.text(max_size=8))
def test_any_cell_of_a_csv_file(text: str, data: st.DataObject, cell: str) -> None:
    rows = list(csv.reader(text.splitlines()))
    line = data.draw(st.integers(0, len(rows) - 1))
    rows[line][data.draw(st.integers(0, len(rows[line]) - 1))] = cell
    made = io.StringIO()
    csv.writer(made).writerows(rows)
    read_or_refuse(made.getvalue())


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a": ' * 100_000,
        '{"load": ' + "9" * 5000 + "}",
        "{}\n" + '{"load": ' + "9" * 5000 + "}\n",
        "in_tokens,out_tokens\n" + "x" * 200_000 + ",1\n",
        "in_tokens,out_tokens\n\0,1\n",
        '"in_tokens,out_tokens\n1,2\n',
        "\ufeff",
    ],
    ids=[
        "deep list",
        "deep object",
        "long number",
        "long number in a line",
        "long cell",
        "NUL",
        "open quote",
        "mark",
    ],
)
def test_hostile_files(text: str) -> None:
    with pytest.raises(InvalidInputError):
        read_measurements(text, "file")


@pytest.mark.parametrize(
    "value",
    [10**400, float("inf"), float("nan"), -5, "x", [], {}, True],
    ids=lambda value: str(value)[:3],
)
@pytest.mark.parametrize("name", list(vllm_result(input_lens=[5])))
def test_every_field_of_a_result(name: str, value: object) -> None:
    read_or_refuse(json.dumps(vllm_result(input_lens=[5, 6]) | {name: value}))
    read_or_refuse(json.dumps(vllm_result(input_lens=[5, value]) | {name: [value]}))


@pytest.mark.parametrize(
    "value", [10**400, float("inf"), -5, "x", [], {}, None], ids=lambda value: str(value)[:3]
)
@pytest.mark.parametrize("report", [guidellm_03(), guidellm_05()], ids=["0.3", "0.5"])
def test_every_place_of_a_report(report: dict[str, list[object]], value: object) -> None:
    one = report | {"benchmarks": report["benchmarks"][2:3]}
    for *path, last in places(one):
        changed: object = copy.deepcopy(one)
        parent = changed
        for key in path:
            parent = parent[key]  # type: ignore[index]
        parent[last] = value  # type: ignore[index]
        read_or_refuse(json.dumps(changed))
