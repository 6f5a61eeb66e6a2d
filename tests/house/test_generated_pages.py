"""The generated pages of docs/ are those that the program of today generates (`make docs`)."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, check=True, capture_output=True)


def test_command_line_page_is_current(tmp_path: Path) -> None:
    page = tmp_path / "cli.md"
    command = ["typer", "stoker.cli.main", "utils", "docs", "--name", "stoker"]
    run(*command, "--title", "Command line", "--output", str(page))
    assert page.read_text() == (ROOT / "docs" / "cli.md").read_text(), "run: make docs"


def test_published_schema_is_current(tmp_path: Path) -> None:
    schema = tmp_path / "fleet.schema.json"
    run("stoker.cli.main", "schema", "--output", str(schema))
    published = ROOT / "docs" / "schema" / "fleet.schema.json"
    assert schema.read_text() == published.read_text(), "run: make docs"
