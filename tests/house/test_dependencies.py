"""What the product imports and what it says that it needs are the same."""

import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.imports import imported_names, names_imported_at_the_top

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
DECLARED = frozenset(
    canonicalize_name(Requirement(line).name) for line in PROJECT["project"]["dependencies"]
)
# What an extra brings is imported where it is used, inside functions, and may be missing.
EXTRAS = frozenset(
    canonicalize_name(Requirement(line).name)
    for lines in PROJECT["project"]["optional-dependencies"].values()
    for line in lines
)
# Parts of a declared package that are distributed on their own and come with it.
COMPANIONS = {
    "annotated-types": "pydantic",
    "pydantic-core": "pydantic",
    "requests": "prometheus-api-client",
    "urllib3": "kubernetes",
}
# Rooms that are of an extra as a whole: their modules are imported inside functions.
ROOMS_OF_EXTRAS = ("profiler.harness", "demos.cluster")


def imported_distributions() -> set[str]:
    """Distributions that provide what the packages of the product import."""
    providers = packages_distributions()
    tops = {
        name.split(".")[0]
        for package in PACKAGES
        for module in (ROOT / package).rglob("*.py")
        for name in imported_names(module)
    }
    third_party = tops - set(sys.stdlib_module_names) - set(PACKAGES)
    found = {canonicalize_name(name) for top in third_party for name in providers.get(top, [top])}
    return {COMPANIONS.get(name, name) for name in found}


def test_every_import_is_declared() -> None:
    assert imported_distributions() - DECLARED - EXTRAS == set()


def in_room_of_extra(name: str) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in ROOMS_OF_EXTRAS)


def test_extras_are_imported_inside_functions() -> None:
    providers = packages_distributions()
    for package in PACKAGES:
        for module in (ROOT / package).rglob("*.py"):
            own = ".".join(module.relative_to(ROOT).with_suffix("").parts)
            if in_room_of_extra(own):
                continue
            for name in names_imported_at_the_top(module):
                found = {canonicalize_name(one) for one in providers.get(name.split(".")[0], [])}
                assert not found & EXTRAS, f"{module}: {name}"
                assert not in_room_of_extra(name), f"{module}: {name}"


def test_every_declared_dependency_is_used() -> None:
    # PuLP imports highspy by name; scipy is there for the mathematics of queueing.
    assert DECLARED - imported_distributions() <= {"highspy", "scipy"}
