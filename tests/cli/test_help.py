"""Help, examples and the reference page say what the commands do, and the examples run."""

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from data.fleets import read_fleet
from stoker.cli.main import app
from tests.support.cli import ROOT, stoker, stoker_process
from tests.support.measured import PROFILE, guidellm_report, measured_rows, row_of, write_rows

PAGE = ROOT / "docs" / "cli.md"


def commands(
    command: Any = None, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command with the words that call it, groups included."""
    command = command or typer.main.get_command(app)
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


ALL = {" ".join(path): command for path, command in commands()}
LEAVES = {name: command for name, command in ALL.items() if not hasattr(command, "commands")}


def examples(command: Any) -> list[str]:
    block = re.search(r"```console\n(.*?)\n```", command.epilog or "", re.DOTALL)
    return block[1].splitlines() if block else []


EXAMPLES = [line for command in ALL.values() for line in examples(command)]
SERVING = (
    "stoker serve",
    "stoker emulate",
    "stoker load",
    "stoker profile endpoint",
    "stoker control",
    "stoker doctor",
)
"""Commands that run until they are stopped, or need a server: tried in tests of their own."""
RUNNING = [line for line in EXAMPLES if not line.startswith(SERVING)]


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_help(name: str) -> None:
    result = stoker(*name.split(), "--help")
    assert result.exit_code == 0
    assert "Usage: stoker" in result.stdout
    assert ALL[name].help


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_shows_examples_of_itself(name: str) -> None:
    lines = examples(LEAVES[name])
    assert lines
    assert all(f"stoker {name}" in line for line in lines)


@pytest.mark.parametrize("name", LEAVES)
def test_every_option_is_explained(name: str) -> None:
    for parameter in LEAVES[name].params:
        assert getattr(parameter, "help", None), parameter.name


def hourly_rates(hours: int) -> str:
    """Return a file of demand for the built-in small fleet: busy by day, quiet by night."""
    rows = ["hour,server,arrival_rate_rps"]
    for server in read_fleet("small").servers:
        rows += [f"{hour},{server.name},{0.1 + 0.2 * (hour % 24 > 8)}" for hour in range(hours)]
    return "\n".join(rows) + "\n"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the files that the examples name."""
    folder = tmp_path_factory.mktemp("examples")
    stoker("convert", "small", "--to", "stoker", "--output", folder / "fleet.yaml")
    case = (
        '{"RPS": 1, "maxBatchSize": 32, "avgInputTokens": 128, "avgOutputTokens": 512, '
        '"alpha": 8, "beta": 0.05, "gamma": 0.0005, "maxQueueSize": 10, '
        '"targetTTFT": 500, "targetITL": 50}\n'
    )
    (folder / "cases.jsonl").write_text(case)
    (folder / "case.json").write_text(case)
    rows = measured_rows()
    write_rows(folder / "measurements.jsonl", *map(row_of, rows))
    (folder / "benchmarks.json").write_text(json.dumps(guidellm_report(rows)))
    (folder / "profile.yaml").write_text(PROFILE)
    grid = (
        "profile",
        "export",
        "llama-3.1-8b/l40s",
        "--to",
        "aibrix",
        "--output-tokens",
        "32,128,512",
    )
    stoker(*grid, "--output", folder / "grid.json")
    models = ("profile", "export", "llama-3.1-8b/l40s", "--to", "inferno")
    stoker(*models, "--output", folder / "model-data.json")
    (folder / "points.jsonl").write_text('{"in_tokens": 512, "out_tokens": 128, "rate": 2}\n')
    (folder / "points.csv").write_text("in_tokens,out_tokens,concurrency\n512,128,8\n")
    for name, hours in (("day.csv", 24), ("weeks.csv", 2 * 168)):
        (folder / name).write_text(hourly_rates(hours))
    log = "Timestamp,Model,Request tokens,Response tokens\n5,ChatGPT,472,18\n45,GPT-4,1087,230\n"
    (folder / "BurstGPT_1.csv").write_text(log)
    (folder / "trace.csv").write_text("arrival_s,in_tokens,out_tokens\n0,128,64\n0.5,256,32\n")
    stoker("solve", "small", "--format", "json", "--output", folder / "plan.json")
    plan = (folder / "plan.json").read_text()
    (folder / "before.json").write_text(plan)
    (folder / "after.json").write_text(plan)
    nodes = (
        "nodes:\n"
        "  - {name: a100, count: 70, card_type: A100, cards: 8, zone: east}\n"
        "  - {name: g2, count: 60, card_type: G2, cards: 8, zone: west}\n"
    )
    (folder / "nodes.yaml").write_text(nodes)
    with (folder / "fleet.yaml").open("a") as fleet:
        fleet.write(nodes)
    return folder


@pytest.mark.parametrize("line", RUNNING)
def test_examples_run(line: str, workplace: Path) -> None:
    python = shlex.quote(sys.executable)
    shell = f'stoker() {{ {python} -m stoker.cli.main "$@"; }}\nset -o pipefail\n{line}'
    result = subprocess.run(
        ["bash", "-c", shell],
        cwd=workplace,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert result.returncode in (0, 3), result.stderr
    assert "Traceback" not in result.stderr


def test_the_reference_page_holds_every_command_and_option() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, command in ALL.items():
        if name:
            assert f"`stoker {name}`" in page
        for parameter in command.params:
            for option in (*parameter.opts, *parameter.secondary_opts):
                if option.startswith("--"):
                    assert option in page, f"{name} {option}"


def test_the_reference_page_is_what_the_program_writes(tmp_path: Path) -> None:
    made = tmp_path / "cli.md"
    command = "-m typer stoker.cli.main utils docs --name stoker --output"
    arguments = [*command.split(), str(made), "--title", "Command line"]
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
    assert PAGE.read_text(encoding="utf-8") == made.read_text(encoding="utf-8"), "run: make docs"


def test_help_loads_no_heavy_room() -> None:
    code = (
        "import sys, stoker.cli.main\n"
        "heavy = 'numpy scipy pulp highspy litestar uvicorn matplotlib pydantic yaml demos'\n"
        "print(sorted(set(heavy.split()) & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_help_is_quick() -> None:
    started = time.perf_counter()
    assert stoker_process("--help").returncode == 0
    assert time.perf_counter() - started < 3  # 0.3 s on a machine with nothing else to do
