"""`stoker solve` under limits and objectives from the command line."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.fleets import read_fleet
from data.stoker_format import fleet_to_document
from data.yaml_writer import to_yaml
from optimizer.planner import plan_fleet
from stoker.cli.limit_flags import LimitFlags, Survived, flags_of_notes, objectives_of
from stoker.domain.errors import InvalidInputError
from stoker.domain.fleet import Fleet
from stoker.domain.limits import (
    Combination,
    Headroom,
    Limits,
    Objective,
    ObjectiveName,
    Objectives,
    Survival,
)
from stoker.domain.settings import Analysis
from tests.support.cli import stoker

REFERENCE = ("--analysis", "reference")


def solved(*arguments: object) -> dict[str, Any]:
    result = stoker("solve", *arguments, *REFERENCE, "--format", "json")
    assert result.exit_code in (0, 3), result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.mark.parametrize(
    ("flags", "limits", "objectives"),
    [
        (("--budget", "150"), Limits(budget_per_hour=150.0), Objectives()),
        (("--power", "120000"), Limits(power_w=120_000.0), Objectives()),
        (
            ("--survive", "replica", "--surge", "1.2"),
            Limits(headroom=Headroom(1.2, Survival.REPLICA)),
            Objectives(),
        ),
        (("--max-changes", "4"), Limits(max_changes=4), Objectives()),
        (
            ("--objective", "energy,cost"),
            Limits(),
            Objectives((Objective(ObjectiveName.ENERGY), Objective(ObjectiveName.COST))),
        ),
        (
            ("--objective", "cost=1,energy=0.005"),
            Limits(),
            Objectives(
                (Objective(ObjectiveName.COST, 1.0), Objective(ObjectiveName.ENERGY, 0.005)),
                Combination.WEIGHTED,
            ),
        ),
    ],
)
def test_a_built_in_fleet_is_planned_as_if_its_document_said_so(
    flags: tuple[str, ...], limits: Limits, objectives: Objectives
) -> None:
    found = solved("small", *flags)
    assert any(note.startswith("asked on the command line: --") for note in found["notes"])
    fleet = replace(read_fleet("small"), limits=limits, objectives=objectives)
    plan = plan_fleet(fleet, replace(fleet.settings, analysis=Analysis.REFERENCE))
    assert found["cost_per_hour"] == pytest.approx(plan.cost_per_hour)
    assert found["objective"] == pytest.approx(plan.objective)
    replicas = {item.server: item.replicas for item in plan.allocations}
    assert {name: item["replicas"] for name, item in found["allocations"].items()} == replicas


def test_flags_win_over_the_document_and_leave_the_rest(tmp_path: Path) -> None:
    fleet = replace(
        read_fleet("small"),
        limits=Limits(budget_per_hour=80.0, max_replicas=500, headroom=Headroom(1.1)),
    )
    path = tmp_path / "fleet.yaml"
    path.write_text(to_yaml(fleet_to_document(fleet)), encoding="utf-8")
    found = solved(path, "--budget", "150")
    limits = found["limits"]
    assert limits["budget_per_hour"]["limit"] == 150.0
    assert limits["max_replicas"]["limit"] == 500
    assert found["notes"][0] == "asked on the command line: --budget 150"
    own = solved(path)
    assert own["limits"]["budget_per_hour"]["limit"] == 80.0
    assert not any("command line" in note for note in own["notes"])


def test_a_plan_is_explained_under_the_flags_that_it_was_made_with(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    stoker(
        *("solve", "small", "--budget", "150", "--surge", "1.1", *REFERENCE),
        *("--format", "json", "--output", path),
    )
    result = stoker(
        *("explain", path, "--fleet", "small", "--server", "Premium-mixtral_8_7b"),
        *("--format", "json"),
    )
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert "budget_per_hour" in {price["of"] for price in document["shadow_prices"]}
    assert document["allocations"]["Premium-mixtral_8_7b"]["count_limit"] == "surge"


def test_the_table_tells_them() -> None:
    result = stoker("solve", "small", "--budget", "150", *REFERENCE)
    assert "asked on the command line: --budget 150" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--unlimited", "--budget", "3"), "--budget: is beyond plans without a limit of cards"),
        (("--solver", "greedy", "--power", "3"), "--power: is beyond plans by the greedy method"),
        (("--heterogeneous", "--surge", "2"), "--surge: is beyond plans that mix accelerators"),
        (("--objective", "cost,speed"), '"speed" is no objective (allowed: cost, energy,'),
        (("--objective", "cost,cost"), '"cost" is named twice'),
        (("--objective", "cost=1,energy"), '"energy" has no weight'),
        (("--objective", "cost=0"), 'the weight of cost, "0", is no number above 0'),
        (("--objective", "cost=nan"), "is no number above 0"),
        (("--objective", "energy=1e308"), 'of energy, "1e308", is out of range (allowed: 1e-12'),
        (("--objective", "energy=1e-13"), 'of energy, "1e-13", is out of range'),
        (("--objective", ""), '"" is no objective'),
        (("--surge", "0.5"), "0.5 is not a number from 1 to 1000"),
        (("--surge", "nan"), "is not a number from 1 to 1000"),
        (("--budget", "-1"), "-1 is not a finite number of 0 or more"),
        (("--max-changes", "-1"), "should be greater than or equal to 0"),
        (("--survive", "region"), "region"),
    ],
)
def test_mistakes_are_named(arguments: tuple[str, ...], words: str) -> None:
    result = stoker("solve", "small", *arguments)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_none_lifts_what_the_fleet_asks_to_survive() -> None:
    fleet = replace(read_fleet("small"), limits=Limits(headroom=Headroom(1.2, Survival.ZONE)))
    lifted = LimitFlags(survive=Survived.NONE).over(fleet)
    assert lifted.limits == Limits(headroom=Headroom(1.2, None))


amounts = st.floats(0.0, 1e9, allow_nan=False)


@given(
    st.builds(
        LimitFlags,
        budget=st.none() | amounts,
        power=st.none() | amounts,
        survive=st.none() | st.sampled_from(Survived),
        surge=st.none() | st.floats(1.0, 1000.0),
        max_changes=st.none() | st.integers(0, 10**6),
        objective=st.none() | st.sampled_from(["energy,cost", "cost=1,energy=0.005", "fairness"]),
    )
)
def test_a_note_tells_exactly_what_was_given(flags: LimitFlags) -> None:
    note = flags.note()
    assert flags_of_notes(["another note", *([note] if note else [])]) == flags
    fleet: Fleet = read_fleet("small")
    again = flags_of_notes([note]).over(fleet)
    assert again == flags.over(fleet)


@pytest.mark.parametrize(
    "told",
    ["--budget abc", "--budget 'abc", "--survive region", "--max-changes inf", "--surge nan"],
)
def test_notes_that_somebody_changed_are_refused(told: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^notes: .*cannot be read"):
        flags_of_notes([f"asked on the command line: {told}"])


@pytest.mark.parametrize("weight", ["1e-12", "1e12"])
def test_weights_are_planned_with_up_to_their_bounds(weight: str) -> None:
    assert solved("small", "--objective", f"energy={weight}")["objective"] > 0


def test_spaces_around_names_do_no_harm() -> None:
    assert objectives_of("energy, cost") == objectives_of("energy,cost")
    with pytest.raises(InvalidInputError, match="no objective"):
        objectives_of("energy,,cost")
