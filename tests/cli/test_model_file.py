"""`stoker solve --write-model`: another solver finds the same plan in the file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import highspy
import pytest

from data.fleets import read_fleet
from data.stoker_format import fleet_to_document
from data.yaml_writer import to_yaml
from optimizer import planner
from optimizer.preparation import Prepared
from stoker.domain.plan import Plan
from tests.support.cli import stoker


@pytest.mark.parametrize("ending", ["lp", "mps"])
@pytest.mark.parametrize("scale", ["1", "0.4"])
def test_another_solver_finds_the_same_value(ending: str, scale: str, tmp_path: Path) -> None:
    path, plan = tmp_path / f"model.{ending}", tmp_path / "plan.json"
    asked = ["--write-model", str(path), "--capacity-scale", scale]
    stoker("solve", "small", *asked, "--format", "json", "--output", str(plan))
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.setOptionValue("output_flag", False)
    assert solver.readModel(str(path)) == highspy.HighsStatus.kOk
    solver.run()
    told = json.loads(plan.read_text())
    assert solver.getObjectiveValue() == pytest.approx(told["objective"], rel=1e-6)


def test_names_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "model.lp"
    stoker("solve", "small", "--write-model", str(path))
    text = path.read_text()
    assert "take_Premium_llama_13b_on_3_G2_" in text
    assert "cards_" in text


@pytest.mark.parametrize("ending", ["lp", "mps"])
def test_long_names_are_cut_and_stay_apart(ending: str, tmp_path: Path) -> None:
    fleet = read_fleet("small")
    servers = tuple(
        replace(server, name=f"{'long-' * 49}{at}") for at, server in enumerate(fleet.servers)
    )
    document, path = tmp_path / "fleet.yaml", tmp_path / f"model.{ending}"
    document.write_text(to_yaml(fleet_to_document(replace(fleet, servers=servers))))
    plan = tmp_path / "plan.json"
    asked = ("--write-model", path, "--format", "json", "--output", plan)
    assert stoker("solve", document, *asked).exit_code == 0
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.setOptionValue("output_flag", False)
    assert solver.readModel(str(path)) == highspy.HighsStatus.kOk
    solver.run()
    told = json.loads(plan.read_text())
    assert solver.getObjectiveValue() == pytest.approx(told["objective"], rel=1e-6)


def test_a_name_without_a_format_is_refused(tmp_path: Path) -> None:
    result = stoker("solve", "small", "--write-model", str(tmp_path / "model.txt"))
    assert result.exit_code == 2
    assert "--write-model: 'model.txt' names no format (allowed: .lp or .mps)" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--unlimited"], "an unlimited plan"),
        (["--solver", "greedy"], "the greedy method"),
        (["--heterogeneous"], "servers that mix accelerators"),
        (["--budget", "1000"], "a fleet with pools, limits or objectives"),
    ],
)
def test_plans_of_other_models_are_refused_before_planning(
    flags: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: Prepared) -> Plan:
        raise AssertionError("refused only after planning")

    monkeypatch.setattr(planner, "plan_prepared", never)
    path = tmp_path / "model.lp"
    result = stoker("solve", "small", *flags, "--write-model", str(path))
    assert result.exit_code == 2
    assert f"the model of {told} cannot be written" in result.stderr
    assert not path.exists()
