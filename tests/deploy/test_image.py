"""The image of `deploy/`: built from what is there, with the command that pods run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import yaml

from tests.support.cli import ROOT

DEPLOY = ROOT / "deploy"


def deployment() -> dict[str, Any]:
    documents = yaml.safe_load_all((DEPLOY / "controller.yaml").read_text())
    (found,) = (each for each in documents if each["kind"] == "Deployment")
    return dict(found)


def test_the_image_is_built_from_what_is_there() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert sum(line.startswith("FROM ") for line in lines) == 2
    user = next(line.split()[1] for line in lines if line.startswith("USER "))
    pod = deployment()["spec"]["template"]["spec"]["securityContext"]
    assert user == f"{pod['runAsUser']}:{pod['runAsGroup']}"
    taken = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for line in taken:
        if line.startswith("!"):
            assert (ROOT / line[1:]).exists(), line
    packages = (ROOT / "pyproject.toml").read_text().partition("[tool.hatch.build.targets.wheel]")
    for name in re.findall(r'^    "([a-z]+)",$', packages[2].partition("]")[0], re.MULTILINE):
        assert f"!{name}" in taken


def test_the_image_is_built_and_has_its_command(tmp_path: Path) -> None:
    """Everything that the first stage does but the download of dependencies."""
    lines = (DEPLOY / "Dockerfile").read_text()
    assert "COPY . ." in lines
    assert "install --no-cache-dir '.[kube]'" in lines
    (command,) = re.findall(r'ENTRYPOINT \["(\w+)"\]', lines)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "kube" in project["optional-dependencies"]
    python = re.findall(r"FROM python:(\d+\.\d+)-slim", lines)
    assert len(set(python)) == 1
    low, high = re.findall(r"\d+\.(\d+)", project["requires-python"])
    assert int(low) <= int(python[0].partition(".")[2]) < int(high)
    # The context that a builder would get.
    context = tmp_path / "context"
    for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines():
        if line.startswith("!"):
            source, target = ROOT / line[1:], context / line[1:]
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                context.mkdir(exist_ok=True)
                shutil.copy(source, target)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=context, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert f"{command} = stoker.cli.main:main" in archive.read(points).decode()
    # Whatever the command imports is in it.
    here = {
        str(path.relative_to(ROOT))
        for package in ("stoker", "api", "controller", "collector", "actuator", "optimizer", "data")
        for path in (ROOT / package).rglob("*.py")
    }
    assert here <= names
