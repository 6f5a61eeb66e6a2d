"""From measured rows to a profile document to predictions and plans, held against the rows."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fidelity.truth import SHAPES
from benchmarks.fidelity.truth_plans import planned_errors
from benchmarks.fidelity.truth_rows import TRUTH
from tests.support.cli import stoker

needs_truth = pytest.mark.skipif(not TRUTH.is_dir(), reason="no measurements at hand")


def mean_error(text: str, name: str) -> float:
    errors = [json.loads(line)["error"][name] for line in text.splitlines()]
    known = [abs(error) for error in errors if error is not None]
    assert len(known) > 90
    return float(np.mean(known))


def written(path: Path, wanted: Callable[[dict[str, float]], bool]) -> Path:
    lines = (TRUTH / SHAPES).read_text().splitlines(keepends=True)
    rows = [line for line in lines if "saturated" not in json.loads(line)["quality"]]
    path.write_text("".join(line for line in rows if wanted(json.loads(line))))
    return path


def on_diagonal(row: dict[str, float]) -> bool:
    return 0.6 < row["out_tokens"] / row["in_tokens"] < 1.7


@needs_truth
def test_a_document_fitted_to_four_shapes_predicts_the_other_twelve(tmp_path: Path) -> None:
    near = written(tmp_path / "near.jsonl", on_diagonal)
    far = written(tmp_path / "far.jsonl", lambda row: not on_diagonal(row))
    profile = tmp_path / "profile.yaml"
    fitted = ("fit", near, "--model", "overlap", "--cross-validate", "none", "--output", profile)
    assert stoker(*fitted).exit_code == 0
    assert stoker("profile", "check", profile).exit_code == 0
    told = stoker("predict", profile, far)
    assert told.exit_code == 0
    assert mean_error(told.stdout, "ttft") < 0.10
    assert mean_error(told.stdout, "itl") < 0.10


@needs_truth
def test_the_shipped_profile_predicts_the_rows_it_was_fitted_to(tmp_path: Path) -> None:
    rows = written(tmp_path / "rows.jsonl", lambda _: True)
    told = stoker("predict", "llama-3.1-8b/h100/vllm-bf16", rows)
    assert told.exit_code == 0
    assert mean_error(told.stdout, "ttft") < 0.06
    assert mean_error(told.stdout, "itl") < 0.06


@needs_truth
def test_plans_with_the_shipped_profile_tell_the_latencies_that_were_measured() -> None:
    errors = planned_errors()
    assert (len(errors.ttft), len(errors.itl)) == (90, 96)
    assert float(np.mean(errors.ttft)) < 0.08
    assert float(np.mean(errors.itl)) < 0.05
