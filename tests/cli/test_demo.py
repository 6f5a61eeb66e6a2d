import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker.cli.demo import find_demos
from tests.support.cli import ROOT, stoker

MODULES = {
    "d01_first_steps.py": '''
        """One idea.

        More about it.
        """

        import json


        def main(output, output_format):
            output.mkdir(parents=True)
            (output / "picture.txt").write_text("drawn")
            print(json.dumps({"format": output_format}) if output_format == "json" else "shown")
    ''',
    "d02_second.py": '"""Another."""\nraise RuntimeError("run only when asked for")\n',
    "helper.py": '"""No demonstration."""\n',
}


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install demonstrations of our own in place of those of the product."""
    package = tmp_path / "demos"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name, text in MODULES.items():
        (package / name).write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "demos"]:
        monkeypatch.delitem(sys.modules, name)
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "demos"]:
        del sys.modules[name]


def test_demonstrations_are_listed_without_running_them(made_up: Path) -> None:
    assert stoker("demo").stdout == "01-first-steps  One idea.\n02-second       Another.\n"
    assert json.loads(stoker("demo", "--format", "json").stdout) == {
        "demos": [
            {"name": "01-first-steps", "title": "One idea."},
            {"name": "02-second", "title": "Another."},
        ]
    }


@pytest.mark.parametrize("name", ["01-first-steps", "01"])
def test_a_demonstration_runs_by_name_or_number(made_up: Path, name: str) -> None:
    target = made_up / "out"
    result = stoker("demo", name, "--output", target)
    assert (result.exit_code, result.stdout) == (0, "shown\n")
    assert (target / "picture.txt").read_text() == "drawn"


def test_a_demonstration_writes_below_the_working_directory(
    made_up: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made_up)
    result = stoker("demo", "01", "--format", "json")
    assert json.loads(result.stdout) == {"format": "json"}
    assert (made_up / "demo-output" / "01-first-steps" / "picture.txt").exists()


def test_an_unknown_demonstration_is_an_error(made_up: Path) -> None:
    result = stoker("demo", "03")
    assert result.exit_code == 2
    assert "no demonstration is called '03' (allowed: 01-first-steps, 02-second)" in result.stderr


def test_the_products_own_demonstrations_are_found() -> None:
    found = find_demos()
    assert [demo.name.partition("-")[0] for demo in found] == [
        f"{n:02}" for n in range(1, len(found) + 1)
    ]
    assert len(found) >= 10
    for demo in found:
        assert demo.title
        assert (ROOT / f"{demo.module.replace('.', '/')}.py").is_file()
