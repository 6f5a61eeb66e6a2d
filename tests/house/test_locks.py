"""The locks: exact, hashed, in step with pyproject.toml, bound to no registry."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ["run", "kube", "dev"]
# Each would double the environment or bring a second way of doing the same.
TOO_HEAVY = frozenset({"torch", "pandas", "polars", "kubernetes", "plotly", "ortools"})


def text(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.lock").read_text()


def entries(lock: str) -> list[tuple[Requirement, int]]:
    """Each requirement of a lock with the number of its hashes."""
    joined = text(lock).replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line and not line.lstrip().startswith("#")]
    return [
        (
            Requirement(line.split(" --hash")[0].strip()),
            len(re.findall(r"sha256:[0-9a-f]{64}", line)),
        )
        for line in lines
    ]


def versions(lock: str) -> dict[str, str]:
    return {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement, _ in entries(lock)
    }


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_is_exact_and_hashed(lock: str) -> None:
    pinned = entries(lock)
    assert pinned
    for requirement, hashes in pinned:
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), requirement
        assert hashes > 0, requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_place_to_download_from(lock: str) -> None:
    assert "://" not in text(lock)
    assert not re.search(r"^\s*-", text(lock).replace("    --hash", ""), flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("run", PROJECT["project"]["dependencies"]),
        ("run", PROJECT["dependency-groups"]["build"]),
        ("run", PROJECT["build-system"]["requires"]),
        ("kube", PROJECT["project"]["optional-dependencies"]["kube"]),
        ("dev", PROJECT["dependency-groups"]["dev"]),
    ],
)
def test_lock_satisfies_the_project(lock: str, wanted: list[str]) -> None:
    pinned = versions(lock)
    for requirement in map(Requirement, wanted):
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


def test_development_runs_on_the_versions_that_users_get() -> None:
    assert versions("run").items() <= versions("kube").items() <= versions("dev").items()


def test_running_needs_nothing_heavy() -> None:
    assert TOO_HEAVY.isdisjoint(versions("run"))
