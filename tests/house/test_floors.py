"""The floors: one picture, one contract, the same in both."""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.imports import imported_names

ROOT = Path(__file__).resolve().parents[2]
LINTER: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"][
    "importlinter"
]
CONTRACTS: dict[str, dict[str, Any]] = {each["id"]: each for each in LINTER["contracts"]}
ROOT_PACKAGES = frozenset(LINTER["root_packages"])
OUTSIDE = frozenset({"demos", "tests", "benchmarks"})
TOOLS = frozenset({"tools"})

# The rooms of third parties: every package but these is forbidden to import them.
ROOMS: dict[str, frozenset[str]] = {
    "outside": frozenset(),
    "solver-library": frozenset(),
    "http": frozenset({"api", "emulator"}),
    "metrics": frozenset({"api", "controller", "emulator"}),
    "cluster": frozenset({"collector", "actuator"}),
    "observation": frozenset({"collector"}),
    "torch": frozenset(),
    "schemas": frozenset({"data", "api"}),
    "terminal": frozenset(),
    "plots": frozenset(),
    "compiler": frozenset({"simulator"}),
    "cluster-of-workers": frozenset({"studies"}),
    "load": frozenset(),
    "forecasts": frozenset({"controller"}),
}

# All that the two lowest floors may import besides the standard library and themselves.
ALLOWED: dict[str, frozenset[str]] = {
    "stoker/domain": frozenset({"stoker.domain"}),
    "queueing": frozenset({"queueing", "stoker.domain", "numpy", "scipy"}),
    "data": frozenset(
        {"data", "stoker.domain", "pydantic", "pydantic_core", "annotated_types", "yaml"}
    ),
}


def contract_floors() -> list[set[str]]:
    """Floors of the contract from the top, packages that are not built yet left out."""
    floors = [
        {name for name in layer.split(" | ") if not name.startswith("(")}
        for layer in CONTRACTS["floors"]["layers"]
    ]
    return [floor for floor in floors if floor]


def drawn_floors() -> list[set[str]]:
    """Floors of the picture in the architecture page, from the top."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    lines = re.findall(r"^\d  (.+?)(?:  .*)?$", page, flags=re.MULTILINE)
    return [set(line.strip().split(" | ")) for line in lines]


def code_folders() -> set[str]:
    """Folders of the repository's root that hold Python modules."""
    return {
        folder.name
        for folder in ROOT.iterdir()
        if folder.is_dir()
        and not folder.name.startswith(".")
        and not (folder / "pyvenv.cfg").exists()
        and folder.name not in {"build", "dist"}
        and any(folder.rglob("*.py"))
    }


def within(name: str, packages: frozenset[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def test_picture_and_contract_show_the_same_floors() -> None:
    assert len(drawn_floors()) == 5
    assert drawn_floors() == contract_floors()


def test_every_package_is_under_the_contract() -> None:
    assert code_folders() - OUTSIDE - TOOLS == ROOT_PACKAGES
    on_floors = {name.split(".")[0] for floor in contract_floors() for name in floor}
    assert on_floors == ROOT_PACKAGES


@pytest.mark.parametrize("contract", sorted(ROOMS))
def test_rooms_of_third_parties_leave_no_package_out(contract: str) -> None:
    sources = {name.split(".")[0] for name in CONTRACTS[contract]["source_modules"]}
    assert sources == ROOT_PACKAGES - ROOMS[contract]


def test_every_room_is_described_here() -> None:
    assert {"floors", "stoker", "domain", "queueing", "fitting", "simulation", *ROOMS} == set(
        CONTRACTS
    )


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_low_floors_import_nothing_else(package: str) -> None:
    modules = sorted((ROOT / package).rglob("*.py"))
    assert modules
    strange = {
        f"{module.relative_to(ROOT)}: {name}"
        for module in modules
        for name in imported_names(module)
        if name.split(".")[0] not in sys.stdlib_module_names and not within(name, ALLOWED[package])
    }
    assert strange == set()
