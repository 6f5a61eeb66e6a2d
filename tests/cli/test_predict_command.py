"""stoker predict: a profile evaluated at points."""

import json
from pathlib import Path

import pytest

from profiler.fit import predict
from tests.support.cli import stoker
from tests.support.measured import (
    PROFILE,
    TOKEN_WORK,
    WAVE_SHARE,
    measured_rows,
    row_of,
    write_rows,
)

POINT: dict[str, object] = {"in_tokens": 512, "out_tokens": 128}


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "profile.yaml"
    path.write_text(PROFILE)
    return path


def documents(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_points(profile: Path, tmp_path: Path) -> None:
    points = write_rows(tmp_path / "p.jsonl", POINT | {"rate": 2}, POINT | {"concurrency": 8})
    result = stoker("predict", profile, points)
    assert result.exit_code == 0
    first, second = documents(result.stdout)
    assert list(first) == [
        *("id", "model", "gpu", "n_gpus", "in_tokens", "out_tokens", "rate", "ttft_ms", "itl_ms"),
        *("e2e_ms", "throughput_rps", "concurrency_mean", "saturated"),
    ]
    assert (first["id"], first["model"], first["gpu"], first["rate"]) == (
        *("line 1", "llama-8b", "H100"),
        2,
    )
    assert first["throughput_rps"] == 2
    assert first["saturated"] is False
    assert second["concurrency"] == second["concurrency_mean"] == 8
    assert float(str(second["itl_ms"])) > TOKEN_WORK["alpha_ms"]
    e2e_ms = float(str(first["ttft_ms"])) + 127 * float(str(first["itl_ms"]))
    assert first["e2e_ms"] == pytest.approx(e2e_ms, rel=0.01)


def test_csv_points_and_the_table(profile: Path, tmp_path: Path) -> None:
    points = tmp_path / "points.csv"
    points.write_text("id,in_tokens,out_tokens,rate\nquiet,512,128,1\nflood,512,128,900\n")
    result = stoker("predict", profile, points, "--format", "table", columns=None)
    assert result.exit_code == 0
    for words in ("quiet", "900 req/s", "grows"):
        assert words in result.stdout
    assert "measured" not in result.stdout
    assert "1 of 2 points saturated" in result.stderr


def test_batch_limit_and_budget_of_the_profile_hold_unless_a_point_has_its_own(
    profile: Path, tmp_path: Path
) -> None:
    crowd = POINT | {"concurrency": 300}
    points = write_rows(tmp_path / "p.jsonl", crowd, crowd | {"max_batch": 512})
    limited, free = documents(stoker("predict", profile, points).stdout)
    assert (limited["saturated"], free["saturated"]) == (True, False)
    assert float(str(limited["ttft_ms"])) > float(str(free["ttft_ms"]))


def test_measured_rows_get_their_errors(profile: Path, tmp_path: Path) -> None:
    rows = measured_rows()
    slow = row_of(rows[0])
    slow["itl_ms_mean"] = 2 * float(str(slow["itl_ms_mean"]))
    points = write_rows(tmp_path / "rows.jsonl", *map(row_of, rows[1:]), slow)
    wave = ("--wave-share", WAVE_SHARE)
    *good, last = documents(stoker("predict", profile, points, *wave).stdout)
    for document in good:
        assert document["error"]["ttft"] == pytest.approx(0.0, abs=1e-9)  # type: ignore[index]
    assert last["error"]["itl"] == pytest.approx(-0.5)  # type: ignore[index]
    assert last["error"]["e2e"] is None  # type: ignore[index]
    table = stoker("predict", profile, points, *wave, "--format", "table", columns=None).stdout
    assert "-50.0%" in table
    assert f"ITL {0.5 / len(rows):.1%}." in table


def test_wave_of_a_load_generator(profile: Path, tmp_path: Path) -> None:
    points = write_rows(tmp_path / "p.jsonl", POINT | {"concurrency": 32})
    steady = documents(stoker("predict", profile, points).stdout)[0]
    wave = documents(stoker("predict", profile, points, "--wave-share", "0.1").stdout)[0]
    assert float(str(wave["ttft_ms"])) > float(str(steady["ttft_ms"]))
    assert stoker("predict", profile, points, "--wave-share", "2").exit_code == 2


def test_points_choose_among_profiles(profile: Path, tmp_path: Path) -> None:
    first = profile.read_text()
    profile.write_text(first + first.removeprefix("profiles:\n").replace("H100", "A100"))
    own = POINT | {"model": "llama-8b", "gpu": "A100", "n_gpus": 1, "rate": 1}
    points = write_rows(tmp_path / "p.jsonl", own, own | {"gpu": "H100"})
    result = stoker("predict", profile, points)
    assert [document["gpu"] for document in documents(result.stdout)] == ["A100", "H100"]
    refused = stoker("predict", profile, write_rows(tmp_path / "q.jsonl", own | {"gpu": "L4"}))
    assert refused.exit_code == 2
    assert "no profile is of llama-8b on 1 × L4" in refused.stderr
    assert "llama-8b on 1 × A100" in refused.stderr
    unnamed = stoker("predict", profile, write_rows(tmp_path / "r.jsonl", POINT | {"rate": 1}))
    assert "model: is not recorded" in unnamed.stderr


def test_every_fitted_model_can_be_predicted_with(tmp_path: Path) -> None:
    overlap = {
        "base_ms": 2.5,
        "weights_ms": 4.0,
        "token_ms": 0.02,
        "sequence_ms": 0.02,
        "kv_token_ms": 4e-5,
        "attention_ms": 1e-6,
        "prompts_ms": 1.0,
    }
    linear = {"alpha_ms": 6.0, "beta_ms": 0.05, "gamma_ms": 5.0, "delta_ms": 0.001}
    points = write_rows(tmp_path / "p.jsonl", POINT | {"concurrency": 4})
    for kind, parameters in (("overlap", overlap), ("linear", linear), ("token-work", TOKEN_WORK)):
        entry = {
            "model": "m",
            "accelerator": "g",
            "max_batch": 64,
            "at_tokens": 128,
            "parameters": {"kind": kind} | parameters,
        }
        path = tmp_path / "profile.json"
        path.write_text(json.dumps({"profiles": [entry]}))
        (document,) = documents(stoker("predict", path, points).stdout)
        row = measured_rows()[0]
        assert predict(kind, parameters, [row]).itl_ms[0] > 0
        assert float(str(document["itl_ms"])) > 2


def test_curves_predict_what_their_parameters_do(profile: Path, tmp_path: Path) -> None:
    knots, reads = [1, 64, 256], [0, 4096]
    curve = {
        "kind": "curve",
        "batches": knots,
        "context_tokens": reads,
        "decode_ms": [[6 + n * (0.03 + 5e-5 * c) for c in reads] for n in knots],
        "prefill_tokens": [1, 8192],
        "prefill_context_tokens": reads,
        "prefill_ms": [[6 + 0.03 * x + 5e-5 * r for r in reads] for x in (1, 8192)],
        "shared_ms": 6,
    }
    entry = {"model": "m", "accelerator": "g", "max_batch": 256, "at_tokens": 128}
    path = tmp_path / "curve.json"
    path.write_text(json.dumps({"profiles": [entry | {"parameters": curve}]}))
    points = write_rows(tmp_path / "p.jsonl", POINT | {"rate": 5}, POINT | {"concurrency": 16})
    by_curve = documents(stoker("predict", path, points).stdout)
    by_parameters = documents(stoker("predict", profile, points).stdout)
    for one, other in zip(by_curve, by_parameters, strict=True):
        assert one["ttft_ms"] == pytest.approx(other["ttft_ms"], rel=0.02)
        assert one["itl_ms"] == pytest.approx(other["itl_ms"], rel=0.02)


def test_estimates_and_fleets_serve_as_profiles(tmp_path: Path) -> None:
    path = tmp_path / "estimate.yaml"
    stoker("estimate", "Llama-3.1-8B", "H100", "--format", "yaml", "--output", path)
    points = write_rows(tmp_path / "p.jsonl", POINT | {"rate": 2})
    (document,) = documents(stoker("predict", path, points).stdout)
    assert document["model"] == "Llama-3.1-8B"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("profiles: []\n", "profiles: is missing"),
        ("a: 1\n", "profiles: is missing"),
        ("profiles: [{model: m}]\n", "profiles[0].accelerator: is missing"),
        (PROFILE.replace("token-work", "magic"), "profiles[0].parameters.kind"),
        (PROFILE.replace("alpha_ms: 6", "alpha_ms: -6"), "profiles[0].parameters.alpha_ms: -6"),
        (PROFILE.replace("alpha_ms: 6", "alpha: 6"), "did you mean"),
    ],
)
def test_wrong_profiles(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text(text)
    result = stoker("predict", path, write_rows(tmp_path / "p.jsonl", POINT | {"rate": 2}))
    assert result.exit_code == 2
    assert words in result.stderr


def test_wrong_points(profile: Path, tmp_path: Path) -> None:
    points = write_rows(tmp_path / "p.jsonl", POINT, {"in_tokens": 5, "rate": 1})
    result = stoker("predict", profile, points)
    assert result.exit_code == 2
    assert "line 1: load" in result.stderr
    assert "line 2: out_tokens: is missing" in result.stderr


def test_output_file(profile: Path, tmp_path: Path) -> None:
    points = write_rows(tmp_path / "p.jsonl", POINT | {"rate": 2})
    out = tmp_path / "out.txt"
    assert stoker("predict", profile, points, "--output", out).stdout == ""
    assert json.loads(out.read_text())["rate"] == 2
    stoker("predict", profile, points, "--format", "table", "--output", out)
    assert "Predicted operating points" in out.read_text()
