"""The check of the built wheel tells a right wheel from a wrong one."""

import zipfile
from pathlib import Path

import pytest

from tools.check_wheel import NETWORKS, PACKAGES, check_contents, expected_files, misplaced

FLEET = "data/fleets/tiny.yaml"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A miniature of the repository."""
    root = tmp_path / "checkout"
    modules = {f"{package}/__init__.py" for package in PACKAGES}
    for name in {*modules, FLEET, NETWORKS, "tests/test_plan.py", "data/__pycache__/x.pyc"}:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.fixture
def right_files(checkout: Path) -> set[str]:
    """What a wheel of that repository should hold."""
    return expected_files(checkout) | {"stoker-0.dist-info/licenses/LICENSE"}


def pack(folder: Path, files: set[str]) -> Path:
    wheel = folder / "stoker-0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in sorted(files):
            archive.writestr(name, "")
    return wheel


def test_a_complete_wheel_passes(tmp_path: Path, checkout: Path, right_files: set[str]) -> None:
    assert check_contents(pack(tmp_path, right_files), checkout) == []


def test_tests_in_the_wheel_are_found(
    tmp_path: Path, checkout: Path, right_files: set[str]
) -> None:
    problems = check_contents(pack(tmp_path, right_files | {"tests/test_plan.py"}), checkout)
    assert len(problems) == 2
    assert problems[0].startswith("top-level names: ")
    assert problems[1] == "unexpected: ['tests/test_plan.py']"


def test_a_missing_package_is_found(tmp_path: Path, checkout: Path, right_files: set[str]) -> None:
    problems = check_contents(pack(tmp_path, right_files - {"api/__init__.py"}), checkout)
    assert problems[0].startswith("top-level names: ")
    assert problems[1] == "missing: ['api/__init__.py']"


def test_a_missing_data_file_is_found(
    tmp_path: Path, checkout: Path, right_files: set[str]
) -> None:
    problems = check_contents(pack(tmp_path, right_files - {FLEET}), checkout)
    assert problems == [f"missing: ['{FLEET}']"]


def test_missing_networks_are_found_even_where_the_checkout_lacks_them(
    tmp_path: Path, checkout: Path, right_files: set[str]
) -> None:
    (checkout / NETWORKS).unlink()
    problems = check_contents(pack(tmp_path, right_files - {NETWORKS}), checkout)
    assert problems == [f"no networks of the correction: {NETWORKS}"]


def test_a_missing_licence_is_found(tmp_path: Path, checkout: Path) -> None:
    wheel = pack(tmp_path, expected_files(checkout))
    assert check_contents(wheel, checkout) == ["no licence text"]


def test_data_belongs_to_the_data_package() -> None:
    files = {FLEET, NETWORKS, "api/py.typed", "optimizer/notes.txt", "queueing/a.npz"}
    assert misplaced(files) == {"optimizer/notes.txt", "queueing/a.npz"}
