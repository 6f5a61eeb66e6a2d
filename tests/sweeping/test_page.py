"""The page on sweeps names every parameter, and prints what the commands print."""

import re
import shlex
from pathlib import Path

import pytest

from studies.sweeping.grid import Study
from studies.sweeping.parameters import KINDS
from studies.sweeping.rows import Layout
from tests.support.cli import ROOT, stoker
from tests.support.small_fleets import make_fleet

PAGE = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", PAGE, flags=re.DOTALL)


def printed_by(start: str) -> tuple[str, str]:
    """Return the command that starts so, and what the page says it prints."""
    (block,) = (block for block in BLOCKS if f"$ {start}" in block)
    command, _, output = block[block.index(f"$ {start}") + 2 :].partition("\n")
    return command, output


def test_every_parameter_is_named() -> None:
    for kind in KINDS:
        name = kind.form.partition("[")[0].partition(".")[0]
        assert re.search(rf"`{name}\b", PAGE), name


def test_every_column_is_named() -> None:
    for column in Layout.of(Study(make_fleet(), (), ())).columns:
        name = re.sub(r"_priority_\d+$", "_priority_N", column.name)
        name = re.sub(r"^cards_(?!used).*", "cards_TYPE", name)
        assert f"`{name}`" in PAGE, name


@pytest.mark.parametrize(
    "start",
    [
        "stoker sweep small --points",
        "stoker sweep small --vary lod=1",
        "stoker pareto small --against latency",
    ],
)
def test_commands_print_what_the_page_says(
    start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (listed,) = (block for block in BLOCKS if "$ cat points.csv" in block)
    points = listed.partition("$ cat points.csv\n")[2].partition("$ ")[0]
    (tmp_path / "points.csv").write_text(points)
    monkeypatch.chdir(tmp_path)
    command, output = printed_by(start)
    result = stoker(*shlex.split(command)[1:], "--jobs", 1, columns=160)
    lines = [line.rstrip() for line in (result.stdout + result.stderr).splitlines()]
    for wanted in output.splitlines():
        pattern = ".*".join(re.escape(part) for part in wanted.split("..."))
        assert any(re.fullmatch(pattern, line) for line in lines), wanted


def test_pictures_are_there_and_small() -> None:
    for path in re.findall(r"\]\((images/[^)]+)\)", PAGE):
        assert (ROOT / "docs" / path).stat().st_size < 150_000
