"""stoker fit: from files to parameters, tables, profiles and pictures."""

import json
import re
from pathlib import Path

import pytest
import yaml

from data.curve_fields import CurveFields, read_curve
from profiler.fit import MODELS
from stoker.cli.fit import FitModel
from tests.support.benchmark_files import lines
from tests.support.cli import stoker
from tests.support.measured import (
    TOKEN_WORK,
    guidellm_report,
    measured_rows,
    row_of,
    write_rows,
)

SLOWER = {name: 2 * value for name, value in TOKEN_WORK.items()}
QUICK = ("--model", "token-work", "--cross-validate", "none")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    return write_rows(folder / "rows.jsonl", *map(row_of, measured_rows()))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of two deployments that can be fitted and one that cannot."""
    folder = tmp_path_factory.mktemp("two")
    rows = [*measured_rows(), *measured_rows("A100", SLOWER)]
    lone = row_of(measured_rows()[0], gpu="L4")
    return write_rows(folder / "rows.jsonl", *map(row_of, rows), lone)


def documents(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_model_of_the_library_can_be_asked_for() -> None:
    assert {model.value for model in FitModel} == set(MODELS)


def test_json_of_a_deployment(measured: Path) -> None:
    result = stoker("fit", measured, "--model", "token-work", "--format", "json")
    assert result.exit_code == 0
    (document,) = documents(result.stdout)
    assert list(document) == [
        *("group", "model", "parameters", "confidence", "condition_number", "n"),
        *("error", "cross_validated", "excluded", "refusal"),
    ]
    assert document["group"] == {
        "model": "llama-8b",
        "gpu": "H100",
        "n_gpus": 1,
        "precision": "bf16",
        "engine": "vllm 0.9",
    }
    assert (document["model"], document["n"], document["refusal"]) == ("token-work", 16, None)
    parameters, confidence = document["parameters"], document["confidence"]
    assert isinstance(parameters, dict)
    assert isinstance(confidence, dict)
    for name, value in TOKEN_WORK.items():
        assert parameters[name] == pytest.approx(value, rel=0.02)
        low, high = confidence[name]
        assert low <= parameters[name] <= high
    assert document["error"] == {
        "ttft": pytest.approx(0.0, abs=0.03),
        "itl": pytest.approx(0.0, abs=0.01),
    }
    validated = document["cross_validated"]
    assert isinstance(validated, dict)
    assert validated["n"] == 16
    assert validated["itl"] == pytest.approx(0.0, abs=0.02)
    assert isinstance(document["condition_number"], float)


def test_each_deployment_is_fitted_by_itself(two: Path) -> None:
    result = stoker("fit", two, *QUICK, "--format", "json")
    assert result.exit_code == 0
    first, second, third = documents(result.stdout)
    assert [one["group"]["gpu"] for one in (first, second, third)] == ["H100", "A100", "L4"]  # type: ignore[index]
    assert second["parameters"]["alpha_ms"] == pytest.approx(12.0, rel=0.02)  # type: ignore[index]
    assert third["parameters"] == {}
    refusal = third["refusal"]
    assert isinstance(refusal, dict)
    assert "1 usable operating points cannot tell" in refusal["reason"]
    assert refusal["measure"]
    assert third["error"] == {"ttft": None, "itl": None}
    assert third["cross_validated"] == {"ttft": None, "itl": None, "n": 0, "folds": 0}
    assert "1 of 3 deployments not fitted" in result.stderr


def test_grouping_by_fewer_fields(measured: Path) -> None:
    result = stoker("fit", measured, *QUICK, "--group-by", "gpu, n_gpus", "--format", "json")
    (document,) = documents(result.stdout)
    assert document["group"] == {"gpu": "H100", "n_gpus": 1}


def test_nothing_identified_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    lone = write_rows(tmp_path / "lone.jsonl", row_of(measured_rows()[0]))
    profile = tmp_path / "profile.yaml"
    result = stoker("fit", lone, *QUICK, "--output", profile)
    assert result.exit_code == 5
    assert "To measure: " in result.stdout
    assert "was not written" in result.stderr
    assert not profile.exists()


def test_usual_values_may_stand_for_what_rows_do_not_tell(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "one-shape.jsonl", *map(row_of, measured_rows()[:4]))
    arguments = ("--model", "overlap", "--cross-validate", "none", "--format", "json")
    refused = stoker("fit", path, *arguments)
    assert refused.exit_code == 5
    (reasons,) = documents(refused.stdout)
    assert reasons["refusal"]["parameters"] == ["kv_token_ms"]  # type: ignore[index]
    assumed = stoker("fit", path, *arguments, "--assume-usual")
    assert assumed.exit_code == 0
    (document,) = documents(assumed.stdout)
    assert document["parameters"]["kv_token_ms"] > 0  # type: ignore[index]


def test_table_shows_parameters_errors_and_reasons(two: Path) -> None:
    result = stoker("fit", two, *QUICK, columns=None)
    assert result.exit_code == 0
    for words in ("1 × A100", "alpha_ms", "95% interval", "not told by the rows", "To measure:"):
        assert words in result.stdout


def test_profile_is_for_planning_and_predicting(measured: Path, tmp_path: Path) -> None:
    profile = tmp_path / "profile.yaml"
    assert stoker("fit", measured, *QUICK, "--output", profile).exit_code == 0
    (entry,) = yaml.safe_load(profile.read_text())["profiles"]
    assert (entry["model"], entry["accelerator"]) == ("llama-8b", "H100")
    assert entry["max_batch"] == 256
    assert entry["parameters"]["kind"] == "token-work"
    assert set(entry["parameters"]) == {"kind", *TOKEN_WORK}
    assert entry["provenance"]["kind"] == "fitted"
    assert re.fullmatch(
        r"16 rows of rows.jsonl \(vllm 0.9, bf16\); mean error TTFT \d\.\d%, ITL 0\.\d%; 20.*",
        entry["provenance"]["source"],
    )
    fleet = yaml.safe_load(stoker("convert", "small", "--to", "stoker").stdout)
    fleet["accelerators"].append({"name": "H100", "cost_per_hour": 4})
    fleet["capacity"]["H100"] = 8
    fleet["profiles"].append(entry)
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump(fleet))
    assert stoker("validate", path).exit_code == 0


def test_json_of_a_curve_holds_its_table_with_an_interval_of_every_time(measured: Path) -> None:
    arguments = ("--model", "curve", "--cross-validate", "none", "--format", "json")
    result = stoker("fit", measured, *arguments)
    assert result.exit_code == 0
    (document,) = documents(result.stdout)
    assert document["model"] == "curve"
    parameters, confidence = document["parameters"], document["confidence"]
    assert isinstance(parameters, dict)
    assert isinstance(confidence, dict)
    table = read_curve(
        {name: parameters[name] for name in CurveFields.model_fields if name in parameters}, "curve"
    )
    assert table.shared_ms == parameters["shared_ms"]
    for name, times in (("decode_ms", table.decode_ms), ("prefill_ms", table.prefill_ms)):
        for row, bands in zip(times, confidence[name], strict=True):
            assert all(low <= time <= high for time, (low, high) in zip(row, bands, strict=True))
    low, high = confidence["shared_ms"]
    assert low <= parameters["shared_ms"] <= high
    assert "wave_share" in parameters


def test_a_curve_is_a_profile_for_planning_and_predicting(measured: Path, tmp_path: Path) -> None:
    profile = tmp_path / "profile.yaml"
    arguments = ("--model", "curve", "--cross-validate", "none", "--output", profile)
    shown = stoker("fit", measured, *arguments, columns=None)
    assert shown.exit_code == 0
    assert re.search(r"decode_ms, \d+ × \d+", shown.stdout)
    (entry,) = yaml.safe_load(profile.read_text())["profiles"]
    assert entry["parameters"]["kind"] == "curve"
    assert (entry["max_batch"], entry["provenance"]["kind"]) == (256, "fitted")
    told = stoker("predict", profile, measured, "--wave-share", "0.1")
    assert told.exit_code == 0
    errors = [abs(one["error"]["itl"]) for one in documents(told.stdout)]  # type: ignore[index]
    assert sum(errors) / len(errors) < 0.03


def test_a_curve_that_rows_do_not_tell_is_refused(tmp_path: Path) -> None:
    lone = write_rows(tmp_path / "one-shape.jsonl", *map(row_of, measured_rows()[:4]))
    result = stoker("fit", lone, "--model", "curve", "--format", "json")
    assert result.exit_code == 5
    (document,) = documents(result.stdout)
    assert (document["parameters"], document["confidence"]) == ({}, {})
    assert document["refusal"]["measure"]  # type: ignore[index]


def test_profile_as_json(measured: Path, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    stoker("fit", measured, *QUICK, "--output", profile)
    assert json.loads(profile.read_text())["profiles"][0]["model"] == "llama-8b"


def test_pictures(two: Path, tmp_path: Path) -> None:
    result = stoker("fit", two, *QUICK, "--plots", tmp_path / "plots")
    names = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert names == [
        "01-llama-8b-1-H100-bf16-predicted-against-measured.png",
        "01-llama-8b-1-H100-bf16-residuals.png",
        "02-llama-8b-1-A100-bf16-predicted-against-measured.png",
        "02-llama-8b-1-A100-bf16-residuals.png",
    ]
    assert result.stderr.count("wrote ") == 4


def test_files_of_several_kinds_make_one_deployment(tmp_path: Path) -> None:
    rows = measured_rows()
    report = tmp_path / "benchmarks.json"
    report.write_text(json.dumps(guidellm_report(rows[:8])))
    other = write_rows(tmp_path / "rows.jsonl", *map(row_of, rows[8:]))
    beside = ("--gpu", "H100", "--n-gpus", "1", "--engine", "vllm 0.9", "--precision", "bf16")
    result = stoker("fit", report, other, *beside, *QUICK, "--format", "json")
    (document,) = documents(result.stdout)
    assert document["n"] == 16
    assert document["parameters"]["beta_ms"] == pytest.approx(0.03, rel=0.05)  # type: ignore[index]


def test_what_a_report_lacks_is_asked_for(tmp_path: Path) -> None:
    report = tmp_path / "benchmarks.json"
    report.write_text(json.dumps(guidellm_report(measured_rows()[:1])))
    result = stoker("fit", report)
    assert result.exit_code == 2
    assert "benchmarks[0]: gpu: is not recorded" in result.stderr
    assert "--gpu" in result.stderr


def test_bad_rows_stop_the_fit_unless_they_are_skipped(tmp_path: Path) -> None:
    good = [row_of(row) for row in measured_rows()]
    path = write_rows(tmp_path / "rows.jsonl", *good, row_of(measured_rows()[0], load=-1))
    refused = stoker("fit", path, *QUICK)
    assert refused.exit_code == 2
    assert f"{path}: line 17: load: -1 is out of bounds" in refused.stderr
    result = stoker("fit", path, *QUICK, "--skip-bad-rows", "--format", "json")
    assert result.exit_code == 0
    assert "1 of 17 rows left out" in result.stderr
    assert "line 17: load: -1" in result.stderr
    assert documents(result.stdout)[0]["n"] == 16


def test_rows_of_one_quality(measured: Path, tmp_path: Path) -> None:
    good = [row_of(row) for row in measured_rows()]
    path = write_rows(tmp_path / "rows.jsonl", *good, good[0] | {"quality": "odd"})
    result = stoker("fit", path, *QUICK, "--quality", "ok", "--format", "json")
    assert documents(result.stdout)[0]["n"] == 16
    assert "1 of 17 rows are of another quality" in result.stderr
    refused = stoker("fit", measured, "--quality", "best")
    assert refused.exit_code == 2
    assert "no row is of quality best (allowed: ok)" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rows.jsonl", "--group-by", "colour"), "colour tells no deployments apart"),
        (("rows.jsonl", "--group-by", ","), "--group-by: is empty"),
        (("missing.jsonl",), "missing.jsonl: No such file"),
        (("rows.jsonl", "--output", "none/here.yaml"), "--output: "),
        (("rows.jsonl", "--n-gpus", "0"), "is not a whole number of 1 or more"),
    ],
)
def test_bad_input(
    arguments: tuple[str, ...], words: str, measured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(measured.parent)
    result = stoker("fit", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    result = stoker("fit", path)
    assert result.exit_code == 2
    assert "byte 0 is not UTF-8" in result.stderr


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from stoker.cli.main import app

    text = lines(*map(row_of, measured_rows()))
    result = CliRunner().invoke(app, ["fit", "-", *QUICK, "--format", "json"], input=text)
    assert result.exit_code == 0
    assert documents(result.stdout)[0]["n"] == 16
