"""Try a built wheel as a user gets it: in an empty environment, far from the sources.

Usage: ``python tools/check_wheel.py WHEEL LOCK``. Exits 1 and names the difference when the
wheel holds anything but the product's packages and their data files, when its dependencies do
not fit the lock, or when the installed program cannot plan.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = frozenset(
    {
        "stoker",
        "queueing",
        "data",
        "optimizer",
        "collector",
        "actuator",
        "api",
        "simulator",
        "profiler",
        "studies",
        "controller",
        "emulator",
        "demos",
    }
)

NETWORKS = "queueing/engine/correction.npz"
"""What the correction of the analysis is made of: without it no plan is made."""


def contents(wheel: Path) -> set[str]:
    """Paths of the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def expected_files(root: Path) -> set[str]:
    """Paths, from the root of the checkout, of all files that belong into the wheel."""
    return {
        path.relative_to(root).as_posix()
        for package in PACKAGES
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def misplaced(files: set[str]) -> set[str]:
    """Files that are neither modules, type markers, the networks, nor data in the room for it."""
    return {
        name
        for name in files
        if not name.endswith((".py", "/py.typed"))
        and not (name.startswith("data/") and name.endswith((".yaml", ".json")))
        and name != NETWORKS
    }


def check_contents(wheel: Path, root: Path = ROOT) -> list[str]:
    """Differences between the wheel and what the checkout at ``root`` holds; none when right."""
    names = contents(wheel)
    metadata = {name for name in names if PurePosixPath(name).parts[0].endswith(".dist-info")}
    files = names - metadata
    top = {PurePosixPath(name).parts[0] for name in files}
    expected = expected_files(root)
    problems = []
    if top != PACKAGES:
        problems.append(f"top-level names: {sorted(top)}; expected {sorted(PACKAGES)}")
    if missing := expected - files:
        problems.append(f"missing: {sorted(missing)}")
    if NETWORKS not in files:
        problems.append(f"no networks of the correction: {NETWORKS}")
    if extra := files - expected:
        problems.append(f"unexpected: {sorted(extra)}")
    if stray := misplaced(files):
        problems.append(f"neither module, type marker nor data file: {sorted(stray)}")
    if not any(name.endswith("/licenses/LICENSE") for name in metadata):
        problems.append("no licence text")
    return problems


def run(command: Sequence[str | Path], cwd: Path) -> str:
    """Run a command in ``cwd`` with no Python settings of this process; return its output."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        line = " ".join(str(word) for word in command)
        raise SystemExit(f"{line}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def install(wheel: Path, lock: Path, home: Path) -> Path:
    """Install the wheel with the locked dependencies below ``home``; return its ``bin``."""
    environment = home / "environment"
    venv.create(environment, with_pip=True)
    commands = environment / "bin"
    pip: list[str | Path] = [commands / "python", "-m", "pip", "--disable-pip-version-check"]
    quiet = [*pip, "install", "--quiet", "--no-input", "--only-binary", ":all:"]
    run([*quiet, "--require-hashes", "-r", lock], home)
    run([*quiet, "--no-deps", wheel], home)
    run([*pip, "check"], home)
    return commands


def check_program(commands: Path, home: Path) -> None:
    """Plan the small fleet and run a demo with the installed program, far from the checkout."""
    where = run([commands / "python", "-c", "import stoker; print(stoker.__file__)"], home).strip()
    if not Path(where).resolve().is_relative_to(home.resolve()):
        raise SystemExit(f"stoker was imported from {where}, not from the wheel")
    plan = json.loads(run([commands / "stoker", "solve", "small", "--format", "json"], home))
    if plan["status"] != "optimal" or not plan["allocations"] or plan["unplaced"]:
        raise SystemExit(f"the installed program did not place the small fleet: {plan}")
    cost = f"{plan['cost_per_hour']:.2f} {plan['currency']} per hour"
    print(f"installed program: {len(plan['allocations'])} servers placed for {cost}")
    demos = json.loads(run([commands / "stoker", "demo", "--format", "json"], home))["demos"]
    if not demos:
        raise SystemExit("the wheel brought no demos")
    run([commands / "stoker", "demo", demos[0]["name"], "--output", home / "demo"], home)
    print(f"installed demos: {len(demos)}, of which {demos[0]['name']} ran")


def main(arguments: Sequence[str]) -> int:
    """Check the wheel named first against the lock named second."""
    wheel, lock = (Path(argument).resolve() for argument in arguments)
    if problems := check_contents(wheel):
        print(f"{wheel.name} is not as it should be:", *problems, sep="\n  ", file=sys.stderr)
        return 1
    shipped = sorted(
        name
        for name in contents(wheel)
        if name == NETWORKS or (name.startswith("data/") and not name.endswith((".py", ".typed")))
    )
    print(f"{wheel.name}: {sorted(PACKAGES)}")
    print("data files:", *shipped, sep="\n  ")
    with tempfile.TemporaryDirectory(prefix="stoker-wheel-") as folder:
        home = Path(folder)
        check_program(install(wheel, lock, home), home)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
