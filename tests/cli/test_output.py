import os
import stat
from pathlib import Path

import pytest

from stoker.cli.output import (
    NARROWEST,
    Elapsing,
    asked_width,
    check_output_directory,
    check_output_file,
    json_text,
    write_text,
)
from stoker.domain.errors import InvalidInputError


def test_json_refuses_what_json_cannot_say() -> None:
    assert json_text({"a": 1.5}) == '{\n  "a": 1.5\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text({"a": float("nan")})


def test_a_file_appears_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "plan.txt"
    write_text("one\n", path)
    write_text("zwei: ü\n", path)
    assert path.read_text(encoding="utf-8") == "zwei: ü\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.txt"
    write_text("old\n", path)
    with pytest.raises(UnicodeEncodeError):
        write_text("\ud800", path)
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_follows_the_umask_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text("x", tmp_path / "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    (tmp_path / "new").chmod(0o604)
    write_text("y", tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o604


def test_a_link_is_followed_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_text("new", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_device_is_written_directly() -> None:
    device = Path(os.devnull)
    write_text("gone", device)
    assert device.is_char_device()


def test_output_paths_are_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, words in (
        (tmp_path, "is a directory"),
        (tmp_path / "missing" / "plan.txt", "is not an existing directory"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            check_output_file(path)
    with pytest.raises(InvalidInputError, match="is a file, not a directory"):
        check_output_directory(tmp_path / "file" / "plots", "--plots")
    check_output_file(tmp_path / "plan.txt")
    check_output_file(None)
    check_output_directory(tmp_path / "a" / "b", "--plots")


@pytest.mark.parametrize(
    ("text", "width"),
    [("", None), ("80", 80), ("0", None), ("-5", None), ("wide", None), ("3", NARROWEST)],
)
def test_columns_of_the_environment(
    text: str, width: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", text)
    assert asked_width() == width
    monkeypatch.delenv("COLUMNS")
    assert asked_width() is None


def test_what_takes_long_is_explained() -> None:
    now = 10.0
    words = Elapsing("Planning 3 servers", "the MILP is at work", lambda: now, 10.0)
    assert str(words.__rich__()) == "Planning 3 servers"
    now = 11.9
    assert str(words.__rich__()) == "Planning 3 servers"
    now = 14.2
    assert str(words.__rich__()) == "Planning 3 servers · 4 s · the MILP is at work"
    bare = Elapsing("Drawing", "", lambda: now, 10.0)
    assert str(bare.__rich__()) == "Drawing · 4 s"
