"""A written plan is explained as it was planned, whatever the command line gave."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.fleets import read_fleet
from stoker.cli.given_profiles import Instead
from stoker.cli.settings import SolveFlags, chosen_settings
from stoker.cli.settings_note import AskedSettings, asked_settings, note_of
from stoker.domain.errors import InvalidInputError
from stoker.domain.profile import EstimateKind
from stoker.domain.settings import OptimizerSettings, SaturationPolicy, SolverKind
from tests.support.cli import stoker

Json = dict[str, Any]
REFERENCE = ("--analysis", "reference")


def both(tmp_path: Path, fleet: str | Path, *flags: str) -> tuple[Json, Json]:
    """Return the explanation of a plan as it is made, and that of the plan as it was written."""
    plan, why = tmp_path / "plan.json", tmp_path / "why.json"
    asked = ("solve", fleet, *REFERENCE, *flags, "--format", "json", "--output")
    stoker(*asked, plan)
    stoker(*asked, why, "--explain")
    result = stoker("explain", plan, "--fleet", fleet, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(why.read_text())["explanation"], json.loads(result.stdout)


@pytest.mark.parametrize(
    "flags",
    [
        ("--capacity-scale", "0.5", "--saturation-policy", "None"),
        ("--capacity-scale", "0.5", "--budget", "250"),
        ("--heterogeneous", "--gap", "0.01"),
        ("--solver", "greedy", "--capacity-scale", "0.4", "--delayed-best-effort"),
    ],
    ids=" ".join,
)
def test_what_is_planned_again_is_planned_alike(tmp_path: Path, flags: tuple[str, ...]) -> None:
    made, written = both(tmp_path, "small", *flags)
    assert made["shadow_prices"] == written["shadow_prices"]
    assert made["unplaced"] == written["unplaced"]
    for name, item in made["allocations"].items():
        other = written["allocations"][name]
        assert item["options"] == other["options"]
        assert [x["plan"]["served_change"] for x in item["forbidden"]] == [
            x["plan"]["served_change"] for x in other["forbidden"]
        ]
        assert [x["plan"]["cost_change"] for x in item["forbidden"]] == pytest.approx(
            [x["plan"]["cost_change"] for x in other["forbidden"]]
        )


def test_predictions_of_somebody_else_are_read_again(tmp_path: Path, golden_dir: Path) -> None:
    table = tmp_path / "table.json"
    table.write_text((golden_dir / "candidates_tokenwork_small.json").read_text())
    made, written = both(tmp_path, "small", "--candidates", str(table))
    assert made == written
    table.unlink()
    result = stoker("explain", tmp_path / "plan.json", "--fleet", "small")
    assert result.exit_code == 2
    assert "table.json" in result.stderr


def test_nothing_is_told_that_the_fleet_or_the_plan_says_itself() -> None:
    own = read_fleet("small").settings
    same = SolveFlags(saturation_policy=own.saturation_policy, heterogeneous=False)
    assert note_of(same, Instead(), chosen_settings(same, own), own) == ""
    idle = SolveFlags(heterogeneous=True, solver=SolverKind.GREEDY)
    assert note_of(idle, Instead(), chosen_settings(idle, own), own) == ""
    assert asked_settings(["planned with care", "another note"]) == AskedSettings()


@given(
    flags=st.builds(
        SolveFlags,
        heterogeneous=st.none() | st.booleans(),
        placement=st.none() | st.booleans(),
        delayed_best_effort=st.none() | st.booleans(),
        saturation_policy=st.none() | st.sampled_from(SaturationPolicy),
        relative_gap=st.none() | st.floats(0.0, 1.0),
    ),
    instead=st.builds(
        Instead,
        profiles=st.lists(st.sampled_from(["a b.yaml", "m/h/e", "it's"]), max_size=2).map(tuple),
        minimum_kind=st.none() | st.sampled_from(EstimateKind),
    )
    | st.builds(Instead, candidates=st.just(Path("some table.json"))),
)
def test_a_note_tells_exactly_what_was_given(flags: SolveFlags, instead: Instead) -> None:
    own = OptimizerSettings(solver=SolverKind.MILP)
    chosen = chosen_settings(flags, own)
    again = asked_settings([note_of(flags, instead, chosen, own)])
    assert again.instead == instead
    fleet = replace(read_fleet("small"), settings=own)
    expected = replace(chosen, analysis=own.analysis)
    assert again.over(fleet).settings == expected


@pytest.mark.parametrize("told", ["--budget 3", "--gap x", "--saturation-policy Some", "--no-gap"])
def test_notes_that_somebody_changed_are_refused(told: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^notes: .*cannot be read"):
        asked_settings([f"planned with {told}"])
