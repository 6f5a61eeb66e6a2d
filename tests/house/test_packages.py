"""What every package of the product carries."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOT_PACKAGES: list[str] = PROJECT["tool"]["importlinter"]["root_packages"]


@pytest.mark.parametrize("package", [*ROOT_PACKAGES, "stoker.domain", "stoker.cli"])
def test_docstring_says_what_the_package_must_never_do(package: str) -> None:
    source = ROOT.joinpath(*package.split("."), "__init__.py").read_text()
    docstring = ast.get_docstring(ast.parse(source)) or ""
    assert re.search(r"\b(never|must not)\b", docstring, flags=re.IGNORECASE)


@pytest.mark.parametrize("package", ROOT_PACKAGES)
def test_package_declares_its_types(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_wheel_holds_the_packages_and_the_demos_alone() -> None:
    packed = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(packed) == sorted([*ROOT_PACKAGES, "demos"])
