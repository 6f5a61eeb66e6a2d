import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from data.fleets import read_fleet
from optimizer import planner
from optimizer.preparation import Prepared
from stoker.cli.settings import SolveFlags
from stoker.domain.fleet import Fleet
from stoker.domain.plan import Plan, PlanStatus
from stoker.domain.settings import OptimizerSettings, SaturationPolicy, SolverKind
from tests.support.cli import stoker
from tests.support.plans import mixed_plan


def solved(*arguments: object) -> tuple[dict[str, Any], Result]:
    result = stoker("solve", *arguments, "--format", "json")
    return json.loads(result.stdout), result


def test_the_large_fleet_is_planned_in_full() -> None:
    document, result = solved("large")
    assert result.exit_code == 0
    assert document["status"] == "optimal"
    assert len(document["allocations"]) == 27
    assert document["unplaced"] == {}
    for allocation in document["allocations"].values():
        assert allocation["replicas"] >= 1


def test_the_json_holds_the_fields_promised() -> None:
    document, result = solved("small", "--capacity-scale", "0.2")
    assert result.exit_code == 3
    assert {
        "status",
        "objective",
        "bound",
        "gap",
        "cost_per_hour",
        "currency",
        "allocations",
        "unplaced",
        "usage",
        "timings_ms",
    } <= set(document)
    assert document["currency"] == "USD"
    fields = {
        "accelerator",
        "replicas",
        "max_batch",
        "cost_per_hour",
        "ttft_ms",
        "itl_ms",
        "utilization",
        "blocking",
        "max_rate_rps",
    }
    assert document["allocations"]
    assert all(fields <= set(a) for a in document["allocations"].values())
    assert document["unplaced"]
    assert all({"reason", "detail", "remedy"} <= set(u) for u in document["unplaced"].values())
    assert all({"used", "available"} <= set(u) for u in document["usage"].values())
    assert all(value >= 0 for value in document["timings_ms"].values())


def test_the_same_input_gives_the_same_output() -> None:
    first, _ = solved("small")
    second, _ = solved("small")
    del first["timings_ms"], second["timings_ms"]
    assert json.dumps(first) == json.dumps(second)


def test_a_mix_is_listed() -> None:
    document, result = solved("small", "--heterogeneous")
    assert result.exit_code == 0
    mixes = [a["mix"] for a in document["allocations"].values() if a.get("mix")]
    assert mixes
    assert all({"accelerator", "replicas"} <= set(part) for mix in mixes for part in mix)


def test_the_inferno_form() -> None:
    result = stoker("solve", "small", "--format", "inferno")
    document = json.loads(result.stdout)
    assert set(document["allocations"]) == {server.name for server in read_fleet("small").servers}
    assert {"accelerator", "numReplicas", "maxBatch", "cost", "itlAverage", "ttftAverage"} <= set(
        next(iter(document["allocations"].values()))
    )


def test_mixes_in_the_inferno_form_are_refused_before_anything_is_solved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def prepare(*_: object, **__: object) -> None:
        raise AssertionError("predicted")

    monkeypatch.setattr("optimizer.preparation.prepare", prepare)
    result = stoker("solve", "small", "--heterogeneous", "--format", "inferno")
    assert result.exit_code == 2
    assert "one accelerator a server" in result.stderr
    assert "--no-heterogeneous" in result.stderr


def test_the_inferno_form_takes_flags_that_mix_nothing() -> None:
    flags = ["--heterogeneous", "--solver", "greedy", "--format", "inferno"]
    assert stoker("solve", "small", *flags).exit_code == 0


def test_the_csv_form() -> None:
    result = stoker("solve", "small", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(rows) == len(read_fleet("small").servers)
    assert rows[0]["server"]
    assert float(rows[0]["cost_per_hour"]) > 0


def test_the_table_of_a_pipe_is_wide_and_plain() -> None:
    result = stoker("solve", "large", columns=None)
    assert "\x1b" not in result.stdout
    assert "…" not in result.stdout
    for server in read_fleet("large").servers:
        (line,) = re.findall(rf"^ *{re.escape(server.name)} .*$", result.stdout, re.MULTILINE)
        assert line.endswith("full")
    assert "27 of 27 servers" in result.stdout


def test_the_table_of_a_pipe_is_as_wide_as_columns_says(tmp_path: Path) -> None:
    result = stoker("solve", "small", columns=80)
    assert max(map(len, result.stdout.splitlines())) <= 80
    for server in read_fleet("small").servers:
        assert re.search(rf"^{re.escape(server.name)} ", result.stdout, re.MULTILINE)
        assert f"· {server.model} " in result.stdout
    stoker("solve", "small", "--output", tmp_path / "plan.txt", columns=80)
    assert max(map(len, (tmp_path / "plan.txt").read_text().splitlines())) > 80


def test_nothing_is_placed_without_cards() -> None:
    document, result = solved("small", "--capacity-scale", "0")
    assert result.exit_code == 3
    assert len(document["unplaced"]) == len(read_fleet("small").servers)


def test_output_goes_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    result = stoker("solve", "small", "--format", "json", "--output", path)
    assert (result.exit_code, result.stdout) == (0, "")
    assert json.loads(path.read_text())["status"] == "optimal"
    stoker("solve", "small", "--output", path)
    assert "Plan of small" in path.read_text()


def test_candidates_of_others_are_planned_from(golden_dir: Path) -> None:
    document, result = solved(
        golden_dir / "systems" / "light_small_cap100.json",
        "--candidates",
        golden_dir / "candidates_tokenwork_small.json",
        "--solver",
        "milp",
    )
    assert result.exit_code == 0
    assert document["cost_per_hour"] == pytest.approx(225.64)


class Recorder:
    """Stands in for the planner: keeps what it was asked, answers with a plan of its own."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.settings = OptimizerSettings()
        self.fleet: Fleet | None = None

    def __call__(self, prepared: Prepared) -> Plan:
        self.fleet, self.settings = prepared.fleet, prepared.settings
        return self.plan


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder(mixed_plan(unplaced=()))
    monkeypatch.setattr(planner, "plan_prepared", recorder)
    return recorder


@pytest.fixture
def unlimited_fleet(tmp_path: Path) -> Path:
    document = json.loads(stoker("convert", "small", "--to", "stoker", "--format", "json").stdout)
    document["optimizer"] = {
        "unlimited": True,
        "solver": "greedy",
        "saturation_policy": "RoundRobin",
        "delayed_best_effort": True,
    }
    path = tmp_path / "fleet.json"
    path.write_text(json.dumps(document))
    return path


def test_the_fleets_own_settings_hold_without_flags(
    recorder: Recorder, unlimited_fleet: Path
) -> None:
    stoker("solve", unlimited_fleet)
    own = read_fleet(unlimited_fleet).settings
    assert recorder.settings.unlimited is True
    assert recorder.settings == replace(own, analysis=recorder.settings.analysis)


def test_flags_win_over_the_fleets_own_settings(recorder: Recorder, unlimited_fleet: Path) -> None:
    arguments = """--no-unlimited --solver MILP --saturation-policy priorityexhaustive
        --no-delayed-best-effort --heterogeneous --backend cbc --time-limit 7 --gap 0.01"""
    stoker("solve", unlimited_fleet, *arguments.split())
    settings = recorder.settings
    assert settings.unlimited is False
    assert settings.solver is SolverKind.MILP
    assert settings.saturation_policy is SaturationPolicy.PRIORITY_EXHAUSTIVE
    assert settings.delayed_best_effort is False
    assert settings.heterogeneous is True
    assert (settings.backend, settings.time_limit_s, settings.relative_gap) == ("cbc", 7.0, 0.01)


def test_with_neither_the_solver_is_milp(recorder: Recorder, tmp_path: Path) -> None:
    document = json.loads(stoker("convert", "small", "--to", "stoker", "--format", "json").stdout)
    document.pop("optimizer", None)
    path = tmp_path / "fleet.json"
    path.write_text(json.dumps(document))
    stoker("solve", path)
    assert recorder.settings.solver is SolverKind.MILP


def test_flags_cover_the_settings_of_a_solve() -> None:
    settings = set(OptimizerSettings.__dataclass_fields__)
    assert set(SolveFlags.__dataclass_fields__) == settings - {
        "exact_servers",
        "class_weight_ratio",
    }


def test_flags_without_effect_are_remarked_on_standard_error(
    recorder: Recorder, unlimited_fleet: Path
) -> None:
    result = stoker("solve", unlimited_fleet, "--solver", "milp", "--capacity-scale", "0.5")
    assert "note: --solver has no effect" in result.stderr
    assert "note: --capacity-scale has no effect on an unlimited plan" in result.stderr


def test_capacity_is_scaled_before_planning(recorder: Recorder) -> None:
    stoker("solve", "small", "--capacity-scale", "0.1")
    whole = {c.card_type: c.count for c in read_fleet("small").capacity}
    assert recorder.fleet is not None
    scaled = {c.card_type: c.count for c in recorder.fleet.capacity}
    assert scaled == {card_type: count // 10 for card_type, count in whole.items()}


def test_a_time_limit_without_a_plan_ends_with_code_4(recorder: Recorder) -> None:
    recorder.plan = mixed_plan(status=PlanStatus.TIME_LIMIT, allocations=())
    result = stoker("solve", "small")
    assert result.exit_code == 4
    assert "before any plan was found" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-fleet"], "no-such-fleet"),
        (["small", "--backend", "no-such-solver"], "no-such-solver"),
        (["small", "--analysis", "fuller"], "--analysis"),
        (["small", "--solver", "magic"], "--solver"),
        (["small", "--saturation-policy", "Some"], "--saturation-policy"),
        (["small", "--capacity-scale", "-1"], "--capacity-scale"),
        (["small", "--capacity-scale", "nan"], "--capacity-scale"),
        (["small", "--time-limit", "0"], "--time-limit"),
        (["small", "--gap", "inf"], "--gap"),
        (["small", "--candidates", "missing.json"], "missing.json"),
        (["small", "--output", "/"], "is a directory"),
        (["small", "--output", "/no/such/directory/plan"], "is not an existing directory"),
        (["small", "--plots", "/dev/null/plots"], "is a file, not a directory"),
        (["small", "--no-such-option"], "No such option"),
    ],
)
def test_bad_input_ends_with_code_2_and_a_message(arguments: list[str], words: str) -> None:
    result = stoker("solve", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_bad_output_is_refused_before_planning(recorder: Recorder, tmp_path: Path) -> None:
    assert stoker("solve", "small", "--output", tmp_path).exit_code == 2
    assert recorder.fleet is None


def test_plots_are_drawn_and_named(tmp_path: Path) -> None:
    result = stoker("solve", "small", "--plots", tmp_path / "plots")
    drawn = sorted((tmp_path / "plots").iterdir())
    assert drawn
    assert all(f"note: wrote {path}" in result.stderr for path in drawn)
