"""stoker profile list, show, compare, check, import, export; stoker solve with given profiles."""

import json
from pathlib import Path

import pytest
import yaml

from data.profile_document import document_text, profile_document
from stoker.domain.profile import EstimateKind, ModelProfile, Provenance, TokenWorkParameters
from tests.support.cli import stoker
from tests.support.measured import measured_rows, row_of, write_rows
from tests.support.timed_runs import timing_run

FLEET = """\
version: 1
currency: USD
accelerators:
- {name: H100, cost_per_hour: 2.5}
- {name: L40S, cost_per_hour: 0.9}
capacity: {H100: 8, L40S: 8}
profiles:
- {shipped: llama-3.1-8b/h100}
- {shipped: llama-3.1-8b/l40s}
service_classes:
- {name: c, priority: 1, targets: [{model: llama-3.1-8b, itl_ms: 50}]}
servers:
- {name: s, service_class: c, model: llama-3.1-8b,
   load: {arrival_rate_rps: 5, input_tokens: 400, output_tokens: 200}}
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET)
    return path


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """Return a document of a profile with the run behind it."""
    profile = ModelProfile(
        "Llama-3.1-8B",
        "H100",
        1,
        64,
        256,
        TokenWorkParameters(6.0, 0.02, 3e-5),
        Provenance(EstimateKind.MEASURED, "our harness"),
    )
    path = tmp_path / "measured.yaml"
    path.write_text(document_text(profile_document([profile], run=timing_run())))
    return path


def test_shipped_profiles_are_listed_with_their_kind() -> None:
    text = stoker("profile", "list", "--kind", "fitted", columns=200)
    assert text.exit_code == 0
    assert "llama-3.1-8b/h100-sxm-80gb/trtllm" in text.stdout
    assert "estimated" not in text.stdout
    document = json.loads(stoker("profile", "list", "--format", "json").stdout)
    kinds = {item["kind"] for item in document["profiles"]}
    assert {"fitted", "estimated"} <= kinds
    assert all(item["source"] for item in document["profiles"])


def test_a_fit_is_shown_with_its_confidence(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", *map(row_of, measured_rows()))
    out = tmp_path / "profile.yaml"
    quick = ("--model", "token-work", "--cross-validate", "none", "--output", out)
    assert stoker("fit", rows, *quick).exit_code == 0
    shown = stoker("profile", "show", out)
    assert shown.exit_code == 0
    assert "95% interval" in shown.stdout
    assert "token-work fitted to 16 points" in shown.stdout
    document = json.loads(stoker("profile", "show", out, "--format", "json").stdout)
    assert document == yaml.safe_load(out.read_text())
    (fit,) = document["fits"]
    low, high = fit["confidence"]["alpha_ms"]
    assert low <= fit["parameters"]["alpha_ms"] <= high
    assert fit["parameters"]["alpha_ms"] == document["profiles"][0]["parameters"]["alpha_ms"]


def test_a_run_is_shown_with_its_failed_cases_and_pictures(measured: Path, tmp_path: Path) -> None:
    shown = stoker("profile", "show", measured, "--plots", tmp_path / "plots")
    assert shown.exit_code == 0
    for words in (
        "Timed on 1 × NVIDIA H100 80GB HBM3",
        "8 and 16 of 32 layers",
        "10 cases, of which 1 failed",
        "out-of-memory: prompt 0 after 0, batch 512 at 131,072: tried to allocate 16 GiB",
    ):
        assert words in " ".join(shown.stdout.split())
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == [
        "decode.png",
        "prefill.png",
    ]


def test_a_document_without_timings_says_so_in_its_picture(tmp_path: Path) -> None:
    result = stoker("profile", "show", "llama-3.1-8b/h100", "--plots", tmp_path / "plots")
    assert result.exit_code == 0
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["profile.png"]


def test_profiles_are_compared(measured: Path, tmp_path: Path) -> None:
    arguments = ("profile", "compare", measured, "llama-3.1-8b/h100")
    text = stoker(*arguments, "--plots", tmp_path / "plots")
    assert text.exit_code == 0
    assert "nobody knows whether they differ" in " ".join(text.stdout.split())
    assert (tmp_path / "plots" / "profiles-compared.png").stat().st_size > 10_000
    document = json.loads(stoker(*arguments, "--format", "json").stdout)
    assert [item["kind"] for item in document["profiles"]] == ["measured", "fitted"]
    assert document["differs"] is None
    assert {figure["name"] for figure in document["points"][0]["figures"]} == {
        "ttft_ms",
        "itl_ms",
        "throughput_rps",
    }
    same = json.loads(
        stoker(
            "profile", "compare", "llama-3.1-8b/h100", "llama-3.1-8b/h100", "--format", "json"
        ).stdout
    )
    assert same["differs"] is False


def test_check_ends_with_6_where_a_profile_cannot_be_true(measured: Path, tmp_path: Path) -> None:
    good = stoker("profile", "check", measured, "--format", "json")
    assert good.exit_code == 0
    assert json.loads(good.stdout)["sound"] is True
    bad = tmp_path / "bad.yaml"
    bad.write_text(measured.read_text().replace("alpha_ms: 6", "alpha_ms: 0.006"))
    result = stoker("profile", "check", bad, "--format", "json")
    assert result.exit_code == 6
    document = json.loads(result.stdout)
    assert (document["sound"], document["errors"] > 0) == (False, True)
    assert {item["rule"] for item in document["findings"]} >= {"physical"}
    assert "error" in stoker("profile", "check", bad).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "none.yaml"), "none.yaml: there is no such file"),
        (("show", "llama-9/h100"), "no shipped profile is called"),
        (("compare", "fleet.yaml#3", "llama-3.1-8b/h100"), "has no profile #3"),
        (("import", "fleet.yaml"), "is in no form known here"),
        (("export", "llama-3.1-8b/h100", "--to", "inferno"), "cannot hold"),
        (
            ("export", "llama-3.1-8b/l40s", "--to", "aibrix", "--input-tokens", "9,8"),
            "--input-tokens",
        ),
    ],
)
def test_bad_input(
    arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fleet.yaml").write_text(
        "profiles:\n- {model: m, accelerator: a, max_batch: 1, at_tokens: 1, "
        "parameters: {kind: token-work, alpha_ms: 1, beta_ms: 1, gamma_ms: 0}}\n"
    )
    monkeypatch.chdir(tmp_path)
    result = stoker("profile", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_grids_go_out_and_come_back(tmp_path: Path) -> None:
    grid, profile = tmp_path / "grid.json", tmp_path / "profile.yaml"
    lengths = ("--input-tokens", "128,512", "--output-tokens", "32,128,512")
    name = "llama-3.1-8b/l40s"
    assert stoker("profile", "export", name, "--to", "aibrix", *lengths, "-o", grid).exit_code == 0
    bare = stoker("profile", "import", grid)
    assert bare.exit_code == 2
    assert "--served-model" in bare.stderr
    asked = ("--served-model", "llama", "--gpu", "L40S", "-o", profile)
    assert stoker("profile", "import", grid, *asked).exit_code == 0
    (entry,) = yaml.safe_load(profile.read_text())["profiles"]
    assert (entry["model"], entry["accelerator"]) == ("llama", "L40S")
    shipped = json.loads(stoker("profile", "show", name, "--format", "json").stdout)
    alpha = shipped["profiles"][0]["parameters"]["alpha_ms"]
    assert entry["parameters"]["alpha_ms"] == pytest.approx(alpha, rel=0.03)
    assert stoker("profile", "check", profile).exit_code == 0
    melange = tmp_path / "melange.json"
    stoker("profile", "export", name, "--to", "melange", *lengths, "-o", melange)
    again = stoker("profile", "import", melange, *lengths, "--served-model", "llama")
    assert again.exit_code == 0
    assert "kind: fitted" in again.stdout


def test_model_data_go_out_and_come_back(tmp_path: Path) -> None:
    data = tmp_path / "model-data.json"
    stoker("profile", "export", "llama-3.1-8b/l40s", "--to", "inferno", "-o", data)
    result = stoker("profile", "import", data)
    assert result.exit_code == 0
    (entry,) = yaml.safe_load(result.stdout)["profiles"]
    (model,) = json.loads(data.read_text())["models"]
    assert entry["parameters"]["alpha_ms"] == model["perfParms"]["alpha"]


def plan(*arguments: object) -> dict[str, object]:
    result = stoker("solve", *arguments, "--format", "json")
    assert result.exit_code in (0, 3), result.stderr
    document: dict[str, object] = json.loads(result.stdout)
    return document


def allocation(document: dict[str, object]) -> dict[str, object]:
    allocations = document["allocations"]
    assert isinstance(allocations, dict)
    found: dict[str, object] = allocations["s"]
    return found


def test_plans_rest_on_the_kind_that_is_demanded(fleet: Path) -> None:
    assert allocation(plan(fleet))["estimate"] == "estimated"
    fitted = allocation(plan(fleet, "--minimum-kind", "fitted"))
    assert (fitted["accelerator"], fitted["estimate"]) == ("H100", "fitted")
    nothing = plan(fleet, "--minimum-kind", "measured")
    unplaced = nothing["unplaced"]
    assert isinstance(unplaced, dict)
    assert unplaced["s"]["rejections"] == {"H100": "kind_too_weak", "L40S": "kind_too_weak"}
    assert "of a kind that the plan may not rest on" in unplaced["s"]["detail"]
    assert "whose profile is fitted" in unplaced["s"]["remedy"]


def test_a_fleet_demands_a_kind_itself(fleet: Path) -> None:
    fleet.write_text(f"{FLEET}rules: {{minimum_kind: fitted}}\n")
    assert allocation(plan(fleet))["estimate"] == "fitted"
    kept = yaml.safe_load(stoker("convert", fleet, "--to", "stoker").stdout)
    assert kept["rules"] == {"minimum_kind": "fitted"}


def test_a_fleet_is_planned_with_given_profiles(fleet: Path, measured: Path) -> None:
    found = plan(fleet, "--profiles", measured, "--minimum-kind", "measured")
    assert allocation(found)["estimate"] == "measured"
    assert allocation(found)["accelerator"] == "H100"
    table = stoker("solve", fleet, "--profiles", measured, "--minimum-kind", "measured")
    assert "measured" in table.stdout
    other = stoker("solve", fleet, "--profiles", "llama-3.1-70b/h200")
    assert "is not used: no server of the fleet serves that model" in " ".join(other.stderr.split())


def test_a_mix_tells_the_kind_of_each_part_and_the_weakest_of_the_whole(fleet: Path) -> None:
    busy = FLEET.replace("arrival_rate_rps: 5", "arrival_rate_rps: 55")
    fleet.write_text(busy.replace("{H100: 8, L40S: 8}", "{H100: 1, L40S: 2}"))
    found = allocation(plan(fleet, "--heterogeneous"))
    parts = found["mix"]
    assert isinstance(parts, list)
    kinds = {part["accelerator"]: part["estimate"] for part in parts}
    assert kinds == {"H100": "fitted", "L40S": "estimated"}
    assert found["estimate"] == "estimated"
    rows = stoker("solve", fleet, "--heterogeneous", "--format", "csv").stdout.splitlines()
    column = rows[0].split(",").index("estimate")
    assert sorted(row.split(",")[column] for row in rows[1:]) == ["estimated", "fitted"]
