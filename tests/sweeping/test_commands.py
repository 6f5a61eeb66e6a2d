"""The commands: formats, files of points, pictures, notes, exit codes."""

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image
from pyarrow import parquet

from tests.support.cli import stoker

QUICK = ("--vary", "analysis=reference", "--jobs", "1")


def test_a_table_names_what_varies_and_who_is_served() -> None:
    result = stoker("sweep", "small", "--vary", "cards=x0.1,x1", *QUICK)
    assert result.exit_code == 0
    head, *lines = result.stdout.splitlines()
    assert head.split()[:3] == ["cards", "analysis", "status"]
    assert [line.split()[0] for line in lines] == ["x0.1", "x1"]
    assert "15/15" in lines[1]


def test_json_and_csv_hold_the_same_rows() -> None:
    arguments = ("sweep", "small", "--vary", "load=1,2", "--vary", "solver=greedy", *QUICK)
    document = json.loads(stoker(*arguments, "--format", "json").stdout)
    rows = list(csv.DictReader(io.StringIO(stoker(*arguments, "--format", "csv").stdout)))
    assert document["columns"] == list(rows[0])
    for item, row in zip(document["rows"], rows, strict=True):
        assert float(row["cost_per_hour"]) == item["cost_per_hour"]
        assert row["solver"] == item["solver"] == "greedy"
        assert (item["gap"], row["gap"]) == (None, "")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("points.csv", "load,solver,analysis\n1,milp,reference\n2,greedy,reference\n"),
        (
            "points.json",
            '[{"load": 1, "solver": "milp", "analysis": "reference"},'
            ' {"load": 2, "solver": "greedy", "analysis": "reference"}]',
        ),
    ],
)
def test_points_of_a_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    result = stoker("sweep", "small", "--points", tmp_path / name, "--jobs", 1, "--format", "json")
    rows = json.loads(result.stdout)["rows"]
    assert [(row["load"], row["solver"]) for row in rows] == [(1, "milp"), (2, "greedy")]


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("points.txt", "load\n1\n", "neither CSV nor JSON"),
        ("points.csv", "", "no header"),
        ("points.csv", "load,load\n1,2\n", "names load twice"),
        ("points.csv", "load\n1,2\n", "has 2 values"),
        ("points.csv", "load\nmany\n", "point 1.load"),
        ("points.csv", "load\n", "no points"),
        ("points.json", "{}", "is no list"),
        ("points.json", "[1]", "is no object"),
        ("points.json", '[{"load": null}]', "neither a number nor a text"),
        ("points.json", "[", "not JSON"),
    ],
)
def test_files_of_points_that_make_no_sense(
    tmp_path: Path, name: str, text: str, word: str
) -> None:
    (tmp_path / name).write_text(text)
    result = stoker("sweep", "small", "--points", tmp_path / name)
    assert result.exit_code == 2
    assert word in result.stderr
    assert name in result.stderr


def test_nothing_or_both_ways_to_vary_are_refused(tmp_path: Path) -> None:
    assert "nothing varies" in stoker("sweep", "small").stderr
    (tmp_path / "p.csv").write_text("load\n1\n")
    both = stoker("sweep", "small", "--vary", "load=1", "--points", tmp_path / "p.csv")
    assert (both.exit_code, "both were given" in both.stderr) == (2, True)
    step = stoker("sweep", "small", "--zip", "--points", tmp_path / "p.csv")
    assert (step.exit_code, "--zip" in step.stderr) == (2, True)


def test_points_that_fail_are_rows_and_exit_with_three() -> None:
    result = stoker("sweep", "small", "--vary", "backend=nobody,highs", *QUICK)
    assert result.exit_code == 3
    assert "failed at backend=nobody" in result.stdout
    assert "1 point of 2 failed" in result.stderr


def test_files_of_results_say_the_same_as_the_table(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    stoker("sweep", "small", "--vary", "cards=x0.1,x1", *QUICK, "--output", folder)
    rows = parquet.read_table(folder / "results.parquet").to_pylist()
    with (folder / "results.csv").open(newline="") as stream:
        texts = list(csv.DictReader(stream))
    for row, text in zip(rows, texts, strict=True):
        for name, cell in row.items():
            assert text[name] == ("" if cell is None else str(cell)), name


@pytest.mark.parametrize(
    "varied",
    [
        ["load=1,2,4"],
        ["load=1,2", "cards=x0.2,x1"],
        ["solver=milp,greedy", "cards=x0.2,x1"],
        ["load=1,2", "cards=x0.2,x1", "price.A100=1,2"],
    ],
)
def test_pictures(tmp_path: Path, varied: list[str]) -> None:
    options = [option for text in varied for option in ("--vary", text)]
    stoker("sweep", "small", *options, *QUICK, "--plots", tmp_path)
    with Image.open(tmp_path / "sweep.png") as image:
        assert min(image.size) > 150


def test_a_frontier_in_every_format(tmp_path: Path) -> None:
    table = stoker("pareto", "small", "--points", 3, "--plots", tmp_path)
    assert table.exit_code == 0
    assert "more points between" in table.stdout
    with Image.open(tmp_path / "pareto.png") as image:
        assert min(image.size) > 200
    latency = ("pareto", "small", "--against", "latency", "--scales", "1,2", "--jobs", 1)
    document = json.loads(stoker(*latency, "--format", "json").stdout)
    assert "nothing is claimed" in document["claim"]
    assert [row["place"] for row in document["rows"]] == ["frontier", "frontier"]


def test_a_frontier_as_csv() -> None:
    result = stoker("pareto", "small", "--points", 2, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [float(row["attainment_servers"]) for row in rows] == [0.0, 1.0]
    assert {row["place"] for row in rows} == {"frontier"}


def test_scales_that_make_no_sense() -> None:
    result = stoker("pareto", "small", "--against", "latency", "--scales", "1:0:1")
    assert result.exit_code == 2
    assert "--scales" in result.stderr


def test_options_that_a_frontier_makes_no_use_of_are_refused() -> None:
    scaled = stoker("pareto", "small", "--scales", "0.5,1", "--jobs", 2)
    assert scaled.exit_code == 2
    assert "--scales: is for --against latency alone" in scaled.stderr
    assert "--jobs: is for --against latency alone" in scaled.stderr
    latency = ("pareto", "small", "--against", "latency", "--scales", "1")
    limited = stoker(*latency, "--points", 3, "--time-limit", 5)
    assert limited.exit_code == 2
    assert "--points: has no effect with --against latency" in limited.stderr
    assert "--time-limit: has no effect with --against latency" in limited.stderr
    assert stoker("pareto", "small", "--against", "latency", "--scales", "").exit_code == 2


def test_a_frontier_by_priorities(tmp_path: Path) -> None:
    options = ("--points", 3, "--format", "csv", "--plots", tmp_path)
    result = stoker("pareto", "small", "--against", "priorities", *options)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert result.exit_code == 0
    vectors = [tuple(int(row[f"served_priority_{k}"]) for k in (1, 2, 3)) for row in rows]
    assert vectors == sorted(set(vectors))
    assert vectors[-1] == (5, 5, 5)
    with Image.open(tmp_path / "pareto.png") as image:
        assert min(image.size) > 200
