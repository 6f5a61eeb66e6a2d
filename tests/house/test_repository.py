"""What no file of the repository may hold: hosts of registries, paths of one machine."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GENERATED = frozenset({ROOT / name for name in ("build", "dist", "plots", "demo-output")})

# Put together from halves, so that this file passes its own check.
REGISTRIES = "|".join(["py" + r"pi\.", "python" + r"hosted\.", "npm" + r"js\.", "crates" + r"\.io"])
HOST = re.compile(rf"\b(?:[\w-]+\.)*(?:{REGISTRIES})\w*", flags=re.IGNORECASE)
MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:work|root|home|Users|opt|private)/[\w.]+")


def text_files(folder: Path = ROOT) -> Iterator[Path]:
    """Files of the checkout, environments, caches, binary and generated files left out."""
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith(".") and path.name not in {".ci", ".gitignore"}
        foreign = path in GENERATED or path.name == "__pycache__" or (path / "pyvenv.cfg").exists()
        if hidden or foreign:
            continue
        if path.is_dir():
            yield from text_files(path)
        elif path.suffix not in {".png", ".pdf", ".gz", ".npz"}:
            yield path


@pytest.mark.parametrize("pattern", [HOST, MACHINE_PATH], ids=["registry", "machine path"])
def test_no_file_names_it(pattern: re.Pattern[str]) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for path in text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if (match := pattern.search(line))
    ]
    assert found == []


def test_patterns_recognize_what_they_are_for() -> None:
    assert HOST.search("https://files.python" + "hosted.org/x")
    assert HOST.search("index-url = https://py" + "pi.org/simple")
    assert MACHINE_PATH.search("see /ho" + "me/somebody/notes")
    assert not MACHINE_PATH.search("https://example.com/wo" + "rk/page")


def test_the_walk_sees_the_repository() -> None:
    seen = {path.relative_to(ROOT).as_posix() for path in text_files()}
    assert {"Makefile", ".ci/run", "requirements/run.lock", "tests/conftest.py"} <= seen
