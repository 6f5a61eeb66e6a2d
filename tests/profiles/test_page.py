"""docs/profiles.md says what documents hold, what ships, and what checks look for."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from data.decode import decode_yaml
from data.fleets import parse_fleet
from data.profile_document.schema import (
    FitEntry,
    MeasuredOnEntry,
    ProfileDocumentEntry,
    TimedCurveEntry,
    TimedDeviceEntry,
    TimedMemoryEntry,
    TimedModelEntry,
    TimingEntry,
)
from data.profiles import shipped_profiles
from optimizer.planner import plan_fleet
from stoker.domain.profile import EstimateKind
from stoker.domain.reasons import Rejection
from tests.support.cli import stoker

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "profiles.md").read_text(encoding="utf-8")
FLEET = re.search(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize(
    "model",
    [
        ProfileDocumentEntry,
        FitEntry,
        MeasuredOnEntry,
        TimedModelEntry,
        TimedDeviceEntry,
        TimedMemoryEntry,
        TimingEntry,
        TimedCurveEntry,
    ],
)
def test_every_key_of_a_document_is_named(model: type[BaseModel]) -> None:
    missing = [name for name in model.model_fields if not re.search(rf"`{name}\b", PAGE)]
    assert not missing


def test_every_kind_and_rule_is_named() -> None:
    for word in (*EstimateKind, "monotone", "physical", "identifiable", "units", "kind"):
        assert f"| `{word}` |" in PAGE


def test_the_table_of_fits_is_that_of_the_files() -> None:
    rows = [
        f"| `{item.name}` | {item.profile.accelerators_per_replica} | {item.fit.points} | "
        f"{item.fit.errors['ttft']:.1%}, {item.fit.errors['itl']:.1%} | "
        f"{item.fit.left_out_errors['ttft']:.1%}, {item.fit.left_out_errors['itl']:.1%} |"
        for item in shipped_profiles()
        if item.fit is not None and item.profile.provenance.kind is EstimateKind.FITTED
    ]
    told = [line for line in PAGE.splitlines() if re.match(r"\| `[^`]+/[^`]+` \|", line)]
    assert told == rows
    estimated = [
        item
        for item in shipped_profiles()
        if item.profile.provenance.kind is EstimateKind.ESTIMATED
    ]
    assert f"{len(estimated)} profiles are `estimated`" in PAGE


def test_the_example_is_planned_as_told(tmp_path: Path) -> None:
    assert FLEET is not None
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(FLEET[1])
    (allocation,) = plan_fleet(parse_fleet(decode_yaml(FLEET[1]).value)).allocations
    assert allocation.estimate is not None
    refused = stoker("solve", fleet, "--minimum-kind", "measured", columns=200)
    assert refused.exit_code == 3
    block = PAGE[PAGE.index("chat\n  no_candidate") :].split("```")[0]
    for line in block.strip().splitlines():
        assert line.strip() in refused.stdout
    assert Rejection.KIND_TOO_WEAK.value in block
